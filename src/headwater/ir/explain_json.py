"""Plans as JSON: what EXPLAIN … AS JSON shows.

Operators are objects as the IR declares them, with ``kind`` first; literals and rows, which the IR
holds as bytes, are shown as in texts.
"""

from typing import Any

import msgspec

from headwater.ir.explain import explain_scalar, show_rows
from headwater.ir.physical import Constant as PhysicalConstant
from headwater.ir.physical import Get as PhysicalGet
from headwater.ir.physical import MfpNode
from headwater.ir.relation import Constant
from headwater.ir.scalar import Literal
from headwater.types.scalar import ColumnType, ScalarType

JsonValue = Any  # what msgspec encodes: dict, list, str, int, bool, None


def plan_json(plan: msgspec.Struct) -> JsonValue:
    """Return ``plan``, of whatever stage, as values that encode to JSON."""
    return _value(plan)


def _value(item: object) -> JsonValue:
    if isinstance(item, Literal):
        return {"kind": "literal", "value": explain_scalar(item), "type": _value(item.type)}
    if isinstance(item, ColumnType):
        return item.type.base.value + ("?" if item.nullable else "")
    if isinstance(item, ScalarType):
        return item.base.value
    if isinstance(item, msgspec.Struct):
        return _object(item)
    if isinstance(item, tuple | list):
        return [_value(member) for member in item]
    if isinstance(item, bytes):
        return item.hex()
    if item is None or isinstance(item, bool | int | float | str):
        return item
    return str(item)


def _object(item: msgspec.Struct) -> JsonValue:
    config = item.__struct_config__
    shown: dict[str, JsonValue] = {}
    if config.tag_field is not None:
        shown[config.tag_field] = config.tag
    for name in item.__struct_fields__:
        shown[name] = _value(getattr(item, name))
    if isinstance(item, Constant):
        shown["rows"] = show_rows(item.rows, item.desc.types)
    elif isinstance(item, PhysicalConstant):
        shown["rows"] = show_rows(item.rows, None)
    elif isinstance(item, PhysicalGet | MfpNode) and item.lookups is not None:
        shown["lookups"] = show_rows([(row, 1) for row in item.lookups], None)
    return shown
