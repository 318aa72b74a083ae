"""Queries answered from scratch: planned, decorrelated, then interpreted by the reference.

Nothing is optimized here, so that a wrong answer is the planner's, or the extension's kernels'.
"""

from collections import Counter

import msgspec

from headwater.compute import reference
from headwater.ir.literals import literal_from_text, null_literal
from headwater.ir.rows import split_row
from headwater.ir.scalar import AggregateExpr
from headwater.native.loader import native
from headwater.sql.plan.decorrelate import decorrelate
from tests.golden.plan.small_catalog import CATALOG, plan

# Rows by table; None is NULL. The same are loaded into PostgreSQL to compare with it.
DATA = {
    "u1": [
        ("1", "x", "10"),
        ("1", "y", "20"),
        ("2", None, "20"),
        ("3", "x", "5"),
        (None, "z", "1"),
        ("1", "x", "10"),
    ],
    "u2": [("1", "1.5", "0.5"), ("2", "2.25", None), ("4", None, "-3"), ("1", "-7", "2")],
    "u3": [
        ("10", "2020-01-02 03:04:05", "2020-02-29", "1"),
        ("20", "1999-12-31 23:59:59.5", None, "2"),
        (None, None, "1970-01-01", None),
    ],
    "u4": [
        ("1", '{"a": 1, "b": [1, 2, "x"]}', "{p,q}"),
        ("2", "[1, null]", None),
        ("3", None, "{}"),
    ],
    "u6": [("1",), ("7",), (None,)],
}


def _encoded(id, rows):
    types = CATALOG.item(id).desc.types
    return Counter(
        b"".join(
            (null_literal(t.type) if value is None else literal_from_text(value, t.type)).data
            for value, t in zip(row, types, strict=True)
        )
        for row in rows
    )


def inputs():
    """Return the tables as the reference reads them."""
    return {id: reference.Snapshot(_encoded(id, rows)) for id, rows in DATA.items()}


def _aggregate(aggregate: AggregateExpr, values):
    if aggregate.distinct:
        values = Counter(dict.fromkeys(values, 1))
    order = msgspec.msgpack.encode(aggregate.order_by)
    found = native.eval_aggregate(aggregate.func, list(values.items()), order)
    if isinstance(found, tuple):
        raise reference.EvaluationError(":".join(found))
    return found


def _table(func, args):
    found = native.eval_table(func, b"".join(args))
    if isinstance(found, tuple):
        raise reference.EvaluationError(":".join(found))
    return [row for row, count in found for _ in range(count)]


def answer(sql, monkeypatch):
    """Return a query's rows as texts, in order; or the first of its errors."""
    monkeypatch.setattr(reference, "aggregate_of", _aggregate)
    monkeypatch.setattr(reference, "table_rows", _table)
    selected = plan(sql).plan
    found = reference.evaluate_relation(decorrelate(selected.query), inputs())
    if found.errors:
        return [min(found.errors)]
    finishing = selected.finishing
    rows = [(row, split_row(row)) for row, count in found.rows.items() for _ in range(count)]
    rows.sort(key=lambda pair: reference.sort_key(finishing.order_by, pair[1], pair[0]))
    last = None if finishing.limit is None else finishing.offset + finishing.limit
    shown = []
    for _, datums in rows[finishing.offset : last]:
        texts = []
        for index, column in zip(finishing.project, selected.desc.columns, strict=True):
            type_ = msgspec.msgpack.encode(column.type)
            text = native.datum_to_text(type_, datums[index])
            texts.append("∅" if text is None else text)
        shown.append(" | ".join(texts))
    return shown if finishing.order_by else sorted(shown)
