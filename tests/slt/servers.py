"""Servers for files of the corpus: one for many files, which finds nothing of the file before."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from tests.fixtures.headwater import Headwater, running

_KINDS = {"DATABASE": "mz_databases", "CLUSTER": "mz_clusters", "ROLE": "mz_roles"}
_Names = dict[str, set[str]]


class Servers:
    """A server at a time. It is a new one only if what a file left can't be taken away."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._server: Headwater | None = None
        self._first: _Names = {}
        self.started = 0

    def clean(self) -> Headwater:
        """Return a server in which there is what a new server has, and nothing else."""
        if self._server is None or not self._cleaned(self._server):
            self._stack.close()
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="maintained-"))
            self._server = self._stack.enter_context(running(Path(folder)))
            self._first = _names(self._server)
            self.started += 1
        return self._server

    def _cleaned(self, server: Headwater) -> bool:
        try:
            with server.internal() as connection:
                for kind, names in _names(server).items():
                    if not names >= self._first[kind]:
                        return False
                    cascade = "" if kind == "ROLE" else " CASCADE"
                    for name in sorted(names - self._first[kind]):
                        quoted = name.replace('"', '""')
                        connection.execute(f'DROP {kind} "{quoted}"{cascade}'.encode())
                connection.execute("ALTER SYSTEM RESET ALL")
                left = connection.execute("SELECT FROM mz_objects WHERE id LIKE 'u%' LIMIT 1")
                return left.fetchone() is None
        except psycopg.Error:
            return False


def _names(server: Headwater) -> _Names:
    with server.internal() as connection:
        return {
            kind: {
                str(name) for (name,) in connection.execute(f"SELECT name FROM {relation}".encode())
            }
            for kind, relation in _KINDS.items()
        }


@contextmanager
def servers() -> Iterator[Servers]:
    """Give servers for as long as the block."""
    with ExitStack() as stack:
        yield Servers(stack)
