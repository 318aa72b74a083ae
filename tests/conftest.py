"""Options and markers of the whole test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    parser.addoption(
        "--rewrite-ratchet",
        action="store_true",
        help="record which records of the sqllogictest corpus pass now",
    )
