"""Queries as SQL."""

from headwater.sql.ast.base import Node
from headwater.sql.ast.keywords import quote
from headwater.sql.ast.printing.expressions import call
from headwater.sql.ast.printing.writer import (
    Rules,
    Writer,
    columns,
    name,
    names,
    when,
    words,
)
from headwater.sql.ast.query import (
    AsOf,
    Cte,
    DerivedTable,
    Expr,
    Function,
    Grouping,
    Join,
    JoinKind,
    JoinNatural,
    JoinOn,
    JoinUsing,
    NamedWindow,
    NestedJoin,
    Number,
    Query,
    RecursiveBinding,
    RowsFrom,
    Select,
    SelectHint,
    SelectItem,
    SetExpr,
    SetOperation,
    SetOperator,
    TableAlias,
    TableFunction,
    TableQuery,
    TableRef,
    Values,
    With,
    WithMutuallyRecursive,
)


def _query(w: Writer, node: Query) -> str:
    text = "" if node.with_ is None else w.node(node.with_) + " "
    text += f"({w.node(node.body)})" if isinstance(node.body, Query) else w.node(node.body)
    text += w.clause("ORDER BY ", node.order_by)
    if node.limit is not None and not node.with_ties:
        text += f" LIMIT {w.node(node.limit)}"
    text += w.optional("OFFSET ", node.offset)
    if node.limit is not None and node.with_ties:
        count = w.node(node.limit)
        count = count if isinstance(node.limit, Number) else f"({count})"
        text += f" FETCH FIRST {count} ROWS WITH TIES"
    return text + w.optional("", node.as_of)


def _as_of(w: Writer, node: AsOf) -> str:
    return f"AS OF {when(node.at_least, 'AT LEAST ')}{w.node(node.time)}"


def _cte(w: Writer, node: Cte) -> str:
    how = {None: "", True: "MATERIALIZED ", False: "NOT MATERIALIZED "}[node.materialized]
    return f"{quote(node.name)}{columns(node.columns)} AS {how}({w.node(node.query)})"


def _with(w: Writer, node: With) -> str:
    return f"WITH {when(node.recursive, 'RECURSIVE ')}{w.nodes(node.ctes)}"


def _with_mutually_recursive(w: Writer, node: WithMutuallyRecursive) -> str:
    limit = ""
    if node.limit is not None:
        limit = f" ({words(node.limit_kind, 'RECURSION LIMIT')} {node.limit})"
    return f"WITH MUTUALLY RECURSIVE{limit} {w.nodes(node.bindings)}"


def _binding(w: Writer, node: RecursiveBinding) -> str:
    return f"{quote(node.name)} ({w.nodes(node.columns)}) AS ({w.node(node.query)})"


# --- bodies ---------------------------------------------------------------------------------------


def _set_operation(w: Writer, node: SetOperation) -> str:
    own = _set_level(node)
    left = _set_operand(w, node.left, own - 1)
    right = _set_operand(w, node.right, own)
    return f"{left} {node.operator}{when(node.all, ' ALL')} {right}"


def _set_level(node: SetOperation) -> int:
    return 2 if node.operator is SetOperator.INTERSECT else 1


def _set_operand(w: Writer, node: SetExpr, above: int) -> str:
    text = w.node(node)
    loose = isinstance(node, SetOperation) and _set_level(node) <= above
    return f"({text})" if loose or isinstance(node, Query) else text


def _values(w: Writer, node: Values) -> str:
    return "VALUES " + ", ".join([f"({w.nodes(row)})" for row in node.rows])


def _select(w: Writer, node: Select) -> str:
    distinct = ""
    if node.distinct_on:
        distinct = f" DISTINCT ON ({w.nodes(node.distinct_on)})"
    elif node.distinct:
        distinct = " DISTINCT"
    hints = f" OPTIONS ({w.nodes(node.hints)})" if node.hints else ""
    return (
        f"SELECT{distinct}"
        + w.clause("", node.items)
        + w.clause("FROM ", node.from_)
        + w.optional("WHERE ", node.where)
        + w.clause("GROUP BY ", node.group_by)
        + hints
        + w.optional("HAVING ", node.having)
        + w.clause("WINDOW ", node.windows)
        + w.optional("QUALIFY ", node.qualify)
    )


def _select_item(w: Writer, node: SelectItem) -> str:
    return w.node(node.expression) + _alias(node.alias)


def _alias(alias: str | None) -> str:
    return "" if alias is None else f" AS {quote(alias)}"


def _grouping(w: Writer, node: Grouping) -> str:
    return words(node.kind, f"({w.nodes(node.elements)})")


def _hint(w: Writer, node: SelectHint) -> str:
    return node.name.upper() + w.optional("= ", node.value)


# --- FROM -----------------------------------------------------------------------------------------


def _table_alias(w: Writer, node: TableAlias) -> str:
    if not node.types:
        return f"AS {quote(node.name)}{columns(node.columns)}"
    pairs = zip(node.columns, node.types, strict=True)
    typed = ", ".join([f"{quote(column)} {w.node(of)}" for column, of in pairs])
    return f"AS {quote(node.name)} ({typed})"


def _table_ref(w: Writer, node: TableRef) -> str:
    return name(node.name) + w.optional("", node.alias)


def _derived(w: Writer, node: DerivedTable) -> str:
    lateral = when(node.lateral, "LATERAL ")
    return f"{lateral}({w.node(node.query)}){w.optional('', node.alias)}"


def _called(w: Writer, node: Expr) -> str:
    return call(w, node) if isinstance(node, Function) else w.node(node)


def _table_function(w: Writer, node: TableFunction) -> str:
    ordinality = when(node.with_ordinality, " WITH ORDINALITY")
    text = when(node.lateral, "LATERAL ") + _called(w, node.function)
    return text + ordinality + w.optional("", node.alias)


def _rows_from(w: Writer, node: RowsFrom) -> str:
    functions = ", ".join([_called(w, function) for function in node.functions])
    ordinality = when(node.with_ordinality, " WITH ORDINALITY")
    lateral = when(node.lateral, "LATERAL ")
    return f"{lateral}ROWS FROM ({functions}){ordinality}{w.optional('', node.alias)}"


def _join(w: Writer, node: Join) -> str:
    right = w.node(node.right)
    if isinstance(node.right, Join):
        right = f"({right})"
    natural = when(isinstance(node.constraint, JoinNatural), "NATURAL ")
    text = f"{w.node(node.left)} {natural}{node.kind} {right}"
    if node.kind is JoinKind.CROSS or natural:
        return text
    return text + w.optional("", node.constraint)


def _join_using(w: Writer, node: JoinUsing) -> str:
    return f"USING ({names(node.columns)}){_alias(node.alias)}"


def _nested_join(w: Writer, node: NestedJoin) -> str:
    return f"({w.node(node.join)}) {w.node(node.alias)}"


def _never(w: Writer, node: Node) -> str:
    return ""


RULES: Rules = {
    AsOf: _as_of,
    Cte: _cte,
    DerivedTable: _derived,
    Grouping: _grouping,
    Join: _join,
    JoinNatural: _never,
    JoinOn: lambda w, node: f"ON {w.node(node.condition)}",
    JoinUsing: _join_using,
    NamedWindow: lambda w, node: f"{quote(node.name)} AS {w.node(node.spec)}",
    NestedJoin: _nested_join,
    Query: _query,
    RecursiveBinding: _binding,
    RowsFrom: _rows_from,
    Select: _select,
    SelectHint: _hint,
    SelectItem: _select_item,
    SetOperation: _set_operation,
    TableAlias: _table_alias,
    TableFunction: _table_function,
    TableQuery: lambda w, node: f"TABLE {name(node.name)}",
    TableRef: _table_ref,
    Values: _values,
    With: _with,
    WithMutuallyRecursive: _with_mutually_recursive,
}
