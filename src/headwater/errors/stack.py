"""The interpreter's stack as a limit of statements: exhausting it is the statement's own error."""

from collections.abc import Iterator
from contextlib import contextmanager

from headwater.errors.conditions import StatementTooComplex


@contextmanager
def within_stack() -> Iterator[None]:
    """Run a stage that recurses over a statement; also a decorator.

    The limits of the parser and of plans (``sql.parse.stream``, ``ir.visit``) come first. This one
    is for what they do not count, such as a chain of common table expressions.

    Raises:
        StatementTooComplex: The statement needs more stack than the interpreter allows.
    """
    try:
        yield
    except RecursionError:
        raise StatementTooComplex(
            "statement nests too deeply", hint="Split the query into views."
        ) from None
