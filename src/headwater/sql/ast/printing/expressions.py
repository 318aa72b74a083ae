"""Expressions and data types as SQL."""

from headwater.sql.ast.base import (
    ArrayType,
    ColumnDefinition,
    ListType,
    MapType,
    NamedType,
    Node,
    ObjectName,
)
from headwater.sql.ast.keywords import quote, quote_type
from headwater.sql.ast.printing.writer import (
    LOOSEST,
    REDACTED,
    Rules,
    Writer,
    name,
    path,
    when,
    words,
)
from headwater.sql.ast.query import (
    And,
    AnyAll,
    ArrayExpr,
    ArrayQuery,
    Between,
    BinaryOp,
    Boolean,
    Case,
    Cast,
    Coalesce,
    Default,
    Exists,
    FieldAccess,
    FrameBound,
    Function,
    Greatest,
    Identifier,
    InList,
    InSubquery,
    IntervalField,
    IntervalLiteral,
    Is,
    IsDistinctFrom,
    Least,
    Like,
    ListExpr,
    ListQuery,
    MapEntry,
    MapExpr,
    MapQuery,
    NamedArgument,
    Not,
    Null,
    NullIf,
    Number,
    Or,
    OrderItem,
    Parameter,
    QualifiedWildcard,
    Query,
    RecordWildcard,
    Row,
    String,
    Subquery,
    Subscript,
    SubscriptItem,
    UnaryOp,
    When,
    Wildcard,
    WindowFrame,
    WindowSpec,
)

# --- levels: how tightly an expression's outer operator binds, as in parse.expression -------------

_OR, _AND, _NOT, _IS, _COMPARISON, _LIKE, _OTHER, _ADD, _MULTIPLY, _POWER = range(1, 11)
_AT, _SIGN, _POSTFIX, _PRIMARY = 11, 13, 14, 15

_LEVELS: dict[type[Node], int] = {
    Or: _OR,
    And: _AND,
    Not: _NOT,
    Is: _IS,
    IsDistinctFrom: _IS,
    Between: _LIKE,
    InList: _LIKE,
    InSubquery: _LIKE,
    Like: _LIKE,
    Cast: _POSTFIX,
    FieldAccess: _POSTFIX,
    RecordWildcard: _POSTFIX,
    Subscript: _POSTFIX,
}
_OPERATOR_LEVELS = {
    **dict.fromkeys(("<", ">", "=", "<=", ">=", "<>"), _COMPARISON),
    **dict.fromkeys("+-", _ADD),
    **dict.fromkeys("*/%", _MULTIPLY),
    "^": _POWER,
}
_OPERATOR_CHARACTERS = frozenset("+-*/<>=~!@#%^&|`?")


def level(node: Node) -> int:
    """Return how tightly the node's outer operator binds."""
    if isinstance(node, BinaryOp | AnyAll):
        return _operator_level(node.operator, node.schema)
    if isinstance(node, UnaryOp):
        return _SIGN if node.operator in ("+", "-") and not node.schema else _OTHER
    if isinstance(node, Number):
        return _SIGN if node.text.startswith("-") else _PRIMARY
    if isinstance(node, Function) and _is_at_time_zone(node):
        return _AT
    return _LEVELS.get(type(node), _PRIMARY)


def _operator_level(operator: str, schema: tuple[str, ...]) -> int:
    return _OTHER if schema else _OPERATOR_LEVELS.get(operator, _OTHER)


def _operator(operator: str, schema: tuple[str, ...]) -> str:
    return f"OPERATOR({path(schema)}.{operator})" if schema else operator


# --- data types -----------------------------------------------------------------------------------


def _named_type(w: Writer, node: NamedType) -> str:
    plain = len(node.name.parts) == 1 and node.name.id is None
    text = quote_type(node.name.last) if plain else name(node.name)
    if node.modifiers:
        text += "(" + ", ".join(map(str, node.modifiers)) + ")"
    return text


def _array_type(w: Writer, node: ArrayType) -> str:
    return w.node(node.element) + "[]" * node.dimensions


def _map_type(w: Writer, node: MapType) -> str:
    return f"map[{w.node(node.key)} => {w.node(node.value)}]"


def _column_definition(w: Writer, node: ColumnDefinition) -> str:
    return f"{quote(node.name)} {w.node(node.data_type)}"


# --- literals -------------------------------------------------------------------------------------


def _number(w: Writer, node: Number) -> str:
    return REDACTED if w.redacted else node.text


def _interval(w: Writer, node: IntervalLiteral) -> str:
    precision = f" ({node.precision})" if node.precision is not None else ""
    fields = str(node.leading or "") + (f" TO {node.trailing}" if node.trailing else "")
    at_second = (node.trailing or node.leading) is IntervalField.SECOND
    before, after = ("", precision) if at_second else (precision, "")
    return words(f"INTERVAL{before}", w.string(node.value), fields) + after


# --- operators ------------------------------------------------------------------------------------


def _unary(w: Writer, node: UnaryOp) -> str:
    own = level(node)
    operator = _operator(node.operator, node.schema)
    nested = own == _SIGN or isinstance(node.operand, UnaryOp)
    operand = w.above(node.operand, own - 1 if nested else own)
    between = " " if node.schema or operand[0] in _OPERATOR_CHARACTERS else ""
    return f"{operator}{between}{operand}"


def _binary(w: Writer, node: BinaryOp) -> str:
    own = level(node)
    left = w.above(node.left, own if own == _COMPARISON else own - 1)
    return f"{left} {_operator(node.operator, node.schema)} {w.above(node.right, own)}"


def _and(w: Writer, node: And) -> str:
    return " AND ".join([w.above(operand, _AND) for operand in node.operands])


def _or(w: Writer, node: Or) -> str:
    return " OR ".join([w.above(operand, _OR) for operand in node.operands])


def _not(w: Writer, node: Not) -> str:
    return f"NOT {w.above(node.operand, _NOT - 1)}"


def _is(w: Writer, node: Is) -> str:
    return f"{w.above(node.operand, _IS - 1)} IS {when(node.negated, 'NOT ')}{node.test}"


def _is_distinct(w: Writer, node: IsDistinctFrom) -> str:
    verb = "IS NOT DISTINCT FROM" if node.negated else "IS DISTINCT FROM"
    return f"{w.above(node.left, _IS - 1)} {verb} {w.above(node.right, _IS)}"


def _like(w: Writer, node: Like) -> str:
    verb = when(node.negated, "NOT ") + ("ILIKE" if node.case_insensitive else "LIKE")
    text = f"{w.above(node.operand, _LIKE - 1)} {verb} {w.above(node.pattern, _LIKE)}"
    if node.escape is not None:
        text += f" ESCAPE {w.above(node.escape, _LIKE)}"
    return text


def _between(w: Writer, node: Between) -> str:
    verb = when(node.negated, "NOT ") + "BETWEEN" + when(node.symmetric, " SYMMETRIC")
    bounds = f"{w.above(node.low, _LIKE)} AND {w.above(node.high, _LIKE)}"
    return f"{w.above(node.operand, _LIKE - 1)} {verb} {bounds}"


def _in_list(w: Writer, node: InList) -> str:
    verb = when(node.negated, "NOT ") + "IN"
    return f"{w.above(node.operand, _LIKE - 1)} {verb} ({w.nodes(node.items)})"


def _in_subquery(w: Writer, node: InSubquery) -> str:
    verb = when(node.negated, "NOT ") + "IN"
    return f"{w.above(node.operand, _LIKE - 1)} {verb} ({w.node(node.query)})"


def _any_all(w: Writer, node: AnyAll) -> str:
    own = level(node)
    left = w.above(node.operand, own if own == _COMPARISON else own - 1)
    operator = _operator(node.operator, node.schema)
    return f"{left} {operator} {'ALL' if node.is_all else 'ANY'} ({w.node(node.right)})"


# --- access ---------------------------------------------------------------------------------------


def _cast(w: Writer, node: Cast) -> str:
    return f"{w.above(node.operand, _POSTFIX - 1)}::{w.node(node.data_type)}"


def _accessed(w: Writer, node: Node) -> str:
    """Print what a dot follows: in parentheses where the dot would belong to something inside."""
    loose = level(node) < _POSTFIX or isinstance(node, Cast | Identifier | Number)
    bare = isinstance(node, Function) and _plain_name(node) in _BARE
    text = w.node(node)
    return f"({text})" if loose or bare else text


def _field(w: Writer, node: FieldAccess) -> str:
    return f"{_accessed(w, node.operand)}.{quote(node.field)}"


def _record_wildcard(w: Writer, node: RecordWildcard) -> str:
    return f"{_accessed(w, node.operand)}.*"


def _subscript(w: Writer, node: Subscript) -> str:
    operand = w.node(node.operand)
    if level(node.operand) < _PRIMARY and not isinstance(node.operand, FieldAccess):
        operand = f"({operand})"
    return operand + "".join([w.node(item) for item in node.items])


def _subscript_item(w: Writer, node: SubscriptItem) -> str:
    lower = "" if node.lower is None else w.node(node.lower)
    upper = "" if node.upper is None else w.node(node.upper)
    return f"[{lower} : {upper}]" if node.is_slice else f"[{lower}]"


# --- conditionals ---------------------------------------------------------------------------------


def _case(w: Writer, node: Case) -> str:
    branches = " ".join([w.node(branch) for branch in node.branches])
    operand = w.optional("", node.operand)
    return f"CASE{operand} {branches}{w.optional('ELSE ', node.otherwise)} END"


def _when(w: Writer, node: When) -> str:
    return f"WHEN {w.node(node.condition)} THEN {w.node(node.result)}"


# --- calls ----------------------------------------------------------------------------------------

_BARE = frozenset(
    [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
    ]
)
_SPECIAL = frozenset(["extract", "overlay", "substring"])


def _function(w: Writer, node: Function) -> str:
    plain = _plain_name(node)
    if plain in _BARE and not node.arguments:
        return plain
    if _is_at_time_zone(node):
        zone, time = node.arguments
        return f"{w.above(time, _AT - 1)} AT TIME ZONE {w.above(zone, _AT)}"
    if plain == "position" and len(node.arguments) == 2:
        needle, haystack = (w.above(argument, _LIKE) for argument in node.arguments)
        return f"position({needle} IN {haystack})"
    return call(w, node)


def _is_at_time_zone(node: Function) -> bool:
    return len(node.arguments) == 2 and _plain_name(node) == "timezone"


def _plain_name(node: Function) -> str:
    """Return the name of a call that may have a syntax of its own, else nothing."""
    decorated = (
        node.star,
        node.distinct,
        node.variadic,
        node.order_by,
        node.within_group,
        node.filter,
        node.nulls,
        node.over,
    )
    if len(node.name.parts) > 1 or node.name.id is not None or any(decorated):
        return ""
    if any(isinstance(argument, NamedArgument) for argument in node.arguments):
        return ""
    return node.name.last


def call(w: Writer, node: Function) -> str:
    """Return a call with parentheses; in FROM even CURRENT_DATE needs them."""
    called = name(node.name)
    if node.arguments and _plain_name(node) in _SPECIAL:
        called = node.name.last
    arguments = [w.node(argument) for argument in node.arguments]
    if node.variadic:
        arguments[-1] = "VARIADIC " + arguments[-1]
    inside = "*" if node.star else when(node.distinct, "DISTINCT ") + ", ".join(arguments)
    inside += w.clause("ORDER BY ", node.order_by)
    within = f"WITHIN GROUP (ORDER BY {w.nodes(node.within_group)})" if node.within_group else ""
    condition = "" if node.filter is None else f"FILTER (WHERE {w.node(node.filter)})"
    nulls = f"{node.nulls} NULLS" if node.nulls else ""
    return words(f"{called}({inside})", within, nulls, condition, _over(w, node.over))


def _over(w: Writer, over: WindowSpec | str | None) -> str:
    if over is None:
        return ""
    return f"OVER {quote(over)}" if isinstance(over, str) else f"OVER {w.node(over)}"


def _window_spec(w: Writer, node: WindowSpec) -> str:
    partition = f"PARTITION BY {w.nodes(node.partition_by)}" if node.partition_by else ""
    order = f"ORDER BY {w.nodes(node.order_by)}" if node.order_by else ""
    base = quote(node.base) if node.base is not None else ""
    frame = w.node(node.frame) if node.frame is not None else ""
    return f"({words(base, partition, order, frame)})"


def _window_frame(w: Writer, node: WindowFrame) -> str:
    extent = w.node(node.start)
    if node.end is not None:
        extent = f"BETWEEN {extent} AND {w.node(node.end)}"
    return words(node.unit, extent, node.exclusion and f"EXCLUDE {node.exclusion}")


def _frame_bound(w: Writer, node: FrameBound) -> str:
    if node.offset is None:
        return node.kind
    return f"{w.above(node.offset, _LIKE)} {node.kind}"


def _order_item(w: Writer, node: OrderItem) -> str:
    nulls = ""
    if node.nulls_first is not None:
        nulls = " NULLS FIRST" if node.nulls_first else " NULLS LAST"
    return f"{w.above(node.expression, LOOSEST)}{when(node.descending, ' DESC')}{nulls}"


def _array(w: Writer, node: ArrayExpr) -> str:
    return "ARRAY" + _brackets(w, node)


def _list(w: Writer, node: ListExpr) -> str:
    return "LIST" + _brackets(w, node)


def _brackets(w: Writer, node: ArrayExpr | ListExpr) -> str:
    """Print brackets; those of the same kind directly inside do without their word."""
    kind = type(node)
    shown = [_brackets(w, item) if isinstance(item, kind) else w.node(item) for item in node.items]
    return f"[{', '.join(shown)}]"


def _map(w: Writer, node: MapExpr) -> str:
    return "MAP" + _map_brackets(w, node)


def _map_brackets(w: Writer, node: MapExpr) -> str:
    return f"[{w.nodes(node.entries)}]"


def _map_entry(w: Writer, node: MapEntry) -> str:
    value = node.value
    shown = _map_brackets(w, value) if isinstance(value, MapExpr) else w.node(value)
    return f"{w.node(node.key)} => {shown}"


def _subquery(prefix: str, w: Writer, query: Query) -> str:
    return f"{prefix}({w.node(query)})"


RULES: Rules = {
    And: _and,
    AnyAll: _any_all,
    ArrayExpr: _array,
    ArrayQuery: lambda w, node: _subquery("ARRAY", w, node.query),
    ArrayType: _array_type,
    Between: _between,
    BinaryOp: _binary,
    Boolean: lambda w, node: "true" if node.value else "false",
    Case: _case,
    Cast: _cast,
    Coalesce: lambda w, node: f"COALESCE({w.nodes(node.items)})",
    ColumnDefinition: _column_definition,
    Default: lambda w, node: "DEFAULT",
    Exists: lambda w, node: _subquery("EXISTS ", w, node.query),
    FieldAccess: _field,
    FrameBound: _frame_bound,
    Function: _function,
    Greatest: lambda w, node: f"GREATEST({w.nodes(node.items)})",
    Identifier: lambda w, node: path(node.parts),
    InList: _in_list,
    InSubquery: _in_subquery,
    IntervalLiteral: _interval,
    Is: _is,
    IsDistinctFrom: _is_distinct,
    Least: lambda w, node: f"LEAST({w.nodes(node.items)})",
    Like: _like,
    ListExpr: _list,
    ListQuery: lambda w, node: _subquery("LIST", w, node.query),
    ListType: lambda w, node: w.node(node.element) + " list",
    MapEntry: _map_entry,
    MapExpr: _map,
    MapQuery: lambda w, node: _subquery("MAP", w, node.query),
    MapType: _map_type,
    NamedArgument: lambda w, node: f"{quote(node.name)} => {w.node(node.value)}",
    NamedType: _named_type,
    Not: _not,
    Null: lambda w, node: "NULL",
    NullIf: lambda w, node: f"NULLIF({w.node(node.left)}, {w.node(node.right)})",
    Number: _number,
    ObjectName: lambda w, node: name(node),
    Or: _or,
    OrderItem: _order_item,
    Parameter: lambda w, node: f"${node.number}",
    QualifiedWildcard: lambda w, node: f"{path(node.parts)}.*",
    RecordWildcard: _record_wildcard,
    Row: lambda w, node: f"ROW({w.nodes(node.items)})",
    String: lambda w, node: w.string(node.value),
    Subquery: lambda w, node: _subquery("", w, node.query),
    Subscript: _subscript,
    SubscriptItem: _subscript_item,
    UnaryOp: _unary,
    When: _when,
    Wildcard: lambda w, node: "*",
    WindowFrame: _window_frame,
    WindowSpec: _window_spec,
}
