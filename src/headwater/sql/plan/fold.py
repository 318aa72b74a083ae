"""Evaluating constant parts of plans while planning: LIMIT, AS OF, options, defaults."""

from headwater.errors import (
    FeatureNotSupported,
    InternalError,
    InvalidColumnReference,
    InvalidRowCountInLimit,
    InvalidRowCountInOffset,
)
from headwater.ir.effort import is_cheap
from headwater.ir.literals import error_of, fold_constant, literal_int
from headwater.ir.scalar import (
    Call,
    CallUnmaterializable,
    If,
    Literal,
    LiteralError,
    ScalarExpr,
)
from headwater.sql.plan.explain_hir import show_scalar
from headwater.sql.plan.hir import HirCall, HirIf, HirScalar
from headwater.sql.plan.hir_visit import Rewriter


def to_constant(expr: HirScalar) -> ScalarExpr | None:
    """Return a scalar without columns, parameters, subqueries and moments; None for any other."""
    if isinstance(expr, Literal | LiteralError):
        return expr
    if isinstance(expr, HirCall):
        args = []
        for arg in expr.args:
            converted = to_constant(arg)
            if converted is None:
                return None
            args.append(converted)
        return Call(expr.func, tuple(args), expr.type)
    if isinstance(expr, HirIf):
        parts = (to_constant(expr.cond), to_constant(expr.then), to_constant(expr.els))
        cond, then, els = parts
        if cond is None or then is None or els is None:
            return None
        return If(cond, then, els)
    return None


def fold(expr: HirScalar, position: int = 0) -> HirScalar:
    """Return the value of a constant expression, any other and one that is not cheap as it is.

    Raises: the error that evaluating it raises.
    """
    if isinstance(expr, Literal):
        return expr
    constant = to_constant(expr)
    if constant is None or not is_cheap(constant):
        return expr
    value = fold_constant(constant)
    if isinstance(value, LiteralError):
        raise error_of(value, position)
    return value


def limit_count(expr: HirScalar, position: int) -> HirScalar | None:
    """Check a LIMIT. Returns: None for NULL, which is none. Raises: InvalidRowCountInLimit."""
    folded = fold(expr, position)
    if not isinstance(folded, Literal):
        return folded
    count = literal_int(folded)
    if count is None:
        return None
    if count < 0:
        raise InvalidRowCountInLimit("LIMIT must not be negative", position=position)
    return folded


def offset_count(expr: HirScalar, position: int) -> HirScalar | None:
    """Check an OFFSET. Returns: None for zero, which is none. Raises: InvalidRowCountInOffset.

    NULL is refused, as in Materialize; PostgreSQL takes it for zero.
    """
    folded = fold(expr, position)
    if not isinstance(folded, Literal):
        _check_offset(folded, position)
        return folded
    count = offset_rows(literal_int(folded), position)
    return folded if count else None


def _check_offset(expr: HirScalar, position: int) -> None:
    def leaf(node: HirScalar, _: int) -> HirScalar:
        if isinstance(node, CallUnmaterializable):
            raise FeatureNotSupported(
                "Invalid OFFSET clause: must be simplifiable to a constant, possibly after"
                f" parameter binding, got {show_scalar(expr)}",
                position=position,
            )
        return node

    Rewriter(leaf).scalar(expr)


def offset_rows(count: int | None, position: int = 0) -> int:
    """Return how many rows an OFFSET of that value skips. Raises: InvalidRowCountInOffset."""
    if count is None:
        raise InvalidRowCountInOffset(
            "Invalid OFFSET clause: Expected an expression that evaluates to a non-null value,"
            " got null",
            position=position,
        )
    if count < 0:
        raise InvalidRowCountInOffset(
            f"Invalid OFFSET clause: must not be negative, got {count}", position=position
        )
    return count


def constant_count(expr: HirScalar | None, clause: str) -> int:
    """Return the value of an inner OFFSET, which must be known; 0 for none.

    Raises: FeatureNotSupported.
    """
    if expr is None:
        return 0
    if not isinstance(expr, Literal):
        raise FeatureNotSupported(f"{clause} in a subquery must be a constant")
    count = literal_int(expr)
    if count is None:
        raise InternalError("row count is NULL")
    return count


def must_be_constant(expr: HirScalar, clause: str, position: int) -> Literal:
    """Return the value of an expression that must be constant. Raises: InvalidColumnReference."""
    folded = fold(expr, position)
    if not isinstance(folded, Literal):
        raise InvalidColumnReference(
            f"argument of {clause} must not contain variables", position=position
        )
    return folded
