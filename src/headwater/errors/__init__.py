"""Errors as an interface: one class and one SQLSTATE per condition.

Every error that can reach a user is a :class:`HeadwaterError`::

    HeadwaterError
    ├── UserError         the statement or its data are at fault
    ├── TransientError    the same statement may succeed when tried again
    ├── ExternalError     a broker, a registry, an object store or another server is at fault
    └── InternalError     a broken invariant: our bug, always XX000

Modules: ``base`` (the tree's roots and the wire form), ``conditions`` (one class per condition),
``stack`` (an exhausted stack as an error).
Between processes an error travels as :class:`ErrorFields`, never as a pickle.
"""

from headwater.errors.base import (
    ErrorFields,
    ExternalError,
    HeadwaterError,
    InternalError,
    TransientError,
    UserError,
    invariant,
)
from headwater.errors.conditions import *  # noqa: F403
from headwater.errors.conditions import __all__ as _conditions
from headwater.errors.stack import within_stack

__all__ = [
    "ErrorFields",
    "ExternalError",
    "HeadwaterError",
    "InternalError",
    "TransientError",
    "UserError",
    "invariant",
    "within_stack",
    *_conditions,
]
