"""Playing the corpus: its parts, the runner beside it, and what came of each record."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.headwater import running

SHARED = Path(__file__).resolve().parents[3] / "shared" / "slt"
RUNNER = SHARED / "run_slt.py"
CORPUS = SHARED / "corpus" / "dev"

AT_ONCE = 2
"""Files that are played at a time."""
STATEMENT_SECONDS = 60
FILE_SECONDS = 900
RECORDED_SHARE = 3
"""What is recorded has passed in this part of the time that a check allows: machines differ."""


@dataclass(frozen=True)
class Part:
    """A part of the corpus.

    Attributes:
        alone: Each of its files has a server with nothing in it. Where they are recorded they
            always have; for few large files it makes use of all processors.
        areas_alone: Folders of it whose files have that at any rate: they say what a server with
            nothing else in it holds, or change it as a whole.
    """

    name: str
    alone: bool
    areas_alone: frozenset[str] = frozenset()


PARTS = (
    Part(
        "materialize",
        alone=False,
        areas_alone=frozenset(
            ("catalog", "clusters-replicas", "objects-ddl", "rbac", "transactions-session")
        ),
    ),
    Part("sqlite", alone=True),
    Part("risingwave", alone=False),
)


@dataclass(frozen=True)
class Failure:
    """A record that failed: the line it begins on, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Played:
    """What came of a file. ``results`` has a letter a record: p(assed), f(ailed) or s(kipped)."""

    name: str
    sha: str
    results: str
    seconds: float = 0.0
    failures: tuple[Failure, ...] = field(default=())

    @property
    def passed(self) -> frozenset[int]:
        """Return the numbers, from 1, of the records that passed."""
        return frozenset(i for i, result in enumerate(self.results, 1) if result == "p")


def missing() -> str | None:
    """Return why the corpus can't be played, None if it can."""
    return None if RUNNER.exists() else f"no sqllogictest corpus at {SHARED}"


def play(part: Part, *, recording: bool = False) -> list[Played]:
    """Play all files of a part against new servers, ``recording`` within less time.

    Raises:
        RuntimeError: The runner failed, or a file had no server: the run says nothing.
    """
    folder = CORPUS / part.name
    if part.alone or (recording and part.areas_alone):
        return _play([folder], alone=True, recording=recording)
    areas = {path for path in folder.iterdir() if path.is_dir()}
    alone = {path for path in areas if path.name in part.areas_alone}
    played = _play(sorted(areas - alone), alone=False, recording=recording)
    if alone:
        played += _play(sorted(alone), alone=True, recording=recording)
    return played


def play_alone(names: Sequence[str]) -> list[Played]:
    """Play the files of these names, each with a server of its own. Raises: RuntimeError."""
    return _play([CORPUS / name for name in names], alone=True, recording=False)


def _play(paths: Sequence[Path], *, alone: bool, recording: bool) -> list[Played]:
    share = RECORDED_SHARE if recording else 1
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slt-")))
        report = folder / "report.json"
        if alone:
            where = ["--spawn", _spawn()]
        else:
            server = stack.enter_context(running(folder / "data"))
            internal = f"host=127.0.0.1 port={server.internal_port} user=mz_system"
            where = ["--dsn", server.dsn, "--internal-dsn", internal, "--fresh", "database"]
        command = [
            *(sys.executable, str(RUNNER), *where, "-q", "-j", str(AT_ONCE)),
            *("--timeout", str(STATEMENT_SECONDS // share)),
            *("--file-timeout", str(FILE_SECONDS // share)),
            *("--root", str(CORPUS), "--copy-root", str(CORPUS / "materialize" / "data")),
            *("--json", str(report), *map(str, paths)),
        ]
        # Its exit code says whether all passed, which is for the ratchet to say.
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if not report.exists():
            raise RuntimeError(f"the runner failed: {result.stdout[-2000:]}{result.stderr[-2000:]}")
        played = read(report)
    without = [file.name for file in played if any(f.line == 0 for f in file.failures)]
    if without:
        raise RuntimeError(f"no server started in time, or none any more: {', '.join(without)}")
    return played


def _spawn() -> str:
    return (
        f"{sys.executable} -m headwater.cli.main serve --data {{dir}}"
        " --sql-address 127.0.0.1:{port} --internal-sql-address 127.0.0.1:{internal_port}"
        " --http-address 127.0.0.1:0"
    )


def read(report: Path) -> list[Played]:
    """Return what the runner's report says."""
    return [
        Played(
            name,
            played["sha"],
            played["results"],
            played["seconds"],
            tuple(Failure(each["line"], each["reason"]) for each in played["failures"]),
        )
        for name, played in json.loads(report.read_text()).items()
    ]
