"""What a process takes of the machine, as the kernel tells it under ``/proc``."""

import os
from pathlib import Path

import msgspec

_KIB = 1 << 10
_NS_PER_S = 1_000_000_000
# Fields of /proc/PID/stat after the command's closing parenthesis, proc(5): state, utime, stime.
_STATE, _UTIME, _STIME = 0, 11, 12
_ENDED = ("Z", "X", "x")  # it has ended, and its parent has not heard of it yet


class ProcessUsage(msgspec.Struct, frozen=True):
    """What a process has used of processors since it began, and holds of memory now.

    Attributes:
        cpu_ns: Nanoseconds, of all cores together.
        memory_bytes: What of it is in memory.
        swap_bytes: What of it has been moved out to disk.
    """

    cpu_ns: int
    memory_bytes: int
    swap_bytes: int


def usage_of(pid: int) -> ProcessUsage | None:
    """Return what a process of this machine takes; None if it has ended or nobody knows."""
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_text()
        status = _sizes(folder / "status")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[_STATE] in _ENDED:
        return None
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return ProcessUsage(
        cpu_ns=ticks * _NS_PER_S // os.sysconf("SC_CLK_TCK"),
        memory_bytes=status.get("VmRSS", 0),
        swap_bytes=status.get("VmSwap", 0),
    )


def heap_limit() -> int | None:
    """Return how many bytes of memory and swap together a process here may have at most."""
    try:
        machine = _sizes(Path("/proc/meminfo"))
    except OSError:
        return None
    memory = machine["MemTotal"]
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        allowed = "max"
    if allowed.isdigit():
        memory = min(memory, int(allowed))
    return memory + machine.get("SwapTotal", 0)


def _sizes(path: Path) -> dict[str, int]:
    """Return the sizes of a file of lines such as ``VmRSS:  52 kB``, in bytes by name."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit == "kB" and number.isdigit():
            found[name] = int(number) * _KIB
    return found
