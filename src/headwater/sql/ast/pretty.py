"""Trees as SQL text over several lines, where one line would be too long: SHOW CREATE's form.

A statement is a *document*: pieces of text with possible breaks between them, in groups. A group
stays on one line if it fits into the width, else all of its own breaks are taken, and the groups
inside are asked again (after Wadler, "A prettier printer", 2003). What has no rule here is one
piece, as :func:`headwater.sql.ast.printer.to_sql` has it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from headwater.sql.ast.base import Node
from headwater.sql.ast.connector import CreateConnection, CreateSource
from headwater.sql.ast.ddl import (
    CreateIndex,
    CreateMaterializedView,
    CreateTable,
    CreateView,
)
from headwater.sql.ast.keywords import quote
from headwater.sql.ast.printer import to_sql
from headwater.sql.ast.printing.writer import columns, name
from headwater.sql.ast.query import Query, Select

WIDTH = 100
_TAB = 4

Print = Callable[[Node], str]


class Break(msgspec.Struct, frozen=True):
    """A new line, or ``flat`` where its group stays on one line."""

    flat: str = " "


class Nest(msgspec.Struct, frozen=True):
    """What stands further right, where it is broken."""

    doc: "Doc"


class Group(msgspec.Struct, frozen=True):
    """What is broken everywhere or nowhere."""

    doc: "Doc"


Doc = str | Break | Nest | Group | tuple[Any, ...]

_LINE, _SOFT = Break(), Break("")


def pretty(statement: Node, *, width: int = WIDTH, redacted: bool = False) -> str:
    """Return a statement with a semicolon, on lines of ``width`` characters if that can be."""

    def text(node: Node) -> str:
        return to_sql(node, redacted=redacted)

    return _layout(_doc(statement, text), width) + ";"


# --- documents ------------------------------------------------------------------------------------


def _doc(node: Node, text: Print) -> Doc:
    rule = _RULES.get(type(node))
    return text(node) if rule is None else rule(node, text)


def _between(docs: Iterable[Doc], separator: Doc) -> Doc:
    joined: list[Doc] = []
    for doc in docs:
        joined += [separator, doc] if joined else [doc]
    return tuple(joined)


def _lines(docs: Iterable[Doc | None]) -> Doc:
    return _between((doc for doc in docs if doc), _LINE)


def _titled(title: str, doc: Doc) -> Doc:
    return Group((title, Nest((_LINE, doc))))


def _listed(nodes: Sequence[Node], text: Print) -> Doc:
    return _between((_doc(node, text) for node in nodes), (",", _LINE))


def _bracketed(before: str, doc: Doc, after: str = ")") -> Doc:
    return Group((before, Nest((_SOFT, doc)), _SOFT, after))


def _options(node: Any, text: Print) -> Doc:
    return _bracketed("WITH (", _listed(node.options, text)) if node.options else ""


def _cluster(node: Any) -> str:
    return "" if node.in_cluster is None else f"IN CLUSTER {name(node.in_cluster)}"


def _definitions(node: Any, text: Print) -> Doc:
    listed: list[Doc] = [
        quote(each) if isinstance(each, str) else text(each) for each in node.columns
    ]
    listed += [text(constraint) for constraint in node.constraints]
    return _bracketed("(", _between(listed, (",", _LINE))) if listed else ""


def _table(node: CreateTable, text: Print) -> Doc:
    kind = "CREATE TEMPORARY TABLE" if node.temporary else "CREATE TABLE"
    body = _definitions(node, text) or "()"
    options = _options(node, text)
    return (f"{kind} {name(node.name)} ", body, (" ", options) if options else "")


def _view(node: CreateView, text: Print) -> Doc:
    kind = "CREATE TEMPORARY VIEW" if node.temporary else "CREATE VIEW"
    head = f"{kind} {name(node.name)}{columns(node.columns)}"
    return Group((head, Nest((_LINE, _titled("AS", _doc(node.query, text))))))


def _materialized_view(node: CreateMaterializedView, text: Print) -> Doc:
    replaced = node.replacement_for
    kind = (
        "CREATE MATERIALIZED VIEW" if replaced is None else "CREATE REPLACEMENT MATERIALIZED VIEW"
    )
    parts = (
        f"{kind} {name(node.name)}{columns(node.columns)}",
        None if replaced is None else f"FOR {name(replaced)}",
        _cluster(node),
        _options(node, text),
        _titled("AS", _doc(node.query, text)),
    )
    return Group(Nest(_lines(parts)))


def _index(node: CreateIndex, text: Print) -> Doc:
    if node.keys is None or node.using is not None:
        return text(node)
    unique = "UNIQUE " if node.unique else ""
    parts = (
        f"CREATE {unique}INDEX" + ("" if node.name is None else f" {quote(node.name)}"),
        _cluster(node),
        (f"ON {name(node.on)} ", _bracketed("(", _listed(node.keys, text))),
        _options(node, text),
    )
    return Group(_lines(parts))


def _source(node: CreateSource, text: Print) -> Doc:
    definitions = _definitions(node, text)
    parts = (
        (f"CREATE SOURCE {name(node.name)}", (" ", definitions) if definitions else ""),
        _cluster(node),
        f"FROM {text(node.from_)}",
        None if node.format is None else text(node.format),
        None if node.tables is None else text(node.tables),
        None if node.progress is None else f"EXPOSE PROGRESS AS {name(node.progress)}",
        _options(node, text),
    )
    return Group(_lines(parts))


def _connection(node: CreateConnection, text: Print) -> Doc:
    parts = (
        f"CREATE CONNECTION {name(node.name)}",
        _bracketed(f"TO {node.kind.value} (", _listed(node.options, text)),
        _bracketed("WITH (", _listed(node.with_options, text)) if node.with_options else None,
    )
    return Group(_lines(parts))


def _query(node: Query, text: Print) -> Doc:
    if node.with_ is not None or node.as_of is not None or node.with_ties:
        return text(node)
    parts = (
        _doc(node.body, text),
        _titled("ORDER BY", _listed(node.order_by, text)) if node.order_by else None,
        None if node.limit is None else _titled("LIMIT", text(node.limit)),
        None if node.offset is None else _titled("OFFSET", text(node.offset)),
    )
    return Group(_lines(parts))


def _select(node: Select, text: Print) -> Doc:
    if node.hints or node.windows or node.qualify is not None or not node.items:
        return text(node)
    title = "SELECT"
    if node.distinct_on:
        title = f"SELECT DISTINCT ON ({', '.join(map(text, node.distinct_on))})"
    elif node.distinct:
        title = "SELECT DISTINCT"
    parts = (
        _titled(title, _listed(node.items, text)),
        _titled("FROM", _listed(node.from_, text)) if node.from_ else None,
        None if node.where is None else _titled("WHERE", text(node.where)),
        _titled("GROUP BY", _listed(node.group_by, text)) if node.group_by else None,
        None if node.having is None else _titled("HAVING", text(node.having)),
    )
    return Group(_lines(parts))


_RULES: dict[type[Node], Callable[[Any, Print], Doc]] = {
    CreateTable: _table,
    CreateView: _view,
    CreateMaterializedView: _materialized_view,
    CreateIndex: _index,
    CreateSource: _source,
    CreateConnection: _connection,
    Query: _query,
    Select: _select,
}


# --- layout ---------------------------------------------------------------------------------------


def _flat(doc: Doc) -> str:
    """Return a document on one line."""
    match doc:
        case str():
            return doc
        case Break():
            return doc.flat
        case tuple():
            return "".join(map(_flat, doc))
        case _:
            return _flat(doc.doc)


def _layout(doc: Doc, width: int) -> str:
    out: list[str] = []
    column = 0
    # (indentation, whether breaks are taken, document), the next one last
    waiting: list[tuple[int, bool, Doc]] = [(0, True, doc)]
    while waiting:
        indent, broken, next_ = waiting.pop()
        match next_:
            case str():
                out.append(next_)
                column = _column_after(next_, column)
            case Break(flat=flat):
                written = "\n" + " " * indent if broken else flat
                out.append(written)
                column = indent if broken else column + len(flat)
            case Nest(doc=inner):
                waiting.append((indent + _TAB, broken, inner))
            case Group(doc=inner):
                fits = column + len(_flat(inner)) + _up_to_break(waiting) <= width
                waiting.append((indent, broken and not fits, inner))
            case _:
                waiting.extend((indent, broken, each) for each in reversed(next_))
    return "".join(out)


def _column_after(text: str, column: int) -> int:
    """Return the column behind a text that may hold line breaks, in string literals."""
    _, newline, last = text.rpartition("\n")
    return len(last) if newline else column + len(text)


def _up_to_break(waiting: list[tuple[int, bool, Doc]]) -> int:
    """Return how many characters stand between here and the next break that is taken."""
    count = 0
    for _, broken, doc in reversed(waiting):
        if isinstance(doc, Break) and broken:
            break
        if not isinstance(doc, str | Break):
            break
        count += len(_flat(doc))
    return count
