"""Joins as paths of look-ups, each with a closure that filters and thins as early as possible."""

from collections.abc import Sequence

from headwater.errors import InternalError, invariant
from headwater.ir import kernels
from headwater.ir.linear import Linear
from headwater.ir.physical import ArrangementKey, JoinPath, JoinStage, Mfp
from headwater.ir.relation import Join, JoinStep
from headwater.ir.scalar import Literal, ScalarExpr
from headwater.ir.typing import Types, scalar_type
from headwater.ir.visit import columns_of, remap, shift
from headwater.sql.lower.mfp import to_mfp


class PathBuilder:
    """Builds one path of a join: starts at an input and adds look-ups in order.

    Columns are the join's own numbering throughout; ``row`` lists those that the stream carries.
    """

    def __init__(self, join: Join, widths: Sequence[int], types: Types, after: Linear) -> None:
        self.types = types
        self.after = after
        self.offsets = [sum(widths[:number]) for number in range(len(widths))]
        self.widths = list(widths)
        self.bound: set[int] = set()  # columns of the inputs reached so far
        self.predicates = [
            item for item in after.predicates if max(columns_of(item), default=-1) < len(types)
        ]
        self.late = [item for item in after.predicates if item not in self.predicates]
        # Each class: the member that stands for those already made equal, and those that are not.
        self.classes: list[tuple[ScalarExpr | None, list[ScalarExpr]]] = []
        for members in join.equivalences:
            literal = next((item for item in members if isinstance(item, Literal)), None)
            self.classes.append((literal, [item for item in members if item is not literal]))

    def build(
        self, steps: Sequence[JoinStep], source_key: ArrangementKey | None, *, joined_as_is: bool
    ) -> JoinPath:
        """Return the path along ``steps``.

        ``joined_as_is`` says that the source's arrangement itself is the first look-up's stream:
        then nothing may be done to it before.
        """
        first = steps[0].input
        row = self._columns(first)
        self.bound |= set(row)
        initial = Mfp.identity(len(row))
        if not joined_as_is:
            initial, row = self._closure(row, self._ready(), last=len(steps) == 1)
        stages = []
        for number, step in enumerate(steps[1:], 1):
            stream_key, matched = self._stream_key(step)
            local = {column: position for position, column in enumerate(row)}
            wide = [*row, *self._columns(step.input)]
            self.bound |= set(self._columns(step.input))
            predicates = [*matched, *self._ready()]
            closure, row = self._closure(wide, predicates, last=number == len(steps) - 1)
            stages.append(
                JoinStage(
                    step.input,
                    tuple(remap(item, local) for item in stream_key),
                    step.key,
                    self.widths[step.input],
                    closure,
                )
            )
        return JoinPath(first, self.widths[first], source_key, initial, tuple(stages))

    def _columns(self, number: int) -> list[int]:
        offset = self.offsets[number]
        return list(range(offset, offset + self.widths[number]))

    def _stream_key(self, step: JoinStep) -> tuple[list[ScalarExpr], list[ScalarExpr]]:
        """Return what the look-up's key is matched with, and conditions that matching needs.

        Arrangements are matched by bytes, where NULL equals NULL; SQL's equality wants neither.
        """
        key: list[ScalarExpr] = []
        conditions: list[ScalarExpr] = []
        for part in step.key:
            wanted = shift(part, self.offsets[step.input])
            for number, (known, rest) in enumerate(self.classes):
                if wanted not in rest:
                    continue
                chosen = known
                if chosen is None:
                    chosen = next(
                        (item for item in rest if item != wanted and self._is_bound(item)), None
                    )
                if chosen is None:
                    continue
                key.append(chosen)
                left = [item for item in rest if item not in (wanted, chosen)]
                self.classes[number] = (chosen, left)
                if self._both_nullable(chosen, wanted):
                    conditions.append(kernels.is_not_null(chosen))
                break
            else:
                raise InternalError("join key is not determined by the inputs before it")
        return key, conditions

    def _both_nullable(self, left: ScalarExpr, right: ScalarExpr) -> bool:
        return not isinstance(left, Literal) and all(
            scalar_type(item, self.types).nullable for item in (left, right)
        )

    def _is_bound(self, expr: ScalarExpr) -> bool:
        return columns_of(expr) <= self.bound

    def _ready(self) -> list[ScalarExpr]:
        """Return the conditions that can be checked now and were not before."""
        ready = [item for item in self.predicates if self._is_bound(item)]
        self.predicates = [item for item in self.predicates if not self._is_bound(item)]
        for number, (known, rest) in enumerate(self.classes):
            left = []
            for item in rest:
                if not self._is_bound(item):
                    left.append(item)
                elif known is None:
                    known = item
                else:
                    ready.append(kernels.eq(known, item))
            # A member alone says nothing until another is bound; it must stay to be matched.
            self.classes[number] = (known, left)
        return ready

    def _closure(
        self, row: list[int], predicates: list[ScalarExpr], *, last: bool
    ) -> tuple[Mfp, list[int]]:
        local = {column: position for position, column in enumerate(row)}
        if last:
            invariant(not self.predicates, "join condition was never checked")
            invariant(not any(rest for _, rest in self.classes), "join class was never enforced")
            moved = Linear(
                self.after.input_arity,
                self.after.expressions,
                (*predicates, *self.late),
                self.after.outputs,
            )
            full = dict(local)
            demanded = moved.demand()
            for column in range(self.after.input_arity):
                if column not in full:
                    invariant(column not in demanded, "join dropped a column that is read")
                    full[column] = 0
            return to_mfp(moved.renumbered(full, len(row))), row
        demand = self._demand()
        kept = [column for column in row if column in demand]
        linear = Linear(
            len(row),
            (),
            tuple(remap(item, local) for item in predicates),
            tuple(local[column] for column in kept),
        )
        return to_mfp(linear), kept

    def _demand(self) -> set[int]:
        needed = {output for output in self.after.outputs if output < self.after.input_arity}
        for expr in (*self.after.expressions, *self.predicates, *self.late):
            needed |= columns_of(expr)
        for known, rest in self.classes:
            if rest:
                for expr in rest:
                    needed |= columns_of(expr)
                if known is not None:
                    needed |= columns_of(known)
        return needed
