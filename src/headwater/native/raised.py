"""Errors that the extension raises, as classes of ``headwater.errors``."""

from functools import cache

from headwater.errors import HeadwaterError, UserError

_DETAIL = "\nDETAIL:  "
_HINT = "\nHINT:  "


@cache
def _classes() -> dict[str, type[HeadwaterError]]:
    """Return the concrete classes by SQLSTATE."""
    found: dict[str, type[HeadwaterError]] = {}
    pending: list[type[HeadwaterError]] = [HeadwaterError]
    while pending:
        for child in pending.pop().__subclasses__():
            found.setdefault(child.sqlstate, child)
            pending.append(child)
    return found


@cache
def _class_of(sqlstate: str) -> type[HeadwaterError]:
    """Return the class of a SQLSTATE; one is made where the tree has none."""
    known = _classes().get(sqlstate)
    return known or type(f"DataError{sqlstate}", (UserError,), {"sqlstate": sqlstate})


def parts(message: str) -> tuple[str, str, str]:
    """Return message, detail and hint, which ``hw_expr::error`` writes one behind the other."""
    message, _, hint = message.partition(_HINT)
    message, _, detail = message.partition(_DETAIL)
    return message, detail, hint


def error_of(sqlstate: str, message: str) -> HeadwaterError:
    """Return the error of a SQLSTATE; the extension calls this to raise.

    ``message`` may have a detail and a hint behind it.
    """
    message, detail, hint = parts(message)
    return _class_of(sqlstate)(message, detail=detail, hint=hint)
