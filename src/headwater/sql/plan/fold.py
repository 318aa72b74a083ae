"""Evaluating constant parts of plans while planning: LIMIT, AS OF, options, defaults."""

from headwater.errors import (
    FeatureNotSupported,
    InternalError,
    InvalidColumnReference,
    InvalidRowCountInLimit,
    InvalidRowCountInOffset,
)
from headwater.ir.literals import error_of, fold_constant, is_null, literal_int
from headwater.ir.scalar import Call, If, Literal, LiteralError, ScalarExpr
from headwater.sql.plan.hir import HirCall, HirIf, HirScalar


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
    """Return the value of a constant expression, any other as it is.

    Raises: the error that evaluating it raises.
    """
    if isinstance(expr, Literal):
        return expr
    constant = to_constant(expr)
    if constant is None:
        return expr
    value = fold_constant(constant)
    if isinstance(value, LiteralError):
        raise error_of(value, position)
    return value


def row_count(expr: HirScalar, clause: str, position: int) -> HirScalar | None:
    """Check a LIMIT or OFFSET. Returns: None for NULL, which is none.

    Raises: InvalidRowCountInLimit, InvalidRowCountInOffset.
    """
    folded = fold(expr, position)
    if not isinstance(folded, Literal):
        return folded
    if is_null(folded):
        return None
    count = literal_int(folded)
    assert count is not None
    if count < 0:
        error = InvalidRowCountInLimit if clause == "LIMIT" else InvalidRowCountInOffset
        raise error(f"{clause} must not be negative", position=position)
    return folded


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
