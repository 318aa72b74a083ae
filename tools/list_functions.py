"""Write what the function table says as a page for users and as a list of facts for its test.

``python tools/list_functions.py`` writes ``docs/user/functions.md`` and
``tests/unit/ir/functions/signatures.txt``; with ``--check`` it writes nothing and exits 1 where
either is not what it would write.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from headwater.ir import functions
from headwater.ir.functions import (
    ArgType,
    CastContext,
    FunctionKind,
    Pseudo,
    Signature,
    aggregate,
    arithmetic,
    comparison,
    container,
    datetime,
    json,
    table,
    text,
)
from headwater.ir.functions.schemas import schema_of
from headwater.types.scalar import BaseType

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/user/functions.md"
FACTS = ROOT / "tests/unit/ir/functions/signatures.txt"

_FAMILIES = (
    ("Numbers", arithmetic.SIGNATURES),
    ("Comparisons", comparison.SIGNATURES),
    ("Texts and bytes", text.SIGNATURES),
    ("Dates, times and intervals", datetime.SIGNATURES),
    ("JSON", json.SIGNATURES),
    ("Arrays, lists, maps, records and ranges", container.SIGNATURES),
    ("Aggregates and window functions", aggregate.SIGNATURES),
    ("Table functions", table.SIGNATURES),
)
_RANGES = {
    BaseType.INT4: "int4range",
    BaseType.INT8: "int8range",
    BaseType.NUMERIC: "numrange",
    BaseType.DATE: "daterange",
    BaseType.TIMESTAMP: "tsrange",
    BaseType.TIMESTAMPTZ: "tstzrange",
}
_HEAD = """# Functions, operators and casts

<!-- Made by tools/list_functions.py from the table that the planner uses: change that. -->

Types stand by their short names. `any…` stands for any type; `anyelement`, `anyarray` and their
kin for the same type wherever they occur in a signature, `anycompatible` and its kin for the type
that all of them convert to. `...` after a type means once or more.

Not in the table, because they depend on the session or the moment: `now`, `current_timestamp`,
`mz_now`, `current_user`, `current_database`, `version` and their kin; nor what SQL gives a syntax
of its own: `CAST`, `CASE`, `COALESCE`, `NULLIF`, `GREATEST`, `LEAST`, `EXTRACT`, `ROW`, `ARRAY`,
`LIST`, `MAP`, `IN`, `ANY`, `ALL`, `BETWEEN`, `LIKE … ESCAPE`, `IS …`, `AT TIME ZONE`.
"""


def show(arg: ArgType) -> str:
    """Return a type as the page and the list write it."""
    if isinstance(arg, Pseudo):
        return arg.value
    if arg.base is BaseType.ARRAY and arg.element is not None:
        return f"{show(arg.element)}[]"
    if arg.base is BaseType.RANGE and arg.element is not None:
        return _RANGES[arg.element.base]
    return arg.base.value


def _arguments(signature: Signature) -> str:
    shown = ", ".join(show(arg) for arg in signature.args)
    return shown + ("..." if signature.variadic else "")


def _result(signature: Signature) -> str:
    if signature.kind is not FunctionKind.TABLE:
        return show(signature.result)
    if len(signature.columns) == 1 and signature.columns[0][0] == signature.name:
        return f"setof {show(signature.columns[0][1])}"
    columns = ", ".join(f"{name} {show(type_)}" for name, type_ in signature.columns)
    return f"setof ({columns})"


def fact(signature: Signature) -> str:
    """Return one line of the list: kind, schema, name, arguments, result, oid."""
    schema = "pg_catalog"
    if signature.kind is not FunctionKind.OPERATOR:
        schema = schema_of(signature.name)
    call = f"{schema}.{signature.name}({_arguments(signature)})"
    return f"{signature.kind.value} {call} -> {_result(signature)} #{signature.oid}"


def cast_facts() -> list[str]:
    """Return the list's lines about casts."""
    ordered = sorted(functions.CASTS.values(), key=lambda cast: (cast.source, cast.target))
    return [
        f"cast {cast.source.value} -> {cast.target.value} {CastContext(cast.context).name.lower()}"
        for cast in ordered
    ]


def facts() -> str:
    """Return the whole list."""
    return "\n".join([*sorted(map(fact, functions.SIGNATURES)), *cast_facts()]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _rows(signatures: Iterable[Signature]) -> Iterable[str]:
    named = sorted(signatures, key=lambda s: (s.kind is not FunctionKind.OPERATOR, s.name))
    for (name, _), group in groupby(named, key=lambda s: (s.name, s.kind)):
        calls = []
        for signature in group:
            if signature.kind is FunctionKind.OPERATOR:
                args = [show(arg) for arg in signature.args]
                call = f"{name} {args[0]}" if len(args) == 1 else f"{args[0]} {name} {args[1]}"
            else:
                call = f"{name}({_arguments(signature)})"
            calls.append(f"`{_escaped(call)}` → `{_escaped(_result(signature))}`")
        yield f"| `{_escaped(name)}` | {'<br>'.join(calls)} |"


def _casts() -> str:
    targets: dict[BaseType, dict[CastContext, list[str]]] = defaultdict(lambda: defaultdict(list))
    for cast in functions.CASTS.values():
        targets[cast.source][cast.context].append(cast.target.value)
    lines = ["| from | implicit | on assignment | written |", "| --- | --- | --- | --- |"]
    for source, by_context in targets.items():
        cells = (" ".join(by_context[context]) for context in CastContext)
        lines.append(f"| `{source.value}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def page() -> str:
    """Return the page for users."""
    parts = [_HEAD]
    for title, signatures in _FAMILIES:
        parts.append(f"## {title}\n")
        parts.append("| name | signatures |\n| --- | --- |\n" + "\n".join(_rows(signatures)) + "\n")
    parts.append(
        "## Casts\n\nA cast is valid where it stands and in every column to the right."
        " Any type also converts to and from strings by its text form: to them on assignment,"
        " from them where the cast is written.\n"
    )
    parts.append(_casts() + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write or check both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = 0
    for path, made in ((PAGE, page()), (FACTS, facts())):
        if path.exists() and path.read_text() == made:
            continue
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run python tools/list_functions.py")
            stale = 1
        else:
            path.write_text(made)
    return stale


if __name__ == "__main__":
    sys.exit(main())
