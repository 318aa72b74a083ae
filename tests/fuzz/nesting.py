"""Every construct of the grammar that can hold itself, ``levels`` deep, and long flat ones.

Each is refused by a named limit (54001), or is answered; a form that is no type or no literal of
ours at that depth has its own error.
"""

from collections.abc import Iterator

LIMIT = "54001"


def nested(levels: int) -> Iterator[tuple[str, str, str]]:
    """Yield (name, statement, SQLSTATE): what nests by its brackets, and how it is refused."""

    def deep(opening: str, core: str, closing: str) -> str:
        return opening * levels + core + closing * levels

    yield "parentheses", "SELECT " + deep("(", "1", ")"), LIMIT
    yield "subqueries", deep("SELECT (", "SELECT 1", ")"), LIMIT
    yield "derived tables", deep("SELECT * FROM (", "SELECT 1 AS x", ") AS t"), LIMIT
    yield "lateral", deep("SELECT * FROM a, LATERAL (", "SELECT 1", ") AS t"), LIMIT
    yield "joins in brackets", "SELECT 1 FROM " + deep("(", "a", " CROSS JOIN b)"), LIMIT
    yield "set operations", deep("(", "SELECT 1", " UNION SELECT 2)"), LIMIT
    yield "with", deep("WITH a AS (", "SELECT 1", ") SELECT * FROM a"), LIMIT
    yield "exists", deep("SELECT EXISTS (", "SELECT 1", ")"), LIMIT
    yield "in", deep("SELECT 1 IN (", "SELECT 1", ")"), LIMIT
    yield "any", deep("SELECT 1 = ANY (", "SELECT 1", ")"), LIMIT
    yield "case", "SELECT " + deep("CASE WHEN true THEN ", "1", " END"), LIMIT
    yield "case conditions", "SELECT " + deep("CASE WHEN ", "true", " THEN true END"), LIMIT
    yield "arrays", "SELECT " + deep("ARRAY[", "1", "]"), LIMIT
    yield "lists", "SELECT " + deep("LIST[", "1", "]"), LIMIT
    yield "rows", "SELECT " + deep("ROW(", "1", ")"), LIMIT
    yield "calls", "SELECT " + deep("abs(", "1", ")"), LIMIT
    yield "coalesce", "SELECT " + deep("coalesce(", "1", ", 2)"), LIMIT
    yield "extract", "SELECT " + deep("EXTRACT(year FROM ", "1", ")"), LIMIT
    yield "trim", "SELECT " + deep("trim(", "'a'", ")"), LIMIT
    yield "cast", "SELECT " + deep("CAST(", "1", " AS int)"), LIMIT
    yield "map types", "SELECT NULL::" + deep("map[text=>", "int", "]"), LIMIT
    yield "windows", "SELECT " + deep("sum(", "1", ") OVER ()"), LIMIT
    yield "grouping", "SELECT 1 GROUP BY " + deep("GROUPING SETS (", "()", ")"), LIMIT
    yield "order", "SELECT 1 AS x ORDER BY " + deep("abs(", "1", ")"), LIMIT
    yield "right operands", "SELECT " + deep("1 + (", "1", ")"), LIMIT
    yield "json arrays", "SELECT '" + deep("[", "1", "]") + "'::jsonb", LIMIT
    yield "json objects", "SELECT '" + deep('{"a":', "1", "}") + "'::jsonb", LIMIT
    yield "array literals", "SELECT '" + deep("{", "1", "}") + "'::int[]", "22P02"
    yield "list literals", "SELECT '" + deep("{", "1", "}") + "'::int list", "22P02"
    yield "patterns", "SELECT 'a' ~ '" + deep("(", "a", ")") + "'", "2201B"
    yield "explain", "EXPLAIN " * levels + "SELECT 1", LIMIT
    yield "cursors", "DECLARE c CURSOR FOR " * levels + "SELECT 1", LIMIT
    yield "views", "CREATE VIEW v AS SELECT " + deep("(", "1", ")"), LIMIT
    yield "defaults", "CREATE TABLE d (a int DEFAULT " + deep("abs(", "1", ")") + ")", LIMIT
    yield "inserts", "INSERT INTO a VALUES " + deep("(", "1", ")"), LIMIT
    yield "copy", "COPY (" + deep("SELECT * FROM (", "SELECT 1", ") t") + ") TO STDOUT", LIMIT
    yield "subscribe", "SUBSCRIBE (" + deep("SELECT * FROM (", "SELECT 1", ") t") + ")", LIMIT


def chained(levels: int) -> Iterator[tuple[str, str, str]]:
    """Yield (name, statement, SQLSTATE): trees as high as they are long, without brackets."""

    def chain(separator: str, core: str) -> str:
        return separator.join([core] * levels)

    derived = [f"(SELECT 1 AS x) AS t{i}" for i in range(levels)]
    ctes = [f"w{i} AS (SELECT * FROM w{i - 1})" for i in range(1, levels)]
    yield "not", "SELECT " + "NOT " * levels + "true", LIMIT
    yield "minus", "SELECT " + "- " * levels + "1", LIMIT
    yield "casts", "SELECT 1" + "::text::int" * levels, LIMIT
    yield "list types", "SELECT NULL::int" + " list" * levels, LIMIT
    yield "plus", "SELECT " + chain(" + ", "1"), LIMIT
    yield "concatenation", "SELECT " + chain(" || ", "'a'"), LIMIT
    yield "between", "SELECT 1" + " BETWEEN 1 AND 2" * levels, LIMIT
    yield "is null", "SELECT 1" + " IS NULL" * levels, LIMIT
    yield "collate", "SELECT 'a'" + ' COLLATE "C"' * levels, LIMIT
    yield "time zones", "SELECT now()" + " AT TIME ZONE 'UTC'" * levels, LIMIT
    yield "fields", "SELECT '{}'::jsonb" + " -> 'a'" * levels, LIMIT
    yield "attributes", "SELECT (a)" + ".a" * levels + " FROM a", LIMIT
    yield "union", chain(" UNION ", "SELECT 1"), LIMIT
    yield "except", chain(" EXCEPT ", "SELECT 1"), LIMIT
    yield "joins", "SELECT 1 FROM " + " CROSS JOIN ".join(derived), LIMIT
    yield "from lists", "SELECT 1 FROM " + ", ".join(derived), LIMIT
    yield "ctes", f"WITH w0 AS (SELECT 1), {', '.join(ctes)} SELECT * FROM w{levels - 1}", LIMIT


def flat(levels: int) -> Iterator[tuple[str, str, str]]:
    """Yield (name, statement, SQLSTATE): long, and answered."""
    yield "and", "SELECT " + " AND ".join(["true"] * levels), ""
    yield "or", "SELECT " + " OR ".join(["false"] * levels), ""
    yield "in lists", f"SELECT 1 IN ({', '.join(map(str, range(levels)))})", ""
    yield "values", "VALUES " + ", ".join(["(1)"] * levels), ""
    yield "columns", "SELECT " + ", ".join(["1"] * levels), ""
    yield "comments", "SELECT " + "/*" * levels + "*/" * levels + " 1", ""
    yield "subscripts", "SELECT ('{1}'::int[])" + "[1]" * levels, ""
