"""The short form of benchmarks/web.py: what holds whatever the machine's speed."""

from benchmarks.web import loaded


def test_slow_readers_cost_no_memory_and_leave_no_process() -> None:
    found = loaded(sockets=60, runs=6, seconds=12)
    assert found.left == 0
    assert found.memory[-1] < found.memory[0] + 30e6
    assert min(found.ratios) > 0
