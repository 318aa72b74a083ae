"""What optimizing may know: everything comes in as an argument, nothing is looked up."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from headwater.ir.dataflow import IndexImport
from headwater.ir.literals import fold_constant
from headwater.ir.relation import RelationExpr
from headwater.ir.scalar import Literal, LiteralError, ScalarExpr
from headwater.ir.typing import Typer
from headwater.types.ids import GlobalId

Fold = Callable[[ScalarExpr], Literal | LiteralError]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerContext:
    """The world as the optimizer sees it.

    Attributes:
        views: Definitions of the views that a plan may name, as relational plans.
        indexes: The arrangements that exist on the cluster the plan will run on, by what they
            arrange. A view that has one is read from it and not inlined.
        append_only: Collections whose rows are never retracted.
        cardinalities: Estimated numbers of rows.
        fold: Evaluates an expression without columns.
        typer: Types and keys, remembered for the time of one optimization.
    """

    views: Mapping[GlobalId, RelationExpr] = field(default_factory=dict)
    indexes: Mapping[GlobalId, tuple[IndexImport, ...]] = field(default_factory=dict)
    append_only: Container[GlobalId] = frozenset()
    cardinalities: Mapping[GlobalId, int] = field(default_factory=dict)
    fold: Fold = fold_constant
    typer: Typer = field(default_factory=Typer)


Rule = Callable[[RelationExpr, OptimizerContext], RelationExpr]
