"""Comparisons of a cast column with a literal as comparisons of the column itself.

``a::int8 = 5`` says of an int4 column what ``a = 5`` says, and an index on ``a`` can answer only
the latter. It holds for casts that keep different values different and that have an inverse.
"""

from headwater.ir import kernels
from headwater.ir.functions import CASTS
from headwater.ir.scalar import Call, Literal
from headwater.sql.optimize.context import Fold
from headwater.types.scalar import BaseType, ColumnType, ScalarType

_WHOLE = (
    BaseType.INT2,
    BaseType.INT4,
    BaseType.INT8,
    BaseType.UINT2,
    BaseType.UINT4,
    BaseType.UINT8,
    BaseType.NUMERIC,
)
_BITS = {  # of whole numbers that double precision tells apart
    BaseType.INT2: 16,
    BaseType.INT4: 32,
    BaseType.UINT2: 16,
    BaseType.UINT4: 32,
}
# A cast that keeps values different: from its kernel to the inverse's, and the inverse's type.
_INVERSES = {
    cast.kernel: (CASTS[target, source].kernel, source)
    for (source, target), cast in CASTS.items()
    if (target, source) in CASTS
    and not cast.could_error
    and (
        (source in _WHOLE and target in _WHOLE)
        or (source in _BITS and target is BaseType.FLOAT8)
        or (source is BaseType.DATE and target is BaseType.TIMESTAMP)
    )
}


def without_cast(call: Call, fold: Fold) -> Call:
    """Return the equality ``call`` without the cast on its left, if its right is a literal.

    A literal that no value is cast to stays: the comparison is then false for every row.
    """
    left, right = call.args
    if not isinstance(left, Call) or not isinstance(right, Literal):
        return call
    inverse = _INVERSES.get(left.func)
    if inverse is None or kernels.is_null_literal(right):
        return call
    kernel, source = inverse
    value = fold(Call(kernel, (right,), ColumnType(ScalarType(source), nullable=False)))
    if not isinstance(value, Literal):
        return call
    back = fold(Call(left.func, (value,), right.type))
    if not isinstance(back, Literal) or back.data != right.data:
        return call
    return without_cast(Call(kernels.EQ, (left.args[0], value), call.type), fold)
