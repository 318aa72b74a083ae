"""Plans as versioned bytes, for other processes and for the catalog.

A plan's bytes begin with a version byte; what follows is MessagePack with field names, as the
structs declare it. Rust reads the same (``hw_compute::plan``).
"""

from typing import TypeVar

import msgspec

from headwater.errors import DataCorrupted, IncompatibleVersion
from headwater.ir.dataflow import DataflowDescription
from headwater.ir.physical import Plan
from headwater.ir.relation import RelationExpr

PLAN_VERSION = 1

_encoder = msgspec.msgpack.Encoder()
_relation = msgspec.msgpack.Decoder(RelationExpr)
_physical = msgspec.msgpack.Decoder(Plan)
_dataflow = msgspec.msgpack.Decoder(DataflowDescription)

_T = TypeVar("_T")


def encode(plan: RelationExpr | Plan | DataflowDescription) -> bytes:
    """Return ``plan`` as versioned bytes."""
    return bytes((PLAN_VERSION,)) + _encoder.encode(plan)


def decode_relation(data: bytes) -> RelationExpr:
    """Return the relational plan in ``data``. Raises: IncompatibleVersion, DataCorrupted."""
    relation: RelationExpr = _decode(_relation, data)
    return relation


def decode_plan(data: bytes) -> Plan:
    """Return the physical plan in ``data``. Raises: IncompatibleVersion, DataCorrupted."""
    plan: Plan = _decode(_physical, data)
    return plan


def decode_dataflow(data: bytes) -> DataflowDescription:
    """Return the dataflow in ``data``. Raises: IncompatibleVersion, DataCorrupted."""
    return _decode(_dataflow, data)


def _decode(decoder: "msgspec.msgpack.Decoder[_T]", data: bytes) -> _T:
    if not data or data[0] != PLAN_VERSION:
        found = data[0] if data else None
        raise IncompatibleVersion(
            "plan has another version", detail=f"It is {found}, this is {PLAN_VERSION}."
        )
    try:
        return decoder.decode(memoryview(data)[1:])
    except msgspec.DecodeError as error:
        raise DataCorrupted("plan cannot be decoded", detail=str(error)) from error
