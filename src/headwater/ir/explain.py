"""Plans as text: what EXPLAIN shows, in Materialize's vocabulary.

:func:`explain_relation` prints the relational plan, :func:`explain_plan` the physical one,
:func:`explain_scalar` one expression; :func:`explained` puts the frame around them (title, used
indexes, target cluster, notices). Columns are ``#n``, with ``{name}`` where the name is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.errors import InternalError
from headwater.ir import kernels
from headwater.ir import physical as lir
from headwater.ir import relation as mir
from headwater.ir.attributes import Attributes
from headwater.ir.functions import CASTS, SIGNATURES, FunctionKind
from headwater.ir.literals import show_literal
from headwater.ir.physical import Mfp, Plan
from headwater.ir.relation import Global, JoinKind, LocalId, RelationExpr, RelationId
from headwater.ir.rows import split_row
from headwater.ir.scalar import (
    AggregateExpr,
    Call,
    CallUnmaterializable,
    Column,
    ColumnOrder,
    If,
    Literal,
    LiteralError,
    Parameter,
    ScalarExpr,
)
from headwater.ir.typing import column_names
from headwater.ir.visit_physical import plan_inputs
from headwater.types.ids import GlobalId
from headwater.types.scalar import ColumnType

Names = Sequence[str | None]

CONSTANT_ROWS_MAX = 20  # rows of a constant that are printed


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What a plan's text shows.

    Attributes:
        names: Printed names of global ids; others are printed as they are.
        column_names: Whether columns carry their names.
        attributes: What else each operator of a relational plan says of itself.
        redacted: Whether literals are hidden.
        join_implementations: Whether joins say in which order and by which keys they look up.
    """

    names: Mapping[GlobalId, str] = field(default_factory=dict)
    column_names: bool = True
    attributes: Attributes | None = None
    redacted: bool = False
    join_implementations: bool = False

    def name(self, id: RelationId) -> str:
        """Return what is printed for a relation."""
        if isinstance(id, LocalId):
            return f"l{id.id}"
        return self.names.get(id.id, id.id)


DEFAULT = ExplainOptions()


def explained(
    title: str,
    body: str,
    *,
    sources: Iterable[str] = (),
    used_indexes: Iterable[tuple[str, Sequence[str]]] = (),
    target_cluster: str | None = None,
    notices: Iterable[str] = (),
) -> str:
    """Return a whole EXPLAIN text.

    Args:
        title: ``Explained Query``, ``materialize.public.v`` …, without a colon.
        body: The plan's text.
        sources: What is done to rows as they are read, see :func:`explain_source`.
        used_indexes: Names of indexes, each with the ways in which it is used.
        target_cluster: Where the plan would run; None leaves the line out.
        notices: Advice, one paragraph each.
    """
    parts = [f"{title}:\n{_indent(body.rstrip(), 1)}"]
    parts.extend(text.rstrip() for text in sources)
    lines = [f"  - {name} ({', '.join(usages)})" for name, usages in used_indexes]
    if lines:
        parts.append("\n".join(["Used Indexes:", *lines]))
    if target_cluster is not None:
        parts.append(f"Target cluster: {target_cluster}")
    found = [f"  - {notice}" for notice in notices]
    if found:
        parts.append("\n".join(["Notices:", *found]))
    return "\n\n".join(parts) + "\n"


# Scalars.


def _operator_tables() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    infix: dict[str, str] = {}
    prefix: dict[str, str] = {}
    functions: dict[str, str] = {}
    # A kernel that casts is shown as the cast, whatever functions call it too.
    for cast in CASTS.values():
        functions.setdefault(cast.kernel, f"{cast.source.value}_to_{cast.target.value}")
    for signature in SIGNATURES:
        if signature.kind is FunctionKind.OPERATOR:
            table = infix if len(signature.args) == 2 else prefix
            table.setdefault(signature.kernel, signature.name)
        else:
            functions.setdefault(signature.kernel, signature.name)
    return infix, prefix, functions


_INFIX, _PREFIX, _FUNCTIONS = _operator_tables()
_INFIX.update({"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="})


def explain_scalar(expr: ScalarExpr, names: Names = (), options: ExplainOptions = DEFAULT) -> str:
    """Return ``expr`` as text; ``names`` are those of its columns."""
    match expr:
        case Column():
            return _column(expr.index, names, options)
        case Literal():
            return _literal(expr, options)
        case LiteralError():
            return f'error("{expr.error.message}")'
        case Parameter():
            return f"${expr.number}"
        case CallUnmaterializable():
            return f"{expr.func.value}()"
        case If():
            cond, then, els = (
                explain_scalar(part, names, options) for part in (expr.cond, expr.then, expr.els)
            )
            return f"case when {cond} then {then} else {els} end"
        case Call():
            return _call(expr, names, options)


def _call(expr: Call, names: Names, options: ExplainOptions) -> str:
    args = [explain_scalar(arg, names, options) for arg in expr.args]
    func = expr.func
    if func in (kernels.AND, kernels.OR):
        return "(" + f" {func.upper()} ".join(args) + ")"
    if func == kernels.NOT:
        inner = expr.args[0]
        if isinstance(inner, Call) and inner.func == kernels.IS_NULL:
            return f"({explain_scalar(inner.args[0], names, options)}) IS NOT NULL"
        return f"NOT({args[0]})"
    if func == kernels.IS_NULL:
        return f"({args[0]}) IS NULL"
    if func == kernels.RECORD:
        return f"row({', '.join(args)})"
    if func in _INFIX and len(args) == 2:
        return f"({args[0]} {_INFIX[func]} {args[1]})"
    if func in _PREFIX and len(args) == 1:
        return f"{_PREFIX[func]}({args[0]})"
    return f"{_FUNCTIONS.get(func, func)}({', '.join(args)})"


def _literal(expr: Literal, options: ExplainOptions) -> str:
    if kernels.is_null_literal(expr):
        return "null"
    if options.redacted:
        return "█"
    return show_literal(expr)


def _column(index: int, names: Names, options: ExplainOptions) -> str:
    name = names[index] if options.column_names and index < len(names) else None
    return f"#{index}" if name is None else f"#{index}{{{name}}}"


def _list(exprs: Iterable[ScalarExpr], names: Names, options: ExplainOptions) -> str:
    return ", ".join(explain_scalar(expr, names, options) for expr in exprs)


def _aggregate(item: AggregateExpr, names: Names, options: ExplainOptions) -> str:
    distinct = "distinct " if item.distinct else ""
    if item.func == kernels.COUNT and kernels.is_true(item.expr):
        return f"count({distinct}*)"
    name = _FUNCTIONS.get(item.func, item.func)
    order = f" order_by=[{_order(item.order_by, (), options)}]" if item.order_by else ""
    return f"{name}({distinct}{explain_scalar(item.expr, names, options)}{order})"


def _order(order: Iterable[ColumnOrder], names: Names, options: ExplainOptions) -> str:
    return ", ".join(
        f"{_column(key.column, names, options)} {'desc' if key.desc else 'asc'}"
        f" nulls_{'last' if key.nulls_last else 'first'}"
        for key in order
    )


def show_rows(rows: Sequence[tuple[bytes, int]], types: Sequence[ColumnType] | None) -> list[str]:
    """Return rows as texts, without their types where those are not known."""
    return [line.removeprefix("- ") for line in _rows(rows, types, DEFAULT)]


def _window_functions(
    functions: Iterable[mir.WindowFunction], names: Names, options: ExplainOptions
) -> str:
    return ", ".join(_window_function(item, names, options) for item in functions)


def _window_function(item: mir.WindowFunction, names: Names, options: ExplainOptions) -> str:
    args = _list(item.args, names, options)
    if item.func == kernels.COUNT and all(map(kernels.is_true, item.args)):
        args = "*"
    order = f" order_by=[{_order(item.order_by, (), options)}]" if item.order_by else ""
    text = f"{_FUNCTIONS.get(item.func, item.func)}({args}{order})"
    if item.filter is not None:
        text += f" filter {_column(item.filter, names, options)}"
    if item.ignore_nulls:
        text += " ignore nulls"
    frame = item.frame
    if frame == mir.DEFAULT_FRAME:
        return text
    start, end = (_frame_bound(bound, names, options) for bound in (frame.start, frame.end))
    text += f" {frame.units} between {start} and {end}"
    if frame.exclusion is not mir.FrameExclusion.NO_OTHERS:
        text += f" exclude {frame.exclusion.replace('_', ' ')}"
    return text


def _frame_bound(bound: mir.FrameBound, names: Names, options: ExplainOptions) -> str:
    if bound.kind not in (mir.FrameBoundKind.PRECEDING, mir.FrameBoundKind.FOLLOWING):
        return bound.kind.replace("_", " ")
    if bound.column is not None:
        return _column(bound.column, names, options)
    return f"{bound.offset} {bound.kind}"


def _rows(
    rows: Sequence[tuple[bytes, int]],
    types: Sequence[ColumnType] | None,
    options: ExplainOptions,
) -> list[str]:
    lines = []
    for row, diff in rows[:CONSTANT_ROWS_MAX]:
        datums = split_row(row)
        shown = [
            _literal(Literal(datum, types[index]), options) if types else _datum(datum, options)
            for index, datum in enumerate(datums)
        ]
        text = f"({', '.join(shown)})"
        lines.append(f"- {text}" if diff == 1 else f"- ({text} x {diff})")
    if len(rows) > CONSTANT_ROWS_MAX:
        lines.append(f"… and {len(rows) - CONSTANT_ROWS_MAX} more")
    return lines


def _datum(datum: bytes, options: ExplainOptions) -> str:
    """Print a datum whose type the plan does not carry."""
    plain = {b"\xfe": "null", b"\x02": "false", b"\x03": "true"}.get(datum)
    if plain is not None:
        return plain
    if options.redacted:
        return "█"
    if 0x10 <= datum[0] <= 0x20:
        return str(kernels.int_of(datum))
    if datum[0] == 0x30:
        text = datum[1:-2].replace(b"\0\xff", b"\0").decode(errors="replace")
        return "'" + text.replace("'", "''") + "'"
    return "0x" + datum.hex()


def _indent(text: str, levels: int) -> str:
    pad = "  " * levels
    return "\n".join(pad + line if line else line for line in text.split("\n"))


# The relational plan.


def explain_relation(expr: RelationExpr, options: ExplainOptions = DEFAULT) -> str:
    """Return the relational plan as an indented tree, bindings after what uses them."""
    lines: list[str] = []
    _relation(expr, 0, lines, options)
    return "\n".join(lines) + "\n"


def _relation(expr: RelationExpr, depth: int, lines: list[str], options: ExplainOptions) -> None:
    pad = "  " * depth
    if isinstance(expr, mir.Let | mir.LetRec):
        _bindings(expr, depth, lines, options)
        return
    head = _head(expr, options)
    if options.attributes is not None:
        head += options.attributes.text(expr)
    lines.append(pad + head)
    if isinstance(expr, mir.Constant) and expr.rows:
        lines.extend(f"{pad}  {line}" for line in _rows(expr.rows, expr.desc.types, options))
    if isinstance(expr, mir.Join) and options.join_implementations:
        lines.extend(f"{pad}  {line}" for line in _implementation(expr, options))
    if isinstance(expr, mir.Join | mir.Union):
        children: tuple[RelationExpr, ...] = expr.inputs
    elif isinstance(expr, mir.Constant | mir.ConstantError | mir.Get):
        children = ()
    else:
        children = (expr.input,)
    for child in children:
        _relation(child, depth + 1, lines, options)


def _bindings(expr: RelationExpr, depth: int, lines: list[str], options: ExplainOptions) -> None:
    pad = "  " * depth
    groups: list[tuple[str, list[tuple[str, RelationExpr]]]] = []
    while isinstance(expr, mir.Let | mir.LetRec):
        if isinstance(expr, mir.Let):
            if not groups or groups[-1][0] != "With":
                groups.append(("With", []))
            groups[-1][1].append((f"cte l{expr.id} =", expr.value))
            if options.attributes is not None:
                options.attributes.bind(expr.id, expr.value)
        else:
            limit = next((item for item in expr.limits if item is not None), None)
            title = "With Mutually Recursive"
            if limit is not None:
                how = "return at" if limit.return_at_limit else "error at"
                title += f" [recursion_limit={limit.rounds}, {how}]"
            groups.append(
                (
                    title,
                    [
                        (f"cte l{number} =", value)
                        for number, value in zip(expr.ids, expr.values, strict=True)
                    ],
                )
            )
        expr = expr.body
    for title, bindings in groups:
        lines.append(pad + title)
        for name, value in bindings:
            lines.append(f"{pad}  {name}")
            _relation(value, depth + 2, lines, options)
    lines.append(pad + "Return")
    _relation(expr, depth + 1, lines, options)


def _head(  # noqa: C901, PLR0912 -- one case an operator
    expr: RelationExpr, options: ExplainOptions
) -> str:
    match expr:
        case mir.Constant():
            return "Constant" if expr.rows else "Constant <empty>"
        case mir.ConstantError():
            return f"Error {explain_scalar(expr.error)}"
        case mir.Get(id=LocalId()):
            return f"Get {options.name(expr.id)}"
        case mir.Get():
            return f"ReadGlobal {options.name(expr.id)}"
        case mir.Project():
            names = column_names(expr.input)
            shown = ", ".join(_column(output, names, options) for output in expr.outputs)
            return f"Project ({shown})"
        case mir.Map():
            return f"Map ({_list(expr.scalars, column_names(expr), options)})"
        case mir.Filter():
            names = column_names(expr.input)
            conditions = [explain_scalar(item, names, options) for item in expr.predicates]
            return "Filter " + " AND ".join(conditions)
        case mir.FlatMap():
            args = _list(expr.exprs, column_names(expr.input), options)
            return f"FlatMap {_FUNCTIONS.get(expr.func, expr.func)}({args})"
        case mir.Join():
            return _join_head(expr, options)
        case mir.Reduce():
            return _reduce_head(expr, options)
        case mir.TopK():
            return _top_k_head(expr, options)
        case mir.Window():
            names = column_names(expr.input)
            parts = [f"functions=[{_window_functions(expr.functions, names, options)}]"]
            if expr.partition:
                shown = ", ".join(_column(column, names, options) for column in expr.partition)
                parts.append(f"partition_by=[{shown}]")
            if expr.order:
                parts.append(f"order_by=[{_order(expr.order, names, options)}]")
            return " ".join(("Window", *parts))
        case mir.ArrangeBy():
            names = column_names(expr.input)
            keys = ", ".join(f"[{_list(key, names, options)}]" for key in expr.keys)
            return f"ArrangeBy keys=[{keys}]"
        case mir.Negate() | mir.Threshold() | mir.Union():
            return type(expr).__name__
        case _:
            raise InternalError("unknown operator", detail=repr(type(expr)))


def _join_head(expr: mir.Join, options: ExplainOptions) -> str:
    names = column_names(expr)
    kind = {
        JoinKind.UNIMPLEMENTED: "",
        JoinKind.LINEAR: " type=differential",
        JoinKind.DELTA: " type=delta",
    }[expr.implementation.kind]
    if not expr.equivalences:
        return f"CrossJoin{kind}"
    classes = [
        " = ".join(explain_scalar(item, names, options) for item in members)
        for members in expr.equivalences
    ]
    return f"Join on=({' AND '.join(classes)}){kind}"


def _implementation(expr: mir.Join, options: ExplainOptions) -> list[str]:
    inputs = [column_names(member) for member in expr.inputs]
    lines = ["implementation"]
    for order in expr.implementation.orders:
        steps = " » ".join(
            f"%{step.input}[{_list(step.key, inputs[step.input], options)}]" for step in order
        )
        lines.append(f"  {steps}")
    return lines


def _reduce_head(expr: mir.Reduce, options: ExplainOptions) -> str:
    names = column_names(expr.input)
    if not expr.aggregates:
        return f"Distinct project=[{_list(expr.group_key, names, options)}]" + _hints(expr)
    parts = ["Reduce"]
    if expr.group_key:
        parts.append(f"group_by=[{_list(expr.group_key, names, options)}]")
    shown = ", ".join(_aggregate(item, names, options) for item in expr.aggregates)
    parts.append(f"aggregates=[{shown}]")
    return " ".join(parts) + _hints(expr)


def _top_k_head(expr: mir.TopK, options: ExplainOptions) -> str:
    names = column_names(expr.input)
    parts = ["TopK"]
    if expr.group_key:
        shown = ", ".join(_column(column, names, options) for column in expr.group_key)
        parts.append(f"group_by=[{shown}]")
    if expr.order_key:
        parts.append(f"order_by=[{_order(expr.order_key, names, options)}]")
    if expr.limit is not None:
        parts.append(f"limit={explain_scalar(expr.limit, names, options)}")
    if expr.offset:
        parts.append(f"offset={expr.offset}")
    return " ".join(parts) + _hints(expr)


def _hints(expr: mir.Reduce | mir.TopK) -> str:
    text = " monotonic" if expr.monotonic else ""
    if expr.expected_group_size is not None:
        text += f" exp_group_size={expr.expected_group_size}"
    return text


# The physical plan.


@dataclass(slots=True)
class _PlanPrinter:
    options: ExplainOptions
    lines: list[str] = field(default_factory=list)
    # Where each node's lines begin, by the node's identity.
    starts: dict[int, int] = field(default_factory=dict)

    def line(self, depth: int, text: str) -> None:
        self.lines.append("  " * depth + text)

    def plan(self, plan: Plan, depth: int) -> None:  # noqa: C901 -- one case an operator
        self.starts.setdefault(id(plan), len(self.lines))
        match plan:
            case lir.Let() | lir.LetRec():
                self.bindings(plan, depth)
            case lir.Constant():
                self.constant(plan, depth)
            case lir.Get():
                self.get(plan, depth)
            case lir.MfpNode():
                self.mfp(plan.mfp, depth)
                below = depth + (0 if plan.mfp.is_identity else 1)
                self.plan(plan.input, below)
            case lir.FlatMap():
                self.flat_map(plan, depth)
            case lir.LinearJoin():
                self.linear_join(plan, depth)
            case lir.DeltaJoin():
                self.delta_join(plan, depth)
            case lir.Reduce():
                self.reduce(plan, depth)
            case lir.TopK():
                self.top_k(plan, depth)
            case lir.Window():
                self.window(plan, depth)
            case lir.Negate():
                self.line(depth, "→Negate Diffs")
                self.plan(plan.input, depth + 1)
            case lir.Threshold():
                self.line(depth, "→Threshold Diffs")
                self.plan(plan.input, depth + 1)
            case lir.Union():
                self.line(depth, "→Consolidating Union" if plan.consolidate else "→Union")
                for member in plan.inputs:
                    self.plan(member, depth + 1)
            case lir.ArrangeBy():
                self.line(depth, "→Arrange")
                keys = ", ".join(f"[{self.exprs(key)}]" for key in plan.keys)
                self.line(depth + 1, f"Keys: {keys}")
                self.plan(plan.input, depth + 1)

    def exprs(self, exprs: Iterable[ScalarExpr]) -> str:
        return _list(exprs, (), self.options)

    def bindings(self, plan: Plan, depth: int) -> None:
        while isinstance(plan, lir.Let | lir.LetRec):
            if isinstance(plan, lir.Let):
                self.line(depth, "→With")
                self.line(depth + 1, f"cte l{plan.id} =")
                self.plan(plan.value, depth + 2)
            else:
                self.line(depth, "→With Mutually Recursive")
                for number, value in zip(plan.ids, plan.values, strict=True):
                    self.line(depth + 1, f"cte l{number} =")
                    self.plan(value, depth + 2)
            plan = plan.body
        self.line(depth, "→Return")
        self.plan(plan, depth + 1)

    def constant(self, plan: lir.Constant, depth: int) -> None:
        if plan.error is not None:
            self.line(depth, f'→Error "{plan.error.message}"')
            return
        rows = len(plan.rows)
        self.line(depth, f"→Constant ({rows} row{'' if rows == 1 else 's'})")
        for text in _rows(plan.rows, None, self.options):
            self.line(depth + 1, text)

    def get(self, plan: lir.Get, depth: int) -> None:
        name = self.options.name(plan.id)
        if not plan.mfp.is_identity:
            self.mfp(plan.mfp, depth)
            depth += 1
        if plan.lookups is not None and plan.key is not None:
            self.line(depth, f"→Index Lookup on {name}")
            self.line(depth + 1, f"Key: ({self.exprs(plan.key)})")
            rows = [(lookup, 1) for lookup in plan.lookups]
            shown = ", ".join(line[2:] for line in _rows(rows, None, self.options))
            self.line(depth + 1, f"Lookup values: {shown}")
        elif plan.key is not None:
            self.line(depth, f"→Arranged {name}")
            self.line(depth + 1, f"Key: ({self.exprs(plan.key)})")
        elif plan.pass_through and isinstance(plan.id, Global):
            self.line(depth, f"→Arranged {name}")
        else:
            self.line(depth, f"→Read {name}" if isinstance(plan.id, LocalId) else f"→Stream {name}")

    def mfp(self, mfp: Mfp, depth: int) -> None:
        if mfp.is_identity:
            return
        parts = []
        if mfp.expressions:
            parts.append("Map")
        if mfp.predicates or mfp.is_temporal:
            parts.append("Filter")
        if mfp.projection != tuple(range(mfp.input_arity + len(mfp.expressions))):
            parts.append("Project")
        self.line(depth, f"→{'/'.join(parts) or 'Project'}")
        self.mfp_details(mfp, depth + 1)

    def mfp_details(self, mfp: Mfp, depth: int) -> None:
        if mfp.projection != tuple(range(mfp.input_arity + len(mfp.expressions))):
            columns = ", ".join(f"#{column}" for column in mfp.projection)
            self.line(depth, f"Project: {columns or '()'}")
        conditions = [explain_scalar(item.expr, (), self.options) for item in mfp.predicates]
        conditions += [
            f"(mz_now() >= {explain_scalar(item, (), self.options)})" for item in mfp.lower_bounds
        ]
        conditions += [
            f"(mz_now() < {explain_scalar(item, (), self.options)})" for item in mfp.upper_bounds
        ]
        if conditions:
            self.line(depth, "Filter: " + " AND ".join(conditions))
        if mfp.expressions:
            self.line(depth, f"Map: {self.exprs(mfp.expressions)}")

    def flat_map(self, plan: lir.FlatMap, depth: int) -> None:
        if not plan.mfp.is_identity:
            self.mfp(plan.mfp, depth)
            depth += 1
        name = _FUNCTIONS.get(plan.func, plan.func)
        self.line(depth, f"→Table Function {name}({self.exprs(plan.exprs)})")
        self.plan(plan.input, depth + 1)

    def path(self, path: lir.JoinPath, depth: int) -> None:
        if not path.initial.is_identity:
            self.line(depth, f"Join input %{path.source}")
            self.mfp_details(path.initial, depth + 1)
        for number, stage in enumerate(path.stages):
            stream, held = self.exprs(stage.stream_key), self.exprs(stage.lookup_key)
            self.line(
                depth,
                f"Join stage {number} with %{stage.lookup} on ({stream}) = %{stage.lookup}({held})",
            )
            if not stage.closure.is_identity:
                self.mfp_details(stage.closure, depth + 1)

    def linear_join(self, plan: lir.LinearJoin, depth: int) -> None:
        order = [plan.path.source, *(stage.lookup for stage in plan.path.stages)]
        self.line(depth, "→Differential Join " + " » ".join(f"%{item}" for item in order))
        self.path(plan.path, depth + 1)
        for item in plan.inputs:
            self.plan(item, depth + 1)

    def delta_join(self, plan: lir.DeltaJoin, depth: int) -> None:
        orders = []
        for path in plan.paths:
            order = [path.source, *(stage.lookup for stage in path.stages)]
            orders.append(" » ".join(f"%{item}" for item in order))
        self.line(depth, "→Delta Join " + " ".join(f"[{order}]" for order in orders))
        for number, path in enumerate(plan.paths):
            self.line(depth + 1, f"Delta join path for input %{number}")
            self.path(path, depth + 2)
        for item in plan.inputs:
            self.plan(item, depth + 1)

    def reduce(self, plan: lir.Reduce, depth: int) -> None:
        if not plan.mfp_after.is_identity:
            self.mfp(plan.mfp_after, depth)
            depth += 1
        self.line(depth, f"→{_reduce_title(plan)}")
        if plan.key:
            self.line(depth + 1, f"Key: {self.exprs(plan.key)}")
        if plan.aggregates:
            shown = ", ".join(_aggregate(item, (), self.options) for item in plan.aggregates)
            self.line(depth + 1, f"Aggregations: {shown}")
        self.plan(plan.input, depth + 1)

    def top_k(self, plan: lir.TopK, depth: int) -> None:
        one = isinstance(plan.limit, Literal) and plan.limit.data == kernels.ONE_DATUM
        kind = "Non-monotonic TopK"
        if plan.monotonic:
            kind = "Monotonic Top1" if one and not plan.offset else "Monotonic TopK"
        if plan.must_consolidate:
            kind = f"Consolidating {kind}"
        self.line(depth, f"→{kind}")
        if plan.group_key:
            self.line(depth + 1, f"Group By {', '.join(f'#{item}' for item in plan.group_key)}")
        if plan.order_key:
            self.line(depth + 1, f"Order By {_order(plan.order_key, (), self.options)}")
        if plan.limit is not None:
            self.line(depth + 1, f"Limit {explain_scalar(plan.limit, (), self.options)}")
        if plan.offset:
            self.line(depth + 1, f"Offset {plan.offset}")
        self.plan(plan.input, depth + 1)

    def window(self, plan: lir.Window, depth: int) -> None:
        self.line(depth, "→Window")
        if plan.partition:
            self.line(depth + 1, f"Partition By {', '.join(f'#{item}' for item in plan.partition)}")
        if plan.order:
            self.line(depth + 1, f"Order By {_order(plan.order, (), self.options)}")
        shown = _window_functions(plan.functions, (), self.options)
        self.line(depth + 1, f"Functions: {shown}")
        self.plan(plan.input, depth + 1)


def _hierarchical(plan: lir.ReducePlan) -> str:
    if plan.must_consolidate:
        return "Consolidating Monotonic"
    return "Monotonic" if plan.monotonic else "Bucketed Hierarchical"


def _reduce_title(plan: lir.Reduce) -> str:
    kinds = []
    if plan.plan.accumulable:
        kinds.append("Accumulable")
    if plan.plan.hierarchical:
        kinds.append(_hierarchical(plan.plan))
    if plan.plan.basic:
        kinds.append("Non-incremental")
    if not kinds:
        return "Distinct GroupAggregate"
    if len(kinds) > 1:
        return f"Collated Multi-GroupAggregate ({', '.join(kinds)})"
    return f"{kinds[0]} GroupAggregate"


def explain_plan(plan: Plan, options: ExplainOptions = DEFAULT) -> str:
    """Return the physical plan as an indented tree."""
    printer = _PlanPrinter(options)
    printer.plan(plan, 0)
    return "\n".join(printer.lines) + "\n"


def explain_source(name: str, mfp: Mfp, options: ExplainOptions = DEFAULT) -> str:
    """Return the text of a collection whose rows ``mfp`` is applied to as they are read."""
    printer = _PlanPrinter(options)
    printer.line(0, f"Source {name}")
    printer.mfp_details(mfp, 1)
    return "\n".join(printer.lines) + "\n"


def explain_nodes(plan: Plan, options: ExplainOptions = DEFAULT) -> list[str]:
    """Return a title for each node of ``plan``, indented, each before those of what is below it."""
    printer = _PlanPrinter(options)
    printer.plan(plan, 0)
    titles = []
    stack = [plan]
    while stack:
        node = stack.pop()
        start = printer.starts.get(id(node))
        # A binding within a binding's body has no line of its own.
        titles.append("→With" if start is None else printer.lines[start])
        stack.extend(reversed(plan_inputs(node)))
    return titles


def explain_index_peek(
    on: str,
    index: str,
    keys: Sequence[Sequence[ScalarExpr]] | None,
    mfp: Mfp,
    options: ExplainOptions = DEFAULT,
) -> str:
    """Return the text of a read of one index, the fast path's plan."""
    printer = _PlanPrinter(options)
    depth = 0
    if not mfp.is_identity:
        printer.mfp(mfp, 0)
        depth = 1
    if keys is None:
        printer.line(depth, f"→Arranged {on} (using {index})")
    else:
        printer.line(depth, f"→Index Lookup on {on} (using {index})")
        values = ", ".join(f"({_list(key, (), options)})" for key in keys)
        printer.line(depth + 1, f"Lookup values: {values}")
    return "\n".join(printer.lines) + "\n"
