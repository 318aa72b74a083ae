"""What processes take, as the kernel tells it."""

import os
import subprocess
import sys

from headwater.cluster.usage import heap_limit, usage_of


def test_a_process_that_works_uses_the_processor() -> None:
    before = usage_of(os.getpid())
    assert before is not None
    spent_s = os.times().user + os.times().system
    assert abs(before.cpu_ns / 1e9 - spent_s) < 1
    while os.times().user + os.times().system < spent_s + 0.1:
        sum(range(10_000))
    after = usage_of(os.getpid())
    assert after is not None
    assert after.cpu_ns - before.cpu_ns >= 80_000_000  # ticks are 10 ms
    limit = heap_limit()
    assert limit is not None
    assert 1 << 20 < after.memory_bytes < limit


def test_of_what_has_ended_nothing_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert usage_of(process.pid) is None  # it is not gone until it has been waited for
    process.wait()
    assert usage_of(process.pid) is None
