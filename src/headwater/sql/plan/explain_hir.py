"""High-level plans as text: what EXPLAIN RAW PLAN shows.

One operator a line, inputs indented below. A column is ``#index{name}``, of an outer level with one
``^`` a level. Subqueries stand as ``exists($1)`` or ``scalar($2)`` and follow below their operator,
each under a line ``$1 =``, whatever nesting they were in.
"""

from collections.abc import Callable, Sequence

from headwater.errors import HeadwaterError
from headwater.ir.literals import show_literal
from headwater.ir.relation import FrameBoundKind, FrameExclusion, RowSetFinishing
from headwater.ir.scalar import (
    CallUnmaterializable,
    ColumnOrder,
    Literal,
    LiteralError,
    Parameter,
)
from headwater.sql.plan.frames import DEFAULT_FRAME
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    FrameBound,
    HirAggregate,
    HirCall,
    HirConstant,
    HirDistinct,
    HirFilter,
    HirGet,
    HirGetLocal,
    HirIf,
    HirJoin,
    HirLet,
    HirLetRec,
    HirMap,
    HirNegate,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    HirTableFunc,
    HirThreshold,
    HirTopK,
    HirUnion,
    ScalarSubquery,
    WindowCall,
    WindowFrame,
)
from headwater.types.ids import GlobalId

_ROWS_SHOWN_MAX = 20
_INFIX = {
    "eq": "=",
    "ne": "<>",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "AND",
    "or": "OR",
}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%"}
ShowId = Callable[[GlobalId], str]


def show_hir(relation: HirRelation, show_id: ShowId = str) -> str:
    """Return the plan as lines of text; ``show_id`` names catalog relations."""
    printer = _Printer(show_id)
    printer.relation(relation, 0)
    return "\n".join(printer.lines)


def show_finishing(finishing: RowSetFinishing) -> str:
    """Return ``Finish …`` of what is left to be done to a query's rows."""
    parts = []
    if finishing.order_by:
        parts.append(f"order_by=[{_orders(finishing.order_by)}]")
    if finishing.limit is not None:
        parts.append(f"limit={finishing.limit}")
    if finishing.offset:
        parts.append(f"offset={finishing.offset}")
    parts.append(f"output=[{', '.join(f'#{index}' for index in finishing.project)}]")
    return f"Finish {' '.join(parts)}"


def show_scalar(expr: HirScalar, show_id: ShowId = str) -> str:
    """Return a scalar on one line, its subqueries as numbers alone."""
    return _Printer(show_id).scalar(expr)


class _Printer:
    def __init__(self, show_id: ShowId) -> None:
        self.show_id = show_id
        self.lines: list[str] = []
        self.pending: list[tuple[int, HirRelation]] = []
        self.count = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append("  " * depth + text)

    # --- relations --------------------------------------------------------------------------------

    def operator(self, depth: int, text: str, *inputs: HirRelation) -> None:
        """Print an operator, the subqueries of its scalars, then its inputs."""
        pending, self.pending = self.pending, []
        self.line(depth, text)
        for number, relation in pending:
            self.line(depth + 1, f"${number} =")
            self.relation(relation, depth + 2)
        for relation in inputs:
            self.relation(relation, depth + 1)

    def relation(self, node: HirRelation, depth: int) -> None:  # noqa: C901, PLR0912
        """Print a relation at an indentation."""
        match node:
            case HirConstant():
                self.constant(node, depth)
            case HirGet(id):
                self.operator(depth, f"Get {self.show_id(id)}")
            case HirGetLocal(id):
                self.operator(depth, f"Get l{id}")
            case HirLet(name, id, value, body):
                self.line(depth, "With")
                self.line(depth + 1, f"cte l{id} ({name}) =")
                self.relation(value, depth + 2)
                self.line(depth, "Return")
                self.relation(body, depth + 1)
            case HirLetRec():
                self.let_rec(node, depth)
            case HirProject(input, outputs):
                self.operator(depth, f"Project ({', '.join(f'#{i}' for i in outputs)})", input)
            case HirMap(input, scalars):
                self.operator(depth, f"Map ({self.scalars(scalars)})", input)
            case HirFilter(input, predicates):
                shown = " AND ".join(self.operand(p) for p in predicates)
                self.operator(depth, f"Filter {shown}", input)
            case HirTableFunc(func, args):
                self.operator(depth, f"CallTable {func}({self.scalars(args)})")
            case HirJoin():
                lateral = " lateral" if node.lateral else ""
                text = f"Join {node.join_kind.value}{lateral} on={self.scalar(node.on)}"
                self.operator(depth, text, node.left, node.right)
            case HirReduce():
                self.reduce(node, depth)
            case HirDistinct(input):
                self.operator(depth, "Distinct", input)
            case HirTopK():
                self.top_k(node, depth)
            case HirNegate(input):
                self.operator(depth, "Negate", input)
            case HirThreshold(input):
                self.operator(depth, "Threshold", input)
            case HirUnion(inputs):
                self.operator(depth, "Union", *inputs)

    def constant(self, node: HirConstant, depth: int) -> None:
        if node.desc.arity == 0 and node.rows == ((b"", 1),):
            self.operator(depth, "Constant unit")
            return
        self.operator(depth, f"Constant {len(node.rows)} rows of {node.desc.arity}")
        for data, diff in node.rows[:_ROWS_SHOWN_MAX]:
            count = "" if diff == 1 else f" x {diff}"
            self.line(depth + 1, f"- {data.hex()}{count}")
        if len(node.rows) > _ROWS_SHOWN_MAX:
            self.line(depth + 1, f"- … {len(node.rows) - _ROWS_SHOWN_MAX} more")

    def let_rec(self, node: HirLetRec, depth: int) -> None:
        limit = ""
        if node.limit is not None:
            what = "return" if node.limit.return_at_limit else "error"
            limit = f" [{what} at recursion limit {node.limit.rounds}]"
        self.line(depth, f"With Mutually Recursive{limit}")
        for name, id, value in zip(node.names, node.ids, node.values, strict=True):
            self.line(depth + 1, f"cte l{id} ({name}) =")
            self.relation(value, depth + 2)
        self.line(depth, "Return")
        self.relation(node.body, depth + 1)

    def reduce(self, node: HirReduce, depth: int) -> None:
        parts = [f"group_by=[{', '.join(f'#{i}' for i in node.group_key)}]"]
        if node.aggregates:
            parts.append(f"aggregates=[{', '.join(map(self.aggregate, node.aggregates))}]")
        if node.expected_group_size is not None:
            parts.append(f"exp_group_size={node.expected_group_size}")
        self.operator(depth, f"Reduce {' '.join(parts)}", node.input)

    def aggregate(self, aggregate: HirAggregate) -> str:
        """Return an aggregate's call."""
        distinct = "distinct " if aggregate.distinct else ""
        order = f" order_by=[{_orders(aggregate.order_by)}]" if aggregate.order_by else ""
        return f"{aggregate.func}({distinct}{self.scalar(aggregate.expr)}{order})"

    def top_k(self, node: HirTopK, depth: int) -> None:
        parts = []
        if node.group_key:
            parts.append(f"group_by=[{', '.join(f'#{i}' for i in node.group_key)}]")
        if node.order_key:
            parts.append(f"order_by=[{_orders(node.order_key)}]")
        if node.limit is not None:
            parts.append(f"limit={self.scalar(node.limit)}")
        if node.offset:
            parts.append(f"offset={node.offset}")
        if node.expected_group_size is not None:
            parts.append(f"exp_group_size={node.expected_group_size}")
        self.operator(depth, " ".join(["TopK", *parts]), node.input)

    # --- scalars ----------------------------------------------------------------------------------

    def scalars(self, exprs: Sequence[HirScalar]) -> str:
        """Return scalars with commas."""
        return ", ".join(map(self.scalar, exprs))

    def scalar(self, expr: HirScalar) -> str:
        """Return a scalar; its subqueries wait to be printed below the operator."""
        match expr:
            case ColumnRef(level, index, _, name):
                shown = f"{{{name}}}" if name else ""
                return f"#{'^' * level}{index}{shown}"
            case Literal():
                return _literal(expr)
            case LiteralError(error):
                return f"error({error.sqlstate}: {error.message})"
            case Parameter(number):
                return f"${number}"
            case CallUnmaterializable(func):
                return f"{func.value}()"
            case HirCall():
                return self.call(expr)
            case HirIf(cond, then, els):
                return (
                    f"case when {self.scalar(cond)} then {self.scalar(then)}"
                    f" else {self.scalar(els)} end"
                )
            case Exists(relation):
                return f"exists({self.subquery(relation)})"
            case ScalarSubquery(relation):
                return f"scalar({self.subquery(relation)})"
            case WindowCall():
                return self.window(expr)

    def operand(self, expr: HirScalar) -> str:
        """Return a scalar, in parentheses if it is an infix call."""
        text = self.scalar(expr)
        infix = isinstance(expr, HirCall) and _infix(expr) is not None
        return f"({text})" if infix else text

    def call(self, expr: HirCall) -> str:
        """Return a call, infix where it is an operator."""
        symbol = _infix(expr)
        if symbol is not None:
            return f" {symbol} ".join(map(self.operand, expr.args))
        if expr.func == "not" and isinstance(expr.args[0], HirCall):
            inner = expr.args[0]
            if inner.func == "is_null":
                return f"{self.operand(inner.args[0])} is not null"
        if expr.func == "is_null":
            return f"{self.operand(expr.args[0])} is null"
        return f"{expr.func}({self.scalars(expr.args)})"

    def subquery(self, relation: HirRelation) -> str:
        """Return the number of a subquery, to be printed later."""
        self.count += 1
        self.pending.append((self.count, relation))
        return f"${self.count}"

    def window(self, expr: WindowCall) -> str:
        """Return a window function's call."""
        parts = []
        if expr.partition_by:
            parts.append(f"partition by {self.scalars(expr.partition_by)}")
        if expr.order_by:
            keys = [
                f"{self.scalar(key)}{_direction(desc, last)}" for key, desc, last in expr.order_by
            ]
            parts.append(f"order by {', '.join(keys)}")
        if expr.frame != DEFAULT_FRAME:
            parts.append(self.frame(expr.frame))
        order = f" order_by=[{_orders(expr.inner_order)}]" if expr.inner_order else ""
        after = " ignore nulls" if expr.ignore_nulls else ""
        if expr.filter is not None:
            after += f" filter {self.operand(expr.filter)}"
        return f"{expr.func}({self.scalars(expr.args)}{order}){after} over ({' '.join(parts)})"

    def frame(self, frame: WindowFrame) -> str:
        """Return a frame."""
        text = f"{frame.units.value} {self.bound(frame.start)} to {self.bound(frame.end)}"
        if frame.exclusion is not FrameExclusion.NO_OTHERS:
            text += f" exclude {frame.exclusion.replace('_', ' ')}"
        return text

    def bound(self, bound: FrameBound) -> str:
        """Return one end of a frame."""
        if bound.value is not None:
            return self.operand(bound.value)
        if bound.kind in (FrameBoundKind.PRECEDING, FrameBoundKind.FOLLOWING):
            return f"{bound.offset} {bound.kind.value}"
        return bound.kind.value.replace("_", " ")


def _infix(expr: HirCall) -> str | None:
    if len(expr.args) < 2:
        return None
    found = _INFIX.get(expr.func)
    return found if found is not None else _ARITHMETIC.get(expr.func.partition("_")[0])


def _literal(literal: Literal) -> str:
    try:
        return show_literal(literal)
    except HeadwaterError:
        return f"0x{literal.data.hex()}"


def _direction(desc: bool, nulls_last: bool) -> str:
    if desc:
        return " desc nulls_last" if nulls_last else " desc"
    return "" if nulls_last else " asc nulls_first"


def _orders(orders: Sequence[ColumnOrder]) -> str:
    return ", ".join(f"#{o.column}{_direction(o.desc, o.nulls_last)}" for o in orders)
