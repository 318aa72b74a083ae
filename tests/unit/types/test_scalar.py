"""Bounds of types."""

import pytest

from headwater.errors import StatementTooComplex
from headwater.types.scalar import INT4, RECORD_LEVELS_MAX, ColumnType, list_of, record_of


def test_records_nest_to_a_limit_also_through_lists() -> None:
    """Each level doubles the quotes of the text form: sixty would need 2^60 of them."""
    nested = INT4
    for _ in range(RECORD_LEVELS_MAX):
        nested = list_of(record_of(("f1", ColumnType(nested))))
    with pytest.raises(StatementTooComplex, match="nest too deeply"):
        record_of(("f1", ColumnType(nested)))
