"""Errors that are data, or come from another process, as exceptions of their own class."""

from typing import NoReturn

from headwater.errors import ConstraintViolation, ErrorFields, HeadwaterError, UserError


def _classes(root: type[HeadwaterError]) -> dict[str, type[HeadwaterError]]:
    found = {root.sqlstate: root}
    for child in root.__subclasses__():
        for state, class_ in _classes(child).items():
            found.setdefault(state, class_)
    return found


def error_of(fields: ErrorFields) -> HeadwaterError:
    """Return the exception that ``fields`` describe."""
    class_ = _classes(HeadwaterError).get(fields.sqlstate)
    if class_ is None:
        class_ = type("DataError_", (UserError,), {"sqlstate": fields.sqlstate})
    error = class_(fields.message, detail=fields.detail, hint=fields.hint, position=fields.position)
    if isinstance(error, ConstraintViolation):
        error.schema_name, error.table_name = fields.schema_name, fields.table_name
        error.column_name, error.constraint_name = fields.column_name, fields.constraint_name
    return error


def raise_fields(fields: ErrorFields) -> NoReturn:
    """Raise the exception that ``fields`` describe."""
    raise error_of(fields)
