"""Options and markers of the whole test suite."""

import pytest

# What takes long begins first, so that at the end no process waits long for another.
_FIRST = ("tests/slt/", "tests/integration/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    parser.addoption(
        "--rewrite-ratchet",
        action="store_true",
        help="record which records of the sqllogictest corpus pass now",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a folder everything stays in its order."""

    def rank(item: pytest.Item) -> int:
        found = [at for at, folder in enumerate(_FIRST) if item.nodeid.startswith(folder)]
        return found[0] if found else len(_FIRST)

    items.sort(key=rank)
