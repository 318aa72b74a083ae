"""Generic walks over physical plans."""

from collections.abc import Callable, Iterator

import msgspec

from headwater.ir import physical as lir
from headwater.ir.physical import Plan

replace = msgspec.structs.replace


def plan_inputs(plan: Plan) -> tuple[Plan, ...]:
    """Return the direct inputs of ``plan``."""
    match plan:
        case lir.Constant() | lir.Get():
            return ()
        case lir.Let():
            return (plan.value, plan.body)
        case lir.LetRec():
            return (*plan.values, plan.body)
        case lir.LinearJoin() | lir.DeltaJoin() | lir.Union():
            return plan.inputs
        case _:
            return (plan.input,)


def map_plan_inputs(plan: Plan, function: Callable[[Plan], Plan]) -> Plan:
    """Return ``plan`` with ``function`` applied to its direct inputs."""
    match plan:
        case lir.Constant() | lir.Get():
            return plan
        case lir.Let():
            return lir.Let(plan.id, function(plan.value), function(plan.body))
        case lir.LetRec():
            values = tuple(function(value) for value in plan.values)
            return replace(plan, values=values, body=function(plan.body))
        case lir.LinearJoin() | lir.DeltaJoin() | lir.Union():
            return replace(plan, inputs=tuple(function(item) for item in plan.inputs))
        case _:
            return replace(plan, input=function(plan.input))


def walk_plan(plan: Plan) -> Iterator[Plan]:
    """Yield every operator of ``plan``."""
    stack = [plan]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(plan_inputs(node))
