"""Literals that fix an index's key, however they are written."""

import pytest

from headwater.ir.literals import fold_constant, int_datum
from headwater.sql.lower.peek import IndexPeek, plan_peek
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.pipeline import optimize
from tests.golden.planning import indexes, lower_context, plan_sql


def looked_up(condition):
    """Return the keys that a read of ``keyed`` by its index on ``k`` seeks; None for a scan."""
    plan = plan_sql(f"select v from keyed where {condition}")
    expr = optimize(plan, OptimizerContext(indexes=indexes(), fold=fold_constant))
    peek = plan_peek(expr, lower_context(), object_id="t1", index_id="t2")
    assert isinstance(peek, IndexPeek)
    rows = peek.key_rows()
    return None if rows is None else list(rows)


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("k = 5", [5]),
        ("5 = k", [5]),
        ("k = 5::int8", [5]),
        ("5.0 = k", [5]),
        ("k = 5::float8", [5]),
        ("k = 2::int2 + 3", [5]),
        ("k in (3, 5, 3)", [3, 5]),
        ("k in (3::int8, 5.0)", [3, 5]),
        ("k = any (array[1, 2])", [1, 2]),
        ("k = 1 or k = 2 and v > 0", [1, 2]),
        ("(k = 1 or k = 2) and v > 0 and w like 'a%'", [1, 2]),
        ("k = 1 and k = v", [1]),
        # No value of the column is equal to these.
        ("k = 5.5", None),
        ("k = 3000000000", None),
        ("k > 5", None),
        ("k = 1 or v = 2", None),
    ],
)
def test_keys(condition, keys):
    wanted = None if keys is None else sorted(map(int_datum, keys))
    assert looked_up(condition) == wanted
