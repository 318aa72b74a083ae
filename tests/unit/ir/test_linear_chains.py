"""Chains of map, filter and project: composed, simplified, written out again."""

from headwater.ir import kernels
from headwater.ir.linear import Linear, extract
from headwater.ir.relation import Filter, Get, Global, Map, Project
from headwater.ir.scalar import Call, Column, Literal
from headwater.types.relation import Column as DescColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import INT4, ColumnType

INT = ColumnType(INT4, True)
T = Get(Global("u1"), RelationDesc((DescColumn("a", INT4), DescColumn("b", INT4))))
ONE = Literal(b"\x19\x01", ColumnType(INT4, False))


def add(left, right):
    return Call("add_int4_int4", (left, right), INT)


def test_what_is_read_once_is_inlined_and_what_is_unused_goes():
    chain = Project(
        Filter(
            Map(T, (add(Column(0), ONE), add(Column(2), Column(1)), add(Column(1), ONE))),
            (kernels.gt(Column(3), ONE),),
        ),
        (0,),
    )
    linear, below = extract(chain)
    simple = linear.simplified()
    assert below is T
    assert simple.expressions == ()
    assert simple.predicates == (kernels.gt(add(add(Column(0), ONE), Column(1)), ONE),)
    assert simple.outputs == (0,)


def test_what_is_read_twice_is_computed_once():
    wide = add(Column(0), ONE)
    linear = Linear.identity(2).then_map((wide, wide)).then_map((add(Column(2), Column(3)),))
    simple = linear.then_project((4,)).simplified()
    assert simple.expressions == (wide, add(Column(2), Column(2)))
    assert simple.outputs == (3,)


def test_chains_compose():
    first = Linear.identity(2).then_map((add(Column(0), ONE),)).then_project((2, 1))
    second = Linear.identity(2).then_filter((kernels.gt(Column(0), Column(1)),))
    both = first.then(second).simplified()
    assert both.predicates == (kernels.gt(Column(2), Column(1)),)
    assert both.output(0) == add(Column(0), ONE)
    assert both.to_relation(T) == Project(
        Filter(Map(T, (add(Column(0), ONE),)), (kernels.gt(Column(2), Column(1)),)), (2, 1)
    )


def test_a_chain_over_other_columns():
    linear = Linear.identity(2).then_map((add(Column(0), Column(1)),)).then_project((2,))
    moved = linear.renumbered({0: 3, 1: 1}, 4)
    assert moved.expressions == (add(Column(3), Column(1)),)
    assert moved.outputs == (4,)
    assert moved.demand() == {1, 3}
