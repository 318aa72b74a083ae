"""Scopes: levels, qualification, ambiguity, near misses."""

import pytest

from headwater.errors import AmbiguousColumn, DuplicateAlias, UndefinedColumn, UndefinedTable
from headwater.sql.resolve.scope import Scope, product
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import INT4, TEXT


def scope(path, *names, outer=None):
    columns = tuple(Column(name, INT4 if name != "s" else TEXT) for name in names)
    return Scope.of_relation(path, RelationDesc(columns), outer)


def test_levels_count_outwards():
    outer = scope(("t",), "a", "b")
    inner = scope(("u",), "a", outer=outer)
    assert (inner.resolve(("a",)).level, inner.resolve(("a",)).index) == (0, 0)
    found = inner.resolve(("b",))
    assert (found.level, found.index) == (1, 1)
    assert inner.resolve(("t", "a")).level == 1
    assert inner.resolve(("c",)) is None


def test_qualifiers_match_the_end_of_the_path():
    both = product(scope(("db", "x", "t"), "a"), scope(("db", "y", "t"), "a"), None)
    assert both.resolve(("x", "t", "a")).index == 0
    assert both.resolve(("y", "t", "a")).index == 1
    assert both.resolve(("db", "y", "t", "a")).index == 1
    with pytest.raises(AmbiguousColumn, match='table reference "t" is ambiguous'):
        both.resolve(("t", "a"))
    with pytest.raises(AmbiguousColumn, match='column reference "a" is ambiguous'):
        both.resolve(("a",), 7)


def test_product_refuses_one_name_twice():
    with pytest.raises(DuplicateAlias, match='table name "t" specified more than once') as caught:
        product(scope(("t",), "a"), scope(("t",), "b"), None, position=9)
    assert caught.value.position == 9


def test_errors_point_and_hint():
    names = scope(("orders",), "customer_id", "amount")
    wanted = r'column "orders\.customerid" does not exist'
    with pytest.raises(UndefinedColumn, match=wanted) as caught:
        names.resolve(("orders", "customerid"), 5)
    assert caught.value.hint == ('Perhaps you meant to reference the column "orders.customer_id".')
    missing = names.undefined(("amout",), 3)
    assert missing.sqlstate == "42703"
    assert '"orders.amount"' in missing.hint
    assert isinstance(names.undefined(("x", "amount"), 3), UndefinedTable)


def test_an_alias_hides_the_relation():
    aliased = Scope.of_relation(("x",), RelationDesc((Column("a", INT4),)), None, (), "orders")
    error = aliased.missing_table("orders", 4)
    assert error.message == 'invalid reference to FROM-clause entry for table "orders"'
    assert error.hint == 'Perhaps you meant to reference the table alias "x".'


def test_first_use_is_remembered_where_the_column_is():
    outer = scope(("t",), "a")
    inner = scope(("u",), "b", outer=outer)
    inner.note_use(1, 0, 12)
    inner.note_use(1, 0, 40)
    assert outer.uses == {0: 12}
    assert inner.uses == {}
