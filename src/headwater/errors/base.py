"""The roots of the error tree and the form in which errors cross process borders."""

import re
from typing import Any, ClassVar, NoReturn

import msgspec

_SQLSTATE = re.compile(r"[0-9A-Z]{5}\Z")


class ErrorFields(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as data: what PostgreSQL's ErrorResponse carries.

    ``position`` counts characters of the statement's text from 1, 0 where unknown.
    """

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0
    severity: str = "ERROR"
    schema_name: str = ""
    table_name: str = ""
    column_name: str = ""
    constraint_name: str = ""


class HeadwaterError(Exception):
    """The root of all errors that users may see.

    Attributes:
        sqlstate: The five characters PostgreSQL's appendix A gives the condition.
        retryable: Whether the same statement may succeed when tried again unchanged.
        message: Lower case, no full stop, names in double quotes.
        detail: What else is known, a sentence.
        hint: What the user can do, a sentence.
        position: Character of the statement's text, from 1; 0 where unknown.
    """

    sqlstate: ClassVar[str] = "XX000"
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not _SQLSTATE.match(cls.sqlstate):
            raise TypeError(f"{cls.__name__} has a malformed SQLSTATE {cls.sqlstate!r}")

    def __init__(
        self, message: str, *, detail: str = "", hint: str = "", position: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position

    def fields(self) -> ErrorFields:
        """Return the error as data for another process or the wire."""
        return ErrorFields(
            sqlstate=self.sqlstate,
            message=self.message,
            detail=self.detail,
            hint=self.hint,
            position=self.position,
        )


class UserError(HeadwaterError):
    """The statement, its data, or the order in which things were asked for are at fault."""

    sqlstate = "42000"


class TransientError(HeadwaterError):
    """A condition that passes: trying again may succeed."""

    sqlstate = "40000"
    retryable = True


class ExternalError(HeadwaterError):
    """A system outside headwater failed or is out of reach."""

    sqlstate = "58000"
    retryable = True


class InternalError(HeadwaterError):
    """A broken invariant. Never caught to go on; always a bug in headwater."""

    sqlstate = "XX000"


def invariant(condition: bool, message: str, **fields: object) -> None:
    """Raise :class:`InternalError` unless ``condition`` holds; ``fields`` go into the detail."""
    if not condition:
        _broken(message, fields)


def _broken(message: str, fields: dict[str, object]) -> NoReturn:
    detail = ", ".join(f"{name} = {value!r}" for name, value in fields.items())
    raise InternalError(message, detail=detail)
