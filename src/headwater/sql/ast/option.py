"""Options: ``name [=] value`` pairs of WITH clauses, connections, sources, sinks and clusters."""

from __future__ import annotations

import enum
from typing import TypeAlias

from headwater.sql.ast.base import DataType, Node, ObjectName
from headwater.sql.ast.query import Expr


class SecretRef(Node, frozen=True, gc=False):
    """``SECRET name``."""

    name: ObjectName


class OptionList(Node, frozen=True, gc=False):
    """``[item, …]`` or ``(item, …)``; printed with the former."""

    items: tuple[OptionValue, ...]


class OptionMapEntry(Node, frozen=True, gc=False):
    """``'key' => value`` inside an option's map."""

    key: str
    value: OptionValue


class OptionMap(Node, frozen=True, gc=False):
    """``MAP['key' => value, …]``."""

    entries: tuple[OptionMapEntry, ...]


class TypeValue(Node, frozen=True, gc=False):
    """A data type as a value: ``ELEMENT TYPE = int4``."""

    data_type: DataType


class Documentation(Node, frozen=True, gc=False):
    """What ``DOC ON COLUMN | TYPE subject = 'text'`` says, as an option's value."""

    subject: ObjectName
    text: Expr


class Tunnel(Node, frozen=True, gc=False):
    """``USING SSH TUNNEL name`` or ``USING AWS PRIVATELINK name [(options)]`` of a broker."""

    is_ssh: bool
    name: ObjectName
    options: tuple[Option, ...] = ()


class BrokerAddress(Node, frozen=True, gc=False):
    """``'host:port' [USING tunnel]``; ``is_pattern`` for ``MATCHING '…'``."""

    address: str
    tunnel: Tunnel | None = None
    is_pattern: bool = False


class RelationWithOptions(Node, frozen=True, gc=False):
    """A name with options as a value: ``AWS PRIVATELINK c (PORT 9092)``."""

    name: ObjectName
    options: tuple[Option, ...]


class RefreshKind(enum.StrEnum):
    """The kinds of REFRESH."""

    ON_COMMIT = "ON COMMIT"
    AT_CREATION = "AT CREATION"
    AT = "AT"
    EVERY = "EVERY"


class Refresh(Node, frozen=True, gc=False):
    """``REFRESH = ON COMMIT | AT CREATION | AT time | EVERY interval [ALIGNED TO time]``."""

    kind: RefreshKind
    time: Expr | None = None
    aligned_to: Expr | None = None


class Schedule(Node, frozen=True, gc=False):
    """``SCHEDULE = MANUAL | ON REFRESH [(HYDRATION TIME ESTIMATE = i)]``; MANUAL has no refresh."""

    on_refresh: bool
    options: tuple[Option, ...] = ()


class ReplicaDefinition(Node, frozen=True, gc=False):
    """``name (options)`` of an unmanaged cluster's REPLICAS."""

    name: str
    options: tuple[Option, ...]


class PolicyRule(Node, frozen=True, gc=False):
    """``name (options)`` of a network policy's RULES."""

    name: str
    options: tuple[Option, ...]


OptionValue: TypeAlias = (
    Expr
    | ObjectName
    | SecretRef
    | OptionList
    | OptionMap
    | TypeValue
    | BrokerAddress
    | Documentation
    | RelationWithOptions
    | Refresh
    | Schedule
    | ReplicaDefinition
    | PolicyRule
)


class Option(Node, frozen=True, gc=False):
    """``NAME [=] value``; value is None where only the name is written.

    ``name`` is canonical: lower case words joined by one blank (``replication factor``). A bare
    word or name as value is an ``ObjectName``; literals and other expressions are ``Expr``;
    ``RETAIN HISTORY FOR '1h'`` has the literal alone.
    """

    name: str
    value: OptionValue | None = None
