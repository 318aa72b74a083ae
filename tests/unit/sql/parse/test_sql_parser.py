"""What the parser promises beyond the golden trees: precedence, text spans, limits, errors."""

import pytest

from headwater.errors import HeadwaterError, StatementTooComplex, SyntaxError_
from headwater.sql.ast.base import ArrayType, ListType, MapType, NamedType, ObjectName
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.query import And, Expr, Identifier, Query, Select
from headwater.sql.ast.visit import same, walk
from headwater.sql.parse.parser import parse_data_type, parse_expression, parse_statements


def _shape(sql: str) -> str:
    """Return the expression's text without the parentheses that it does not need."""
    return to_sql(parse_expression(sql))


@pytest.mark.parametrize(
    ("sql", "grouped"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("2 ^ 3 * 4", "(2 ^ 3) * 4"),
        ("-2 ^ 2", "(-2) ^ 2"),
        ("-a::int", "-(a::int)"),
        ("-1::int", "-(1::int)"),
        ("a || b + c", "a || (b + c)"),
        ("a -> 'b' = c", "(a -> 'b') = c"),
        ("a + b @> c", "(a + b) @> c"),
        ("~ a + b", "~ (a + b)"),
        ("a = b LIKE c", "a = (b LIKE c)"),
        ("a || b IN (c)", "(a || b) IN (c)"),
        ("a = b IS NULL", "(a = b) IS NULL"),
        ("NOT a = b", "NOT (a = b)"),
        ("NOT a IS NULL", "NOT (a IS NULL)"),
        ("NOT a AND b", "(NOT a) AND b"),
        ("a OR b AND c", "a OR (b AND c)"),
        ("a BETWEEN 1 AND 2 AND b", "(a BETWEEN 1 AND 2) AND b"),
        ("a BETWEEN 1 + 1 AND 2 OR b", "(a BETWEEN (1 + 1) AND 2) OR b"),
        ("a AT TIME ZONE b || c", "(a AT TIME ZONE b) || c"),
        ("a + b AT TIME ZONE c", "a + (b AT TIME ZONE c)"),
        ("a OPERATOR(pg_catalog.*) b + c", "a OPERATOR(pg_catalog.*) (b + c)"),
        ("a = ANY (b) AND c", "(a = ANY (b)) AND c"),
        ("a::int[1]", "a::(int[])"),
    ],
)
def test_precedence_is_postgresqls(sql: str, grouped: str) -> None:
    if grouped != "a::(int[])":
        assert same(parse_expression(sql), parse_expression(grouped))
    else:
        assert _shape(sql) == "a::int4[]"


def test_and_chains_are_flat() -> None:
    found = parse_expression(" AND ".join(["a"] * 5000))
    assert isinstance(found, And)
    assert len(found.operands) == 5000


def test_comparisons_do_not_associate() -> None:
    with pytest.raises(SyntaxError_) as caught:
        parse_expression("a < b < c")
    assert caught.value.position == 7


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("int", NamedType(ObjectName(("int4",)))),
        ("pg_catalog.int4", NamedType(ObjectName(("pg_catalog", "int4")))),
        ("double precision", NamedType(ObjectName(("float8",)))),
        ("float(24)", NamedType(ObjectName(("float4",)))),
        ("float(25)", NamedType(ObjectName(("float8",)))),
        ("char", NamedType(ObjectName(("bpchar",)), (1,))),
        ('"char"', NamedType(ObjectName(("char",)))),
        ("character varying(3)", NamedType(ObjectName(("varchar",)), (3,))),
        ("timestamp(3) with time zone", NamedType(ObjectName(("timestamptz",)), (3,))),
        ("time without time zone", NamedType(ObjectName(("time",)))),
        ("decimal(10, -2)", NamedType(ObjectName(("numeric",)), (10, -2))),
        ("text[][3]", ArrayType(NamedType(ObjectName(("text",))), 2)),
        ("int list list", ListType(ListType(NamedType(ObjectName(("int4",)))))),
        (
            "map[text => bool]",
            MapType(NamedType(ObjectName(("text",))), NamedType(ObjectName(("bool",)))),
        ),
    ],
)
def test_data_types(sql: str, expected: object) -> None:
    found = parse_data_type(sql)
    assert isinstance(expected, NamedType | ArrayType | ListType | MapType)
    assert same(found, expected)
    assert same(parse_data_type(to_sql(found)), expected)


def test_statements_keep_their_own_text_and_offset() -> None:
    sql = " SELECT 1 ; \n-- two\nSELECT 'é;' /* x */;;SELECT 3"
    found = parse_statements(sql)
    assert [one.text for one in found] == ["SELECT 1", "SELECT 'é;'", "SELECT 3"]
    assert [sql[one.offset : one.offset + len(one.text)] for one in found] == [
        one.text for one in found
    ]


@pytest.mark.parametrize("sql", ["", " ", ";", " ;; -- x\n", "/* x */"])
def test_empty_text_has_no_statements(sql: str) -> None:
    assert parse_statements(sql) == ()


def test_positions_count_from_the_beginning_of_the_whole_text() -> None:
    parsed = parse_statements("SELECT 1; SELECT é, b")[1].statement
    assert isinstance(parsed, Query)
    found = [node for node in walk(parsed) if isinstance(node, Identifier)]
    assert [node.position for node in found] == [18, 21]


def test_unquoted_keywords_are_names_where_nothing_else_fits() -> None:
    parsed = parse_statements("SELECT list, map, key, value, user, end FROM sources AS of")
    (one,) = parsed
    assert isinstance(one.statement, Query)
    assert isinstance(one.statement.body, Select)
    assert len(one.statement.body.items) == 6


@pytest.mark.parametrize(
    ("sql", "position", "message"),
    [
        ("SELEC 1", 1, 'Expected a statement, found identifier "selec"'),
        ("SELECT 1 +", 11, "Expected an expression, found EOF"),
        ("SELECT * FROM t WHERE", 22, "Expected an expression, found EOF"),
        ("SELECT a b c", 12, "Expected end of statement, found "),
        ("SELECT (1", 10, "Expected right parenthesis, found EOF"),
        ("CREATE SOURCE s FROM FILE", 22, " or LOAD GENERATOR"),
        ("INSERT INTO t SET a = 1", 15, "Expected a query, found SET"),
        ("SELECT 1; SELECT 2 3", 20, "Expected end of statement, found "),
    ],
)
def test_errors_say_where_and_what_was_expected(sql: str, position: int, message: str) -> None:
    with pytest.raises(SyntaxError_) as caught:
        parse_statements(sql)
    assert caught.value.position == position
    assert message in caught.value.message


# --- limits ---------------------------------------------------------------------------------------

_SHAPES = {
    "parentheses": ("(", "1", ")"),
    "calls": ("f(", "1", ")"),
    "not": ("NOT ", "a", ""),
    "signs": ("- ", "a", ""),
    "prefix": ("~ ", "a", ""),
    "prefix behind infix": ("a * ~ ", "a", ""),
    "not behind comparison": ("a = NOT ", "a", ""),
    "case": ("CASE WHEN ", "a", " THEN 1 END"),
    "arrays": ("ARRAY[", "1", "]"),
    "brackets": ("ARRAY[ARRAY[", "1", "]]"),
    "maps": ("MAP['a' => ", "1", "]"),
    "rows": ("ROW(", "1", ")"),
    "subqueries": ("(SELECT ", "1", ")"),
    "exists": ("EXISTS (SELECT 1 FROM t WHERE ", "a", ")"),
    "derived tables": ("(SELECT a FROM (VALUES (", "1", ")) AS x)"),
    "coalesce": ("COALESCE(", "1", ")"),
    "substring": ("substring(a, ", "1", ")"),
    "filter": ("f() FILTER (WHERE ", "a", ")"),
    "over": ("f() OVER (PARTITION BY ", "a", ")"),
    "frame": ("f() OVER (ROWS ", "1", " PRECEDING)"),
    "ordered arguments": ("f(a ORDER BY ", "a", ")"),
    "within group": ("f() WITHIN GROUP (ORDER BY ", "1", ")"),
    "in": ("a IN (1, ", "1", ")"),
    "any": ("1 = ANY (", "a", ")"),
    "cast": ("CAST(", "1", " AS int)"),
    "subscripts": ("a[", "1", "]"),
    "subscripted calls": ("f(", "1", ")[1]"),
    "fields of calls": ("f(", "1", ").y"),
    "chain": ("1 || ", "1", ""),
    "postfix casts": ("", "a", "::text"),
    "time zones": ("", "a", " AT TIME ZONE 'x'"),
    "like": ("", "a", " LIKE b"),
    "is": ("", "a", " IS NULL"),
    "mixed": ("f(1 + 1 + ", "1", " * 2 || 3)"),
    "mixed subqueries": ("(SELECT 1 + ", "1", " + 2 || 3)"),
}


def _deepest(before: str, middle: str, after: str) -> Expr:
    found = None
    for depth in range(1, 300):
        try:
            found = parse_expression(before * depth + middle + after * depth)
        except StatementTooComplex:
            break
    assert found is not None
    return found


@pytest.mark.parametrize("shape", _SHAPES)
def test_what_can_be_read_can_be_printed_and_read_again(shape: str) -> None:
    found = _deepest(*_SHAPES[shape])
    assert same(parse_expression(to_sql(found)), found)


@pytest.mark.parametrize("depth", [1000, 20_000])
@pytest.mark.parametrize("shape", sorted(set(_SHAPES) - {"like", "is"}))
def test_deep_nesting_is_refused_and_never_overflows(shape: str, depth: int) -> None:
    before, middle, after = _SHAPES[shape]
    with pytest.raises(StatementTooComplex) as caught:
        parse_expression(before * depth + middle + after * depth)
    assert caught.value.position > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1" + " UNION SELECT 1" * 5000,
        "SELECT * FROM a" + " CROSS JOIN b" * 5000,
        "SELECT * FROM " + "a JOIN " * 5000 + "b" + " ON true" * 5000,
        "SELECT * FROM " + "(" * 5000 + "a",
        "WITH a AS (" * 5000,
        "(" * 5000,
        "SELECT NULL::" + "map[" * 5000,
        "SELECT NULL::int" + " list" * 5000,
        "SELECT 1 GROUP BY " + "CUBE (" * 5000,
        "CREATE CLUSTER c (a = " + "[" * 5000,
        "CREATE CLUSTER c (a = " + "(" * 5000,
        "EXPLAIN " * 5000 + "SELECT 1",
        "PREPARE a AS " * 5000 + "SELECT 1",
        "DECLARE a CURSOR FOR " * 5000 + "SELECT 1",
        "SELECT * FROM " + "[u1 AS " * 5000,
        "SELECT /*" * 5000,
    ],
)
def test_deep_statements_are_refused_and_never_overflow(sql: str) -> None:
    with pytest.raises(HeadwaterError):
        parse_statements(sql)


def test_wide_statements_are_fine() -> None:
    rows = ", ".join(["(1, 'a', NULL)"] * 20_000)
    (one,) = parse_statements(f"INSERT INTO t VALUES {rows}")
    assert one.text.endswith("NULL)")


def test_redacted_text_has_no_literals() -> None:
    (one,) = parse_statements(
        "CREATE SECRET s AS decode('hush', 'hex'); CREATE ROLE r PASSWORD 'hush'"
    )[:1]
    shown = to_sql(one.statement, redacted=True)
    assert "hush" not in shown
    assert shown == "CREATE SECRET s AS decode('<REDACTED>', '<REDACTED>')"


@pytest.mark.parametrize("rest", ["SET a TO 1", "RESET a", "NOLOGIN", "RENAME TO b", "OWNER TO b"])
def test_if_is_a_role_like_any_other(rest: str) -> None:
    (parsed,) = parse_statements(f"ALTER ROLE if {rest}")
    assert "IF EXISTS" not in to_sql(parsed.statement)
    assert to_sql(parse_statements(to_sql(parsed.statement))[0].statement) == to_sql(
        parsed.statement
    )
