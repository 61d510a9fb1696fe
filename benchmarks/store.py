"""How fast the store answers when it holds 100,000 runs, and how much room a run takes.

    python benchmarks/store.py [--runs 100000] [--repeats 5]

One real run is stored under many seeds. Each question is asked in a fresh process, whose start and imports
count: by the clock, and in processor time, which other programs on a shared machine hardly touch. Medians and
ranges are written to benchmarks/results/store.md and store.json.
"""

import argparse
import json
import math
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
from records import versions_in_words

from digitlab import lab
from digitlab.engine.device import find_device
from digitlab.engine.provenance import provenance
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Filter, open_store
from digitlab.studies import read_study
from digitlab.studies.progress import StudyProgress

RESULTS = Path(__file__).parent / "results"
BATCH, ASKED = 2_000, 2_000

QUESTIONS = {
    "python -c 'pass'": "",
    "import digitlab.store": "import digitlab.store",
    f"known, {ASKED:,} keys": "assert len(store.known(keys)) == len(keys)",
    f"get, {ASKED:,} runs": "assert len(store.get(keys)) == len(keys)",
    f"get with predictions, {ASKED:,} runs": "assert len(store.get(keys, predictions=True)) == len(keys)",
    "list of 20 of one seed": "assert store.list(Filter(network='784-100-10', seed=7), 20)",
    "list of the newest 20": "assert len(store.list(Filter(), 20)) == 20",
    "list of all": "assert len(store.list(Filter())) == run_count",
    "count of a network": "assert store.count(Filter(network='784-100-10')) == run_count",
    "digitlab runs list --seed 7": "command('runs', 'list', '--seed', '7')",
    f"digitlab study status, {ASKED:,} known runs": "command('study', 'status', study)",
    f"the report's data of {ASKED:,} known runs": (
        "from digitlab.report.build import completed_study; from digitlab.studies import read_study; "
        "assert completed_study(read_study(study), 'full', store)"
    ),
}
OPENED = """
import sys
from digitlab.store import Filter, open_store
path, study, run_count = sys.argv[1], sys.argv[3], int(sys.argv[4])
store, keys = open_store(path), open(sys.argv[2]).read().split()

def command(*words):
    from digitlab.cli.app import app
    sys.argv = ["digitlab", *words, "--store", path]
    app(standalone_mode=False)

"""
WITHOUT_TORCH = "\nimport sys; assert 'torch' not in sys.modules"

STUDY = """
name = "known"
title = "A study that is known"
question = "How long does it take to say so?"

[fixed]
hidden = [100]
validation_size = 10_000
steps = 1_500

[[axes]]
name = "batch_size"
values = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200]

[[axes]]
name = "learning_rate"
range = { from = 0.0009765625, to = 32 }
tune = true

[seeds]
tune = 6
report = 4
"""
"""20 batch sizes, 16 rates on 6 seeds, and 4 fresh seeds each: 2,000 runs."""


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


def fill_study(path: Path, study: Path) -> None:
    """Let the store know every run of the study; losses are least at a rate in the middle of the range."""
    study.write_text(STUDY)
    run, store = real_run(), open_store(path)
    progress = StudyProgress(read_study(study), store)
    while not (stage := progress.stage()).is_done:
        store.add([under(run, spec) for spec in stage.missing])


def under(run: RunResult, spec: RunSpec) -> RunResult:
    """The same result under another spec, its validation loss made up."""
    loss = 0.1 + math.log2(spec.optimiser.learning_rate / 0.25) ** 2 / 100
    curve = run.curve.model_copy(update={"validation_loss": (loss,) * len(run.curve.step)})
    return run.model_copy(update={"spec": spec, "key": spec.key, "curve": curve})


def ask(question: str, path: Path, keys: Path, study: Path, run_count: int) -> tuple[float, float]:
    """Seconds of a process that asks one question: by the clock, and of processor time."""
    script = (OPENED if "(" in question else "") + question + WITHOUT_TORCH
    command = [sys.executable, "-c", script, str(path), str(keys), str(study), str(run_count)]
    begin, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - begin, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, spent


def measure(folder: Path, run_count: int, repeats: int) -> dict[str, Any]:
    """Fill a store in a folder and ask all questions, which take turns."""
    path, keys, study = folder / "runs.db", folder / "keys", folder / "known.toml"
    adding = fill(path, run_count)
    some = random.Random(1).sample([row.key for row in open_store(path).list(Filter())], ASKED)
    keys.write_text("\n".join(some))
    fill_study(path, study)
    run_count += ASKED
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in QUESTIONS}
    for _ in range(repeats):
        for name, question in QUESTIONS.items():
            seconds[name].append(ask(question, path, keys, study, run_count))
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
    versions = versions_in_words(machine["versions"])
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
            f"`verify` read and verified everything in {measured['verify_seconds']:.1f} s.",
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
    machine = provenance(
        "benchmarks/store.py", find_device("cpu"), 0, threads=torch.get_num_threads()
    ).model_dump(include={"processor", "platform", "versions"})
    machine["versions"] |= {"sqlalchemy": version("sqlalchemy"), "sqlite": sqlite3.sqlite_version}
    text = report(measured, machine, options.repeats)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "store.md").write_text(text)
    (RESULTS / "store.json").write_text(json.dumps({"machine": machine, **measured}, indent=2) + "\n")


if __name__ == "__main__":
    main()
