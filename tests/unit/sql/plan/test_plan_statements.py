"""What planning a statement hands to the sequencer, beside its plan."""

import msgspec
import pytest

from headwater.errors import AmbiguousParameter, HeadwaterError, StatementTooComplex
from headwater.ir.literals import literal_int
from headwater.ir.scalar import Parameter
from headwater.sql.ast.query import BinaryOp, Not, Number, Query, Select, SelectItem
from headwater.sql.parse.kind import PLURAL, SINGULAR
from headwater.sql.parse.parser import parse_statements
from headwater.sql.plan import plan_statement
from headwater.sql.plan.hir import HirFilter, HirGet, HirMap
from headwater.sql.plan.statements import InsertPlan, ReadThenWritePlan, SelectPlan
from headwater.types.scalar import BOOL, INT4, INT8, NUMERIC, TEXT
from tests.golden.plan.small_catalog import CATALOG, SESSION, plan, types_of


def test_parameters_take_the_type_of_their_first_use():
    planned = plan("select $2 + a, $1 from t where b = $3 limit $4")
    assert planned.param_types == (TEXT, INT4, TEXT, INT8)
    assert isinstance(planned.plan.limit, Parameter)
    assert planned.plan.finishing.limit is None


def test_declared_parameters_are_cast():
    planned = plan("select a from t where a = $1", INT8)
    assert planned.param_types == (INT8,)
    assert plan("select $1::bool").param_types == (BOOL,)


def test_dependencies_are_the_items_mentioned():
    planned = plan("select 1 from t, other.t, (select a from u) as s")
    assert planned.depends_on == {"u1", "u6", "u2"}
    assert plan("select 1").depends_on == frozenset()


def test_result_columns():
    planned = plan('select a, b as "B b", count(*), 1 + 1 from t group by 1, 2')
    names = [column.name for column in planned.result_desc.columns]
    assert names == ["a", "B b", "count", "?column?"]
    assert [c.nullable for c in planned.result_desc.columns] == [True, True, False, False]


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        (
            "select sum(a), sum(c), avg(a), count(b), max(b) from t",
            "int8 numeric numeric int8 text",
        ),
        ("select a / 2, c / 2, a / 2.0 from t", "int4 int8 numeric"),
        ("select d * 2, e * 2, d * e from u", "numeric float8 float8"),
        ("select y + interval '1 day', y - y, x - x from w", "timestamp int4 interval"),
        ("select case when true then 1 else 2.5 end, coalesce(null, 'x')", "numeric text"),
        ("select array_agg(a), jsonb_agg(a) from t", "array jsonb"),
        ("select null, 'x', $1", "text text text"),
    ],
)
def test_types(sql, types):
    assert types_of(sql) == types.split()


def test_inserts_that_read_nothing_are_blind():
    assert isinstance(plan("insert into t values (1, 'x', 2)").plan, InsertPlan)
    assert isinstance(plan("insert into t select 1, 'x', 2").plan, InsertPlan)
    assert isinstance(plan("insert into t select a, b, c from t").plan, ReadThenWritePlan)
    in_values = plan("insert into t values ((select max(a) from u), 'x', 2)").plan
    assert isinstance(in_values, ReadThenWritePlan)


def test_plans_are_data():
    for sql in ("select a from t where b = 'x'", "create table q (a int)", "begin"):
        found = plan(sql).plan
        encoded = msgspec.msgpack.encode(found)
        assert msgspec.msgpack.decode(encoded, type=type(found)) == found


def test_a_point_query_is_a_filter_over_a_get():
    found = plan("select * from t where a = 5").plan
    assert isinstance(found, SelectPlan)
    assert isinstance(found.query, HirFilter)
    assert isinstance(found.query.input, HirGet)
    assert found.query.predicates[0].func == "eq"


def test_stored_statements_plan_to_the_same():
    for sql in (
        "create view v as select t.a, o.z from t, other.t as o where t.a = (select max(a) from u)",
        "create materialized view v in cluster idle as select count(*) from t",
        "create index on t (a, lower(b))",
        "create table q (a ints default null, b text default 'x')",
        "create source s from kafka connection kafka (topic 'x') format text",
        "create sink s from mv into kafka connection kafka (topic 't') key (a) format json"
        " envelope upsert",
    ):
        first = plan(sql).plan
        (parsed,) = parse_statements(first.create_sql)
        second = plan_statement(CATALOG, SESSION, parsed.statement).plan
        assert second == first, sql


def test_deep_trees_are_refused_not_crashed():
    node = Number(text="1")
    for _ in range(100_000):
        node = Not(operand=node)
    query = Query(body=Select(items=(SelectItem(expression=node),)))
    with pytest.raises(StatementTooComplex):
        plan_statement(CATALOG, SESSION, query)


def test_long_chains_are_not_deep():
    node = Number(text="1")
    for _ in range(20_000):
        node = BinaryOp(operator="+", left=node, right=Number(text="1"))
    query = Query(body=Select(items=(SelectItem(expression=node),)))
    found = plan_statement(CATALOG, SESSION, query).plan
    assert isinstance(found.query, HirMap)


def test_parameters_without_a_type_are_text():
    assert plan("select $1").param_types == (TEXT,)
    assert plan("insert into u (a, d) values ($1, $2)").param_types == (INT4, NUMERIC)


def test_times_are_folded():
    found = plan("subscribe t as of 10 up to 20").plan
    assert literal_int(found.as_of.time) == 10
    assert literal_int(found.up_to) == 20


def test_ambiguous_parameter_is_an_error_class():
    assert AmbiguousParameter.sqlstate == "42P08"


OF_ONE = (
    "ALTER {} {} OWNER TO materialize",
    "ALTER {} IF EXISTS {} OWNER TO materialize",
    "ALTER {} {} RENAME TO other",
    "ALTER {} IF EXISTS {} RENAME TO other",
    "ALTER {} {} SWAP WITH other",
    "ALTER {} {} SET SCHEMA other",
    "COMMENT ON {} {} IS 'why'",
    "DROP {} {}",
    "DROP {} IF EXISTS {}",
    "GRANT SELECT ON {} {} TO materialize",
    "SHOW CREATE {} {}",
)
OF_ALL = (
    "GRANT ALL ON ALL {} TO materialize",
    "REVOKE USAGE ON ALL {} IN SCHEMA public FROM materialize",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON {} TO materialize",
    "SHOW {}",
)
STATEMENTS = [
    *(text.format(" ".join(words), name) for text in OF_ONE for words in SINGULAR for name in "tz"),
    *(text.format(" ".join(words)) for text in OF_ALL for words in PLURAL),
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_word_for_any_kind_of_object_is_planned_or_refused(sql):
    """``t`` is a table, ``z`` is nothing."""
    try:
        outcome = type(plan(sql).plan).__name__
    except HeadwaterError as error:
        outcome = error.sqlstate
    assert not outcome.startswith("XX")
