"""The sqllogictest corpus beside the project, with a ratchet: what passed once must pass.

Skipped, loudly, where the folder is absent. ``ratchet-<part>.json`` beside this file holds what
passes; `pytest tests/slt --rewrite-ratchet` records progress.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.headwater import running

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared" / "slt"
RUNNER = SHARED / "run_slt.py"
CORPUS = SHARED / "corpus" / "dev"

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.skipif(not RUNNER.exists(), reason=f"no sqllogictest corpus at {SHARED}"),
]


@pytest.mark.parametrize("part", ["sqlite/select", "sqlite/evidence", "materialize", "risingwave"])
def test_what_passed_still_passes(part: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    name = part.replace("/", "-")
    ratchet = HERE / f"ratchet-{name}.json"
    update = pytestconfig.getoption("--rewrite-ratchet")
    if not ratchet.exists() and not update:
        pytest.skip(f"no {ratchet.name} yet")
    files = sorted(str(path) for path in CORPUS.glob(f"{part}*/**/*.slt"))
    files += sorted(str(path) for path in CORPUS.glob(f"{part}*.slt"))
    assert files, f"the corpus has no files for {part}"
    with running(tmp_path) as server:
        command = [
            sys.executable,
            str(RUNNER),
            "--dsn",
            server.dsn,
            "--internal-dsn",
            f"host=127.0.0.1 port={server.internal_port} user=mz_system dbname=materialize",
            "--root",
            str(CORPUS),
            "--expect",
            str(ratchet),
            "-q",
            *(["--update"] if update else []),
            *files,
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    print(result.stdout[-3000:])
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
