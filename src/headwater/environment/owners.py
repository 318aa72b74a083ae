"""Which servers of one store are alive, where the store is a file that only this machine can open.

Every server holds a lock on a file of its own, ``owner-<epoch>.lock`` beside the store; the kernel
lets go of it when the process ends, however it ends.
"""

import fcntl
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = re.compile(r"owner-(\d+)\.lock")


def owners_of(consensus_url: str) -> "Owners | None":
    """Return the servers of a store; None where they may be on other machines."""
    parts = urlsplit(consensus_url)
    return Owners(Path(unquote(parts.path)).parent) if parts.scheme == "sqlite" else None


class Owners:
    """See the module.

    Args:
        folder: Where the store is. It exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._epoch = 0
        self._own: int | None = None

    def enter(self, epoch: int) -> None:
        """Be known as the server of ``epoch`` until this process ends or :meth:`leave`."""
        self._epoch = epoch
        self._own = _locked(self._folder / f"owner-{epoch}.lock", os.O_CREAT)

    def alone(self) -> bool:
        """Return whether every server of an earlier epoch has ended; forgets those that have."""
        alive = False
        for path in self._folder.glob("owner-*.lock"):
            named = _NAME.fullmatch(path.name)
            if named is None or int(named[1]) >= self._epoch:
                continue
            try:
                lock = _locked(path)
            except FileNotFoundError:
                continue  # it has left in this moment
            if lock is None:
                alive = True
                continue
            path.unlink(missing_ok=True)
            os.close(lock)
        return not alive

    def leave(self) -> None:
        """Be no longer known."""
        if self._own is not None:
            (self._folder / f"owner-{self._epoch}.lock").unlink(missing_ok=True)
            os.close(self._own)
            self._own = None


def _locked(path: Path, flags: int = 0) -> int | None:
    """Return the descriptor of a file that is locked now; None where another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
