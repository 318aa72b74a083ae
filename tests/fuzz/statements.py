"""Sources of statements, each an endless stream from a seed."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from headwater.ir.functions import SIGNATURES, FunctionKind, Pseudo
from headwater.ir.functions.signature import ArgType
from headwater.sql.ast.base import Node
from headwater.sql.ast.printer import to_sql
from headwater.types.scalar import BaseType, ScalarType
from tests.differential.queries import Queries
from tests.differential.schema import Schema, draw_schema
from tests.differential.vocabulary import EXTREMES, VALUES
from tests.unit.sql.parse import sql_trees

ROOT = Path(__file__).resolve().parents[2]
TREES_A_ROUND = 200
Statements = Iterator[bytes]

TABLES = (
    "CREATE TABLE IF NOT EXISTS a (a int, b text, c1 numeric, t timestamp)",
    "CREATE TABLE IF NOT EXISTS b (a int, b jsonb, c1 int[], t interval)",
    "CREATE TABLE IF NOT EXISTS t (a int8, b bytea, c1 float8, t bool)",
    "INSERT INTO a VALUES (1, 'x', 1.5, '2020-01-01'), (NULL, NULL, NULL, NULL)",
    "INSERT INTO b VALUES (1, '{\"a\": [1]}', '{1,2}', '1 day'), (2, NULL, NULL, NULL)",
    "INSERT INTO t VALUES (1, '\\x00', 'NaN', true), (1, '\\x', 0.5, false)",
)
"""Relations under names that the trees use, so that some of them mean something."""


def trees(number: int) -> Statements:
    """Yield statements, queries and expressions of the whole grammar, printed."""
    round_ = 0
    while True:
        yield from map(str.encode, _printed(f"{number}/{round_}", TREES_A_ROUND))
        round_ += 1


def _printed(name: str, count: int) -> list[str]:
    found: list[str] = []

    @seed(name)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(sql_trees.statements(), sql_trees.queries(), sql_trees.expressions()))
    def draw(tree: Node) -> None:
        text = to_sql(tree)
        found.append(text)
        found.append(f"SELECT {text} FROM a")

    draw()
    return found


def meaningful(number: int) -> Statements:
    """Yield queries over three tables with values at the ends of their types' ranges."""
    schema_number = 0
    while True:
        rng = Random(f"{number}/{schema_number}")
        schema_number += 1
        drawn = draw_schema(rng)
        schema = Schema(drawn.tables, extreme=True)
        for table in schema.tables:
            yield f"DROP TABLE IF EXISTS {table.name}".encode()
            yield from map(str.encode, table.statements())
        queries = Queries(rng, schema)
        for _ in range(200):
            yield str(queries.query()).encode()


_TYPE_NAMES = {BaseType.CHAR: '"char"', BaseType.BPCHAR: "char(3)"}
_ODD: dict[str, tuple[str, ...]] = {
    "int2": ("0",),
    "oid": ("0", "4294967295"),
    "uint2": ("0", "65535"),
    "uint4": ("0", "4294967295"),
    "uint8": ("0", "18446744073709551615"),
    "float4": ("'NaN'", "'3.4028235e38'", "'-Infinity'", "1e-45"),
    "float8": ("'NaN'", "'Infinity'", "'1.7976931348623157e308'", "'5e-324'"),
    "numeric": ("'NaN'", "'1e38'", "'-1e-38'", "0", "999999999999999999999999999999999999999"),
    "mz_timestamp": ("0", "18446744073709551615"),
    "text": ("'%s'", "'('", "'\\'", "'a{1000}'", "'UTC'", "'{}'", "'YYYY'", "'é'", "'year'"),
    "interval": ("'2147483647 days'", "'178956970 years'", "'-2147483648 months'"),
    "int4[]": ("'{{1,2},{3,NULL}}'", "'{}'", "'{2147483647}'"),
    "jsonb": ("'[[[[]]]]'", "'1e-30'", '\'{"a": {"a": {"a": []}}}\''),
    "char(3)": ("''", "'é  '"),
    '"char"': ("'x'", "''"),
    "varchar": ("''", "'x'"),
    "name": ("'x'", "''"),
}


def calls(number: int) -> Statements:
    """Yield calls of every function and operator with odd values, as constants and of columns."""
    rng = Random(f"calls/{number}")
    columns: dict[str, str] = {}
    rows: list[list[str]] = [[], [], []]
    for index, name in enumerate(sorted({*VALUES, *_ODD})):
        columns[name] = f"k{index}"
        for row in rows:
            row.append(_value(rng, name))
    declared = ", ".join(f"{column} {name}" for name, column in columns.items())
    yield b"DROP TABLE IF EXISTS fuzz_values"
    yield f"CREATE TABLE fuzz_values ({declared})".encode()
    for row in rows:
        yield f"INSERT INTO fuzz_values VALUES ({', '.join(row)})".encode()
    while True:
        signature = rng.choice(SIGNATURES)
        element = rng.choice(tuple(VALUES))
        kinds = [_type_name(rng, each, element) for each in signature.args]
        if signature.variadic and kinds:
            kinds += [kinds[-1]] * rng.randint(0, 2)
        of_columns = rng.random() < 0.5
        arguments = [
            columns[kind] if of_columns and kind in columns else _value(rng, kind) for kind in kinds
        ]
        yield _call(signature.kind, signature.name, arguments).encode()


def _call(kind: FunctionKind, name: str, arguments: list[str]) -> str:
    if kind is FunctionKind.OPERATOR:
        words = [*arguments[:-1], name, arguments[-1]]
        return f"SELECT {' '.join(words)} FROM fuzz_values"
    call = f"{name}({', '.join(arguments)})"
    match kind:
        case FunctionKind.TABLE:
            return f"SELECT count(*) FROM fuzz_values, {call}"
        case FunctionKind.WINDOW:
            return f"SELECT {call} OVER (ORDER BY k1, k2) FROM fuzz_values"
        case _:
            return f"SELECT {call} FROM fuzz_values"


def _type_name(rng: Random, type_: ArgType, element: str) -> str:
    if isinstance(type_, Pseudo):
        if type_ in (Pseudo.ANYARRAY, Pseudo.ANYCOMPATIBLEARRAY):
            return rng.choice(("int4[]", "text[]"))
        return {
            Pseudo.ANYCOMPATIBLELIST: "int4 list",
            Pseudo.LIST: "int4 list",
            Pseudo.MAP: "map[text=>int4]",
            Pseudo.ANYCOMPATIBLEMAP: "map[text=>int4]",
            Pseudo.ANYRANGE: "int4range",
        }.get(type_, element)
    if type_.element is not None and type_.base is BaseType.ARRAY:
        return f"{_scalar_name(type_.element)}[]"
    return _scalar_name(type_)


def _scalar_name(type_: ScalarType) -> str:
    return _TYPE_NAMES.get(type_.base, str(type_.base.value))


def _value(rng: Random, name: str) -> str:
    known = (*VALUES.get(name, ()), *EXTREMES.get(name, ()) * 2, *_ODD.get(name, ()) * 2)
    if not known or rng.random() < 0.05:
        odd = rng.choice(("NULL", "NULL", "'{}'", "'1'", "'empty'", "'a=>1'", "'{1,2}'"))
        return f"{odd}::{name}"
    return f"({rng.choice(known)})::{name}"


_TOKEN = re.compile(r"\s+|\w+|'(?:[^']|'')*'|\"[^\"]*\"|.", re.S)


def mutants(number: int) -> Statements:
    """Yield statements of the golden files and the corpus with tokens lost, moved or exchanged."""
    rng = Random(f"mutants/{number}")
    texts = _known_statements()
    while True:
        tokens = _TOKEN.findall(rng.choice(texts))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(tokens) + 1)
            match rng.randrange(5):
                case 0:
                    del tokens[at : at + rng.randint(1, 4)]
                case 1:
                    tokens[at:at] = tokens[at : at + 5]
                case 2:
                    other = _TOKEN.findall(rng.choice(texts))
                    start = rng.randrange(len(other) + 1)
                    tokens[at:at] = other[start : start + rng.randint(1, 12)]
                case 3:
                    rng.shuffle(tokens[at : at + 6])
                case _:
                    tokens[at:at] = [rng.choice((" ", "(", ")", "'", '"', ",", "$1", "::", "--"))]
            if not tokens:
                break
        yield "".join(tokens).encode(errors="replace")


def _known_statements() -> list[str]:
    paths = [
        *sorted((ROOT / "tests" / "golden").rglob("*.sql")),
        *sorted((ROOT / "tests" / "golden").rglob("*.txt")),
        *sorted((ROOT.parent / "shared" / "slt" / "corpus" / "dev").glob("[mr]*/**/*.slt")),
    ]
    found = {*TABLES}
    for path in paths:
        for block in re.split(r"\n\s*\n|\n----", path.read_text(errors="replace")):
            lines = block.strip().split("\n")
            if lines[0].startswith(("query", "statement")):
                lines = lines[1:]
            text = "\n".join(lines)
            if 5 < len(text) < 1500:
                found.add(text)
    return sorted(found)


def noise(number: int) -> Statements:
    """Yield bytes: any, text of any script, and words of the grammar in any order."""
    rng = Random(f"noise/{number}")
    words = [
        *sql_trees._WORDS,
        "'",
        '"',
        "(",
        ")",
        ",",
        "1",
        "$1",
        "::",
        ";",
        "--",
        "/*",
        "E'",
        "*",
    ]
    while True:
        size = rng.randint(0, 200)
        match rng.randrange(3):
            case 0:
                yield rng.randbytes(size)
            case 1:
                yield "".join(
                    chr(rng.choice((rng.randrange(1, 128), rng.randrange(1, 0xD800))))
                    for _ in range(size)
                ).encode()
            case _:
                yield " ".join(rng.choice(words) for _ in range(size // 4)).encode()


SOURCES: dict[str, Callable[[int], Statements]] = {
    "trees": trees,
    "meaningful": meaningful,
    "calls": calls,
    "mutants": mutants,
    "noise": noise,
}


def mixed(number: int, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield from several sources in turn, some of each, with the source's name."""
    streams = {name: SOURCES[name](number) for name in names}
    while True:
        for name, stream in streams.items():
            for statement in islice(stream, 50):
                yield name, statement
