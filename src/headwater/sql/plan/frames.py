"""The frame of a window function where none is written."""

from headwater.ir.relation import FrameBoundKind, FrameUnits
from headwater.sql.plan.hir import FrameBound, WindowFrame

DEFAULT_FRAME = WindowFrame(
    FrameUnits.RANGE,
    FrameBound(FrameBoundKind.UNBOUNDED_PRECEDING),
    FrameBound(FrameBoundKind.CURRENT_ROW),
)
