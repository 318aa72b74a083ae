import subprocess
import sys
from pathlib import Path

from headwater.environment.owners import Owners, owners_of

HOLD = """
import sys
from pathlib import Path
from headwater.environment.owners import Owners
owners = Owners(Path(sys.argv[1]))
owners.enter(int(sys.argv[2]))
print("in", flush=True)
sys.stdin.read()
"""


def hold(folder: Path, epoch: int) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(epoch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_a_server_is_alone_once_those_before_it_have_ended(tmp_path: Path) -> None:
    own = Owners(tmp_path)
    with hold(tmp_path, 1) as first, hold(tmp_path, 2) as second:
        own.enter(3)
        assert not own.alone()
        first.kill()  # it says nothing: the kernel does
        first.wait()
        assert not own.alone()
        second.kill()
        second.wait()
        assert own.alone()
    assert [path.name for path in tmp_path.iterdir()] == ["owner-3.lock"]


def test_one_that_took_over_and_ended_hides_nobody(tmp_path: Path) -> None:
    with hold(tmp_path, 1) as first:
        with hold(tmp_path, 2) as second:
            second.kill()
        own = Owners(tmp_path)
        own.enter(3)
        assert not own.alone()
        first.kill()


def test_later_servers_do_not_count_and_who_leaves_is_forgotten(tmp_path: Path) -> None:
    own = Owners(tmp_path)
    own.enter(1)
    with hold(tmp_path, 2) as later:
        assert own.alone()
        own.leave()
        assert [path.name for path in tmp_path.iterdir()] == ["owner-2.lock"]
        later.kill()


def test_only_a_store_on_this_machine_tells_who_is_alive(tmp_path: Path) -> None:
    assert owners_of(f"sqlite://{tmp_path}/consensus.db") is not None
    assert owners_of("postgres://host/db") is None
