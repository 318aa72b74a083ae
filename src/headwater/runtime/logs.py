"""Log lines: a constant event text, then its fields as ``name=value``."""

import logging
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldsFormatter(logging.Formatter):
    """Appends what was given as ``extra`` to the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, fields in the order in which they were given."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        text = super().format(record)
        if not fields:
            return text
        first, newline, rest = text.partition("\n")
        shown = " ".join(f"{name}={value}" for name, value in fields.items())
        return f"{first} {shown}{newline}{rest}"


def log_to_stderr(level: str) -> None:
    """Send this process's logs of ``level`` and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldsFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
