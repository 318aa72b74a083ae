"""Filling in what is only known when a statement is executed: parameters, moments, the session."""

from collections.abc import Mapping, Sequence

from headwater.errors import InternalError, UndefinedParameter
from headwater.ir.kernels import is_volatile_call
from headwater.ir.relation import RelationExpr
from headwater.ir.scalar import (
    Call,
    CallUnmaterializable,
    Literal,
    Parameter,
    ScalarExpr,
    UnmaterializableFunc,
)
from headwater.ir.visit import scalars_of, transform_scalar, transform_scalars, walk, walk_scalar

Values = Mapping[UnmaterializableFunc, Literal]


def unmaterializable_of(expr: RelationExpr) -> frozenset[UnmaterializableFunc]:
    """Return the functions in ``expr`` that need a value before it can be run."""
    return frozenset(
        node.func
        for operator in walk(expr)
        for scalar in scalars_of(operator)
        for node in walk_scalar(scalar)
        if isinstance(node, CallUnmaterializable)
    )


def volatile_of(expr: RelationExpr) -> frozenset[str]:
    """Return the kernels in ``expr`` that have another value at each evaluation."""
    return frozenset(
        node.func
        for operator in walk(expr)
        for scalar in scalars_of(operator)
        for node in walk_scalar(scalar)
        if isinstance(node, Call) and is_volatile_call(node)
    )


def has_parameters(expr: RelationExpr) -> bool:
    """Return whether a parameter occurs in ``expr``."""
    return any(
        isinstance(node, Parameter)
        for operator in walk(expr)
        for scalar in scalars_of(operator)
        for node in walk_scalar(scalar)
    )


def substitute_unmaterializable(expr: RelationExpr, values: Values) -> RelationExpr:
    """Return ``expr`` with each call for which ``values`` has a literal replaced by it.

    Calls without a value stay: ``mz_now`` in a maintained plan.
    """
    return transform_scalars(expr, lambda scalar: scalar_unmaterializable(scalar, values))


def scalar_unmaterializable(expr: ScalarExpr, values: Values) -> ScalarExpr:
    """Do the same for one scalar expression."""

    def visit(node: ScalarExpr) -> ScalarExpr:
        if isinstance(node, CallUnmaterializable):
            return values.get(node.func, node)
        return node

    return transform_scalar(expr, visit)


def substitute_parameters(expr: RelationExpr, values: Sequence[Literal]) -> RelationExpr:
    """Return ``expr`` with ``$n`` replaced by ``values[n - 1]``.

    Raises:
        UndefinedParameter: There is no value for a parameter.
    """
    return transform_scalars(expr, lambda scalar: scalar_parameters(scalar, values))


def scalar_parameters(expr: ScalarExpr, values: Sequence[Literal]) -> ScalarExpr:
    """Do the same for one scalar expression."""

    def visit(node: ScalarExpr) -> ScalarExpr:
        if not isinstance(node, Parameter):
            return node
        if not 1 <= node.number <= len(values):
            raise UndefinedParameter(f"there is no parameter ${node.number}")
        value = values[node.number - 1]
        if value.type.type.base is not node.type.type.base:
            raise InternalError("parameter has a value of another type")
        return value

    return transform_scalar(expr, visit)
