"""The sqllogictest corpus beside the project, with a ratchet: what passed once must pass.

Skipped, loudly, where the folder is absent. ``ratchet-<part>.json`` beside this file holds what
passes; ``pytest tests/slt --rewrite-ratchet`` records progress.
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


@pytest.mark.parametrize("part", ["sqlite/select", "materialize"])
def test_what_passed_still_passes(part: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    ratchet = HERE / f"ratchet-{part.replace('/', '-')}.json"
    update = pytestconfig.getoption("--rewrite-ratchet")
    if not ratchet.exists() and not update:
        pytest.skip(f"no {ratchet.name} yet: run pytest tests/slt --rewrite-ratchet")
    with running(tmp_path) as server:
        internal = f"host=127.0.0.1 port={server.internal_port} user=mz_system dbname=materialize"
        command = [
            sys.executable,
            str(RUNNER),
            *("--dsn", server.dsn),
            *("--internal-dsn", internal),
            *("--fresh", "database"),
            *("--timeout", "30"),
            *("--file-timeout", "300"),
            *("--root", str(CORPUS)),
            *("--copy-root", str(CORPUS / "materialize" / "data")),
            *("--expect", str(ratchet)),
            *(["--update"] if update else []),
            "-q",
            str(CORPUS / part),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    print(result.stdout[-3000:])
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
