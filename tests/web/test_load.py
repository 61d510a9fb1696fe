"""The short form of benchmarks/web.py: what holds whatever the machine's speed."""

import importlib.util
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "web.py"


def test_slow_readers_cost_no_memory_and_leave_no_process() -> None:
    spec = importlib.util.spec_from_file_location("benchmark_web", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.loaded(sockets=60, runs=6, seconds=12)
    assert found.left == 0
    assert found.memory[-1] < found.memory[0] + 30e6
    assert min(found.ratios) > 0
