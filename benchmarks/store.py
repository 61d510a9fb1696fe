"""How fast the store answers when it holds 100,000 runs, and how much room a run takes.

    python benchmarks/store.py [--runs 100000] [--repeats 5]

One real run is stored under many seeds. Each question is asked in a fresh process, whose start and imports
count: by the clock, and in processor time, which other programs on a shared machine hardly touch. Medians and
ranges are written to benchmarks/results/store.md and store.json.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from digitlab import lab
from digitlab.engine.provenance import provenance
from digitlab.result import RunResult
from digitlab.store import Filter, open_store

RESULTS = Path(__file__).parent / "results"
BATCH, ASKED = 2_000, 2_000

QUESTIONS = {
    "python -c 'pass'": "",
    "import digitlab.store": "import digitlab.store",
    f"known, {ASKED:,} keys": "assert len(store.known(keys)) == len(keys)",
    f"get, {ASKED:,} runs": "assert len(store.get(keys)) == len(keys)",
    f"get with predictions, {ASKED:,} runs": "assert len(store.get(keys, predictions=True)) == len(keys)",
    "list of 20 of one seed": "assert len(store.list(Filter(network='784-100-10', seed=7), 20)) == 1",
    "list of the newest 20": "assert len(store.list(Filter(), 20)) == 20",
    "list of all": "assert len(store.list(Filter())) == run_count",
    "count of a network": "assert store.count(Filter(network='784-100-10')) == run_count",
}
OPENED = """
import sys
from digitlab.store import Filter, open_store
store, keys, run_count = open_store(sys.argv[1]), open(sys.argv[2]).read().split(), int(sys.argv[3])
"""


def real_run() -> RunResult:
    """A run with a curve of 30 points and predictions of all ten classes."""
    points = tuple(range(50, 1_501, 50))
    return lab.train(
        hidden=(100,), steps=1_500, evaluate_at=points, validation_size=10_000, learning_rate=0.1
    )


def numbered(run: RunResult, seed: int) -> RunResult:
    """The same run under another seed, finished at another time."""
    spec = run.spec.model_copy(update={"seed": seed})
    finished = f"20{seed % 90:02}-01-01T{seed % 24:02}:{seed % 59:02}:00+00:00"
    changes = {"finished": finished, "seconds": run.provenance.seconds + seed * 1e-6}
    return run.model_copy(
        update={"spec": spec, "key": spec.key, "provenance": run.provenance.model_copy(update=changes)}
    )


def fill(path: Path, run_count: int) -> dict[str, float]:
    """Fill a store, by batches and then a few runs one by one; milliseconds a run of both."""
    run, store = real_run(), open_store(path)
    seconds, single = 0.0, []
    for start in range(0, run_count, BATCH):
        results = [numbered(run, seed) for seed in range(start, min(start + BATCH, run_count))]
        begin = time.perf_counter()
        store.add(results)
        seconds += time.perf_counter() - begin
        print(f"{start + len(results):,} of {run_count:,}", file=sys.stderr)
    for seed in range(run_count, run_count + 50):
        result = numbered(run, seed)
        begin = time.perf_counter()
        store.add([result])
        single.append(time.perf_counter() - begin)
    store.delete([numbered(run, seed).key for seed in range(run_count, run_count + 50)])
    return {
        "add, by batches": 1e3 * seconds / run_count,
        "add, one by one": 1e3 * statistics.median(single),
    }


def ask(question: str, path: Path, keys: Path, run_count: int) -> tuple[float, float]:
    """Seconds of a process that asks one question: by the clock, and of processor time."""
    script = question if "store." not in question or "import" in question else OPENED + question
    command = [sys.executable, "-c", script, str(path), str(keys), str(run_count)]
    begin, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True)
    seconds, after = time.perf_counter() - begin, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, spent


def measure(folder: Path, run_count: int, repeats: int) -> dict[str, Any]:
    """Fill a store in a folder and ask all questions, which take turns."""
    path, keys = folder / "runs.db", folder / "keys"
    adding = fill(path, run_count)
    some = random.Random(1).sample([row.key for row in open_store(path).list(Filter())], ASKED)
    keys.write_text("\n".join(some))
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in QUESTIONS}
    for _ in range(repeats):
        for name, question in QUESTIONS.items():
            seconds[name].append(ask(question, path, keys, run_count))
    begin = time.perf_counter()
    verified = open_store(path).verify()
    return {
        "runs": verified.checked,
        "bytes_a_run": path.stat().st_size / run_count,
        "milliseconds_a_run": adding,
        "verify_seconds": time.perf_counter() - begin,
        "seconds": {name: [clock for clock, _ in found] for name, found in seconds.items()},
        "processor_seconds": {name: [spent for _, spent in found] for name, found in seconds.items()},
    }


def report(measured: dict[str, Any], machine: dict[str, Any], repeats: int) -> str:
    """The figures as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    rows = [
        f"| {name} | {statistics.median(found):.2f} | {min(found):.2f} – {max(found):.2f} "
        f"| {statistics.median(measured['processor_seconds'][name]):.2f} |"
        for name, found in measured["seconds"].items()
    ]
    adding = measured["milliseconds_a_run"]
    return "\n".join(
        [
            "# The store, measured",
            "",
            f"`python benchmarks/store.py` on {machine['processor']}, {machine['platform']}; {versions}.",
            f"A store of {measured['runs']:,} runs, each with 30 points and 10,000 predictions, takes "
            f"{measured['bytes_a_run']:,.0f} bytes a run.",
            "",
            f"Seconds of a fresh process, its start and imports included; median and range of {repeats}:",
            "",
            "| question | median | range | processor time, median |",
            "|---|--:|--:|--:|",
            *rows,
            "",
            f"Adding took {adding['add, by batches']:.2f} ms a run in batches of {BATCH:,}, and "
            f"{adding['add, one by one']:.1f} ms one by one (each waits for the disk). "
            f"`verify` read and proved everything in {measured['verify_seconds']:.1f} s.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), options.runs, options.repeats)
    machine = provenance("benchmarks/store.py", torch.device("cpu"), 0).model_dump(
        include={"processor", "platform", "versions"}
    )
    machine["versions"] |= {"sqlalchemy": version("sqlalchemy"), "sqlite": sqlite3.sqlite_version}
    text = report(measured, machine, options.repeats)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "store.md").write_text(text)
    (RESULTS / "store.json").write_text(json.dumps({"machine": machine, **measured}, indent=2) + "\n")


if __name__ == "__main__":
    main()
