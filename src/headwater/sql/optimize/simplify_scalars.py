"""Scalar expressions made simpler, one node at a time, arguments first.

A simplification never turns a value into an error or another value. It may drop an error only where
SQL lets the evaluation be skipped (a lazy branch never taken, ``false AND x``).
"""

from headwater.ir import kernels
from headwater.ir.effort import is_cheap
from headwater.ir.functions import VOLATILE_KERNELS
from headwater.ir.relation import Filter, FlatMap, Join, Map, Reduce, RelationExpr, TopK
from headwater.ir.scalar import Call, If, Literal, LiteralError, ScalarExpr
from headwater.ir.typing import Types, scalar_type
from headwater.ir.visit import map_aggregate, map_inputs, map_scalars, map_tuple, replace
from headwater.sql.optimize.cast_inversion import without_cast
from headwater.sql.optimize.context import Fold, OptimizerContext


def simplify_scalars(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with all scalars of all operators simplified."""

    def visit(node: RelationExpr) -> RelationExpr:
        return _simplify_node(map_inputs(node, visit), context)

    return visit(expr)


def _simplify_node(node: RelationExpr, context: OptimizerContext) -> RelationExpr:
    typer, fold = context.typer, context.fold
    match node:
        case Map():
            types = list(typer.types(node.input))
            scalars = []
            for scalar in node.scalars:
                simple = simplify(scalar, tuple(types), fold)
                types.append(scalar_type(simple, tuple(types)))
                scalars.append(simple)
            if all(a is b for a, b in zip(scalars, node.scalars, strict=True)):
                return node
            return Map(node.input, tuple(scalars))
        case Filter():
            types_ = typer.types(node.input)
            predicates = map_tuple(node.predicates, lambda item: simplify(item, types_, fold))
            predicates = map_tuple(predicates, lambda item: as_condition(item, types_, fold))
            return node if predicates is node.predicates else Filter(node.input, predicates)
        case Reduce():
            types_ = typer.types(node.input)
            key = map_tuple(node.group_key, lambda item: simplify(item, types_, fold))
            aggregates = map_tuple(
                node.aggregates,
                lambda item: map_aggregate(item, lambda arg: simplify(arg, types_, fold)),
            )
            if key is node.group_key and aggregates is node.aggregates:
                return node
            return replace(node, group_key=key, aggregates=aggregates)
        case FlatMap():
            types_ = typer.types(node.input)
            return map_scalars(node, lambda item: simplify(item, types_, fold))
        case TopK() if node.limit is not None:
            types_ = typer.types(node.input)
            return map_scalars(node, lambda item: simplify(item, types_, fold))
        case Join():
            types_ = tuple(column for member in node.inputs for column in typer.types(member))
            return map_scalars(node, lambda item: simplify(item, types_, fold))
        case _:
            return node


def simplify(expr: ScalarExpr, types: Types, fold: Fold) -> ScalarExpr:
    """Return a simpler expression equal to ``expr`` over columns of ``types``."""
    if isinstance(expr, Call):
        args = map_tuple(expr.args, lambda arg: simplify(arg, types, fold))
        if args is not expr.args:
            expr = Call(expr.func, args, expr.type)
        return _simplify_call(expr, types, fold)
    if isinstance(expr, If):
        return _simplify_if(expr, types, fold)
    return expr


def _simplify_if(expr: If, types: Types, fold: Fold) -> ScalarExpr:
    cond = as_condition(simplify(expr.cond, types, fold), types, fold)
    if isinstance(cond, LiteralError):
        return cond
    if kernels.is_true(cond):
        return simplify(expr.then, types, fold)
    if kernels.is_false_or_null(cond):
        return simplify(expr.els, types, fold)
    then, els = simplify(expr.then, types, fold), simplify(expr.els, types, fold)
    if then == els and not isinstance(then, LiteralError) and not kernels.may_fail(cond):
        return then
    if kernels.is_true(then) and _is_false(els) and not scalar_type(cond, types).nullable:
        return cond
    if cond is expr.cond and then is expr.then and els is expr.els:
        return expr
    return If(cond, then, els)


def as_condition(expr: ScalarExpr, types: Types, fold: Fold) -> ScalarExpr:
    """Return a condition that is true for the same rows, false and NULL being one."""
    if isinstance(expr, Call):
        if expr.func == kernels.IS_TRUE:
            return as_condition(expr.args[0], types, fold)
        if expr.func in (kernels.AND, kernels.OR):
            args = map_tuple(expr.args, lambda arg: as_condition(arg, types, fold))
            if args is not expr.args:
                return simplify(Call(expr.func, args, expr.type), types, fold)
    if isinstance(expr, If) and kernels.is_true(expr.then) and kernels.is_false_or_null(expr.els):
        return as_condition(expr.cond, types, fold)
    if kernels.is_null_literal(expr):
        return kernels.FALSE
    return expr


def _is_false(expr: ScalarExpr) -> bool:
    return isinstance(expr, Literal) and expr.data == kernels.FALSE_DATUM


def _simplify_call(call: Call, types: Types, fold: Fold) -> ScalarExpr:
    func = call.func
    if func == kernels.AND:
        return _simplify_connective(call, kernels.FALSE_DATUM, kernels.TRUE)
    if func == kernels.OR:
        return _factor_or(_simplify_connective(call, kernels.TRUE_DATUM, kernels.FALSE), types)
    if func == kernels.COALESCE:
        return _simplify_coalesce(call, types)
    if all(type(arg) is Literal for arg in call.args):
        return call if func in VOLATILE_KERNELS or not is_cheap(call) else fold(call)
    if func in kernels.NULL_REJECTING:
        for arg in call.args:
            if kernels.is_null_literal(arg) and not any(map(kernels.may_fail, call.args)):
                return kernels.null_of(call.type.type)
    for arg in call.args:
        if isinstance(arg, LiteralError):
            return LiteralError(arg.error, call.type)
    return _simplify_known(call, types, fold)


def _simplify_known(call: Call, types: Types, fold: Fold) -> ScalarExpr:
    func = call.func
    if func == kernels.NOT:
        return _simplify_not(call, types)
    if func == kernels.IS_NULL:
        return _simplify_is_null(call, types)
    if func in (kernels.IS_TRUE, kernels.IS_FALSE):
        inner = call.args[0]
        if not scalar_type(inner, types).nullable:
            return (
                inner if func == kernels.IS_TRUE else _simplify_not(kernels.negation(inner), types)
            )
    if func == kernels.EQ:
        return _simplify_eq(call, types, fold)
    if func == kernels.IS_DISTINCT:
        left, right = call.args
        if kernels.is_null_literal(left):
            return _simplify_known(kernels.is_not_null(right), types, fold)
        if kernels.is_null_literal(right):
            return _simplify_known(kernels.is_not_null(left), types, fold)
        if not scalar_type(left, types).nullable and not scalar_type(right, types).nullable:
            return Call(kernels.NOT_EQ, call.args, call.type)
    if func == kernels.RECORD_GET:
        return _simplify_record_get(call)
    return call


def _simplify_record_get(call: Call) -> ScalarExpr:
    """Take a field directly from the constructor, if the other fields cannot fail."""
    record, index = call.args
    if not isinstance(record, Call) or record.func != kernels.RECORD:
        return call
    if not isinstance(index, Literal):
        return call
    field = record.args[kernels.literal_index(index)]
    others = [arg for arg in record.args if arg is not field]
    return call if any(map(kernels.may_fail, others)) else field


def _simplify_eq(call: Call, types: Types, fold: Fold) -> ScalarExpr:
    left, right = call.args
    if isinstance(left, Literal) and not isinstance(right, Literal):
        return without_cast(Call(kernels.EQ, (right, left), call.type), fold)
    if left == right and not kernels.may_fail(left) and not scalar_type(left, types).nullable:
        return kernels.TRUE
    return without_cast(call, fold)


def _simplify_not(call: Call, types: Types) -> ScalarExpr:
    inner = call.args[0]
    if isinstance(inner, Call):
        if inner.func == kernels.NOT:
            return inner.args[0]
        if inner.func in kernels.NEGATED:
            return Call(kernels.NEGATED[inner.func], inner.args, inner.type)
        if inner.func in (kernels.AND, kernels.OR):
            other = kernels.OR if inner.func == kernels.AND else kernels.AND
            args = tuple(_simplify_not(kernels.negation(arg), types) for arg in inner.args)
            return Call(other, args, inner.type)
    if isinstance(inner, Literal) and not kernels.is_null_literal(inner):
        return kernels.FALSE if kernels.is_true(inner) else kernels.TRUE
    return call


def _simplify_is_null(call: Call, types: Types) -> ScalarExpr:
    inner = call.args[0]
    if not scalar_type(inner, types).nullable and not kernels.may_fail(inner):
        return kernels.FALSE
    if isinstance(inner, Call) and inner.func in kernels.STRICT & kernels.INFALLIBLE:
        parts = [kernels.is_null(arg) for arg in inner.args if scalar_type(arg, types).nullable]
        return kernels.disjunction(tuple(_simplify_is_null(part, types) for part in parts))
    return call


def _simplify_coalesce(call: Call, types: Types) -> ScalarExpr:
    args: list[ScalarExpr] = []
    for arg in call.args:
        if kernels.is_null_literal(arg) or arg in args:
            continue
        args.append(arg)
        if isinstance(arg, LiteralError) or not scalar_type(arg, types).nullable:
            break
    if not args:
        return kernels.null_of(call.type.type)
    if len(args) == 1:
        return args[0]
    if len(args) == len(call.args):
        return call
    return Call(call.func, tuple(args), call.type)


def _simplify_connective(call: Call, absorbing: bytes, neutral: Literal) -> ScalarExpr:
    """Flatten; drop what is neutral or repeated; stop at what decides.

    Evaluation is lazy from the left: a deciding literal hides what is right of it, and what is left
    of it only if that cannot fail.
    """
    args: dict[ScalarExpr, None] = {}
    members = kernels.conjuncts(call) if call.func == kernels.AND else kernels.disjuncts(call)
    for arg in members:
        if isinstance(arg, Literal) and arg.data == neutral.data:
            continue
        args[arg] = None
        if isinstance(arg, Literal) and arg.data == absorbing:
            if not any(map(kernels.may_fail, args)):
                return arg
            break
    if not args:
        return neutral
    if len(args) == 1:
        return next(iter(args))
    if tuple(args) == call.args:
        return call
    return Call(call.func, tuple(args), call.type)


def _factor_or(expr: ScalarExpr, types: Types) -> ScalarExpr:
    """Return ``a AND (b OR c)`` for ``(a AND b) OR (a AND c)``, so that ``a`` can be pushed."""
    if not isinstance(expr, Call) or expr.func != kernels.OR:
        return expr
    branches = [kernels.conjuncts(arg) for arg in expr.args]
    common = [item for item in branches[0] if all(item in branch for branch in branches[1:])]
    if not common:
        return expr
    rest = [
        kernels.conjunction(tuple(item for item in branch if item not in common))
        for branch in branches
    ]
    if any(kernels.is_true(item) for item in rest):
        return kernels.conjunction(tuple(common))
    return kernels.conjunction((*common, kernels.disjunction(tuple(rest))))
