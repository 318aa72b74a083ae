"""Errors that the extension raises, as classes of ``headwater.errors``."""

from functools import cache

from headwater.errors import HeadwaterError, UserError


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


def error_of(sqlstate: str, message: str) -> HeadwaterError:
    """Return the error of a SQLSTATE; the extension calls this to raise."""
    return _class_of(sqlstate)(message)
