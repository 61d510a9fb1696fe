"""What saturates first at 10, 1,000 and 100,000 cores and 10^9 runs: measured on one driver, then calculated.

    python benchmarks/scale.py [--runs 20000] [--slots 1000] [--planned 10000 100000 1000000]

One driver runs a study behind the real `run_study`, Training and store; only, nobody trains its cohorts: an
executor of simulated slots answers with a real run's result under each spec. What a driver does a second,
what a commit and a run take, and what travels, is measured; the rest follows by arithmetic, which this script
does too. Written to benchmarks/results/scale.md and scale.json.
"""

import argparse
import cProfile
import heapq
import json
import os
import pickle
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from records import versions_in_words

from digitlab import lab
from digitlab.data import load
from digitlab.engine.device import find_device
from digitlab.engine.progress import CohortProgress
from digitlab.engine.provenance import provenance
from digitlab.execution.interface import CohortEnded, CohortStarted, Runs, Tell
from digitlab.execution.protocol import Done, Order
from digitlab.planning.calibration import known
from digitlab.planning.cost import Images
from digitlab.planning.planner import MOST_SECONDS, plan
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import open_store, rows
from digitlab.studies import read_study
from digitlab.studies.progress import StudyProgress
from digitlab.studies.runner import run_study
from digitlab.studies.stages import NothingKnown

RESULTS = Path(__file__).parent / "results"
STUDY = """
name = "scale"
title = "Scale"
question = "What does the driver take?"
analysis = "comparison"
[fixed]
hidden = [100]
steps = 1500
evaluate_at = {points}
validation_size = 10_000
[[axes]]
name = "learning_rate"
values = {rates}
[[axes]]
name = "batch_size"
values = {sizes}
[seeds]
tune = {seeds}
report = {seeds}
"""
POINTS = list(range(50, 1_501, 50))
INSERT = """\
insert into runs select gen_random_uuid()::text || n, (
  select string_agg(sha256((random() || '-' || i || '-' || n)::bytea), ''::bytea)
  from generate_series(1, {blocks}) i) from generate_series(1, {runs}) n;
"""
_MOST_SEEDS = 1_000
COMMITS = (1, 10, 60, 500)
CORES = (10, 1_000, 100_000)
RUNS = 10**9


class Simulated:
    """An executor of many slots that train nothing; see `Executor`.

    answer:      what it says every run has come to
    cohort_seconds: how long each cohort takes; 0: it ends as soon as it has begun
    """

    def __init__(self, slots: int, answer: RunResult, cohort_seconds: float) -> None:
        self.slots, self._answer, self._seconds = slots, answer, cohort_seconds
        self._changed = threading.Condition()
        self._waiting: list[Runs] = []
        self._is_closed = False
        self.cohorts = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._tell: Tell

    def start(self, tell: Tell) -> None:
        """See `Executor`."""
        self._tell = tell
        self._thread.start()

    def submit(self, runs: Runs) -> None:
        """See `Executor`."""
        with self._changed:
            self._waiting.append(runs)
            self._changed.notify()

    def cancel(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        raise NotImplementedError

    def observe(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `Executor`."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        under_way: list[tuple[float, int, Runs]] = []
        taken = 0
        while True:
            with self._changed:
                while not self._is_closed and taken == len(self._waiting) and not under_way:
                    self._changed.wait()
                if self._is_closed:
                    return
                new = self._waiting[taken : taken + self.slots - len(under_way)]
            for runs in new:
                taken += 1
                heapq.heappush(under_way, (time.monotonic() + self._seconds, taken, runs))
                self._tell(CohortStarted(runs))
            now = time.monotonic()
            if under_way and under_way[0][0] <= now:
                _, _, runs = heapq.heappop(under_way)
                self.cohorts += 1
                self._tell(CohortEnded(runs, [under(self._answer, key, spec) for key, spec in runs.items()]))
            else:
                time.sleep(0.001)


def under(result: RunResult, key: str, spec: RunSpec) -> RunResult:
    """The same result under another spec."""
    return result.model_copy(update={"spec": spec, "key": key})


def real_run() -> RunResult:
    """A run with a curve of 30 points and 10,000 predictions."""
    return lab.train(
        hidden=(100,), steps=1_500, evaluate_at=POINTS, validation_size=10_000, learning_rate=0.1
    )


def study_file(folder: Path, run_count: int) -> Path:
    """A study of so many runs: of 20 conditions, and of more where each would have too many seeds."""
    path = folder / f"scale-{run_count}.toml"
    rates = [0.02, 0.05, 0.1, 0.2]
    more = max(run_count // (len(rates) * _MOST_SEEDS) - 5, 0)
    sizes = [20, 50, 100, 200, 500, *range(501, 501 + more)]
    seeds = run_count // (len(rates) * len(sizes))
    path.write_text(STUDY.format(points=POINTS, rates=rates, sizes=sizes, seeds=seeds))
    return path


@contextmanager
def simulated(answer: RunResult, cohort_seconds: float) -> Iterator[list[Simulated]]:
    """Let `lab.start` take simulated slots for workers, and memory for all of them."""
    made: list[Simulated] = []

    def workers(count: int, *_: Any, **__: Any) -> Simulated:
        made.append(Simulated(count, answer, cohort_seconds))
        return made[-1]

    with (
        mock.patch.object(lab, "Workers", workers),
        mock.patch("digitlab.planning.planner.free_memory", return_value=10**14),
        mock.patch.object(lab, "calibrate", return_value=known()),
    ):
        yield made


def driver(
    folder: Path, run_count: int, slots: int, answer: RunResult, cohort_seconds: float
) -> dict[str, Any]:
    """One driver with all its parts: what it takes for a study of which the cohorts take nothing."""
    study, place = read_study(study_file(folder, run_count)), folder / "runs.db"
    store = open_store(place)
    profile = cProfile.Profile()
    with simulated(answer, cohort_seconds) as made:
        start, before = time.perf_counter(), time.process_time()
        first: list[float] = []
        if os.environ.get("SCALE_PROFILE"):
            profile.enable()
        stage = run_study(study, store, workers=slots, on_results=lambda _: first.append(time.perf_counter()))
        seconds, processor = time.perf_counter() - start, time.process_time() - before
        if os.environ.get("SCALE_PROFILE"):
            profile.disable()
            pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
    if not stage.is_done:
        raise SystemExit("the study is not done")
    store.close()
    size = place.stat().st_size
    for file in folder.glob("runs.db*"):
        file.unlink()
    cohorts = sum(executor.cohorts for executor in made)
    return {
        "runs": run_count,
        "slots": made[0].slots,
        "cohorts": cohorts,
        "cohort_seconds": cohort_seconds,
        "seconds": seconds,
        "seconds_until_the_first_result": first[0] - start,
        "processor_seconds": processor,
        "runs_a_second": run_count / (seconds - (first[0] - start)),
        "cohorts_a_second": cohorts / (seconds - (first[0] - start)),
        "store_bytes_a_run": size / run_count,
    }


def commits(folder: Path, answer: RunResult) -> dict[int, dict[str, float]]:
    """Milliseconds of one `add`, a commit each, of so many runs, in SQLite."""
    store, seed = open_store(folder / "commits.db"), 0
    found: dict[int, dict[str, float]] = {}
    for size in COMMITS:
        taken = []
        for _ in range(max(5, min(60, 600 // size))):
            some = []
            for _ in range(size):
                seed += 1
                spec = answer.spec.model_copy(update={"seed": seed})
                some.append(under(answer, spec.key, spec))
            start = time.perf_counter()
            store.add(some)
            taken.append(1e3 * (time.perf_counter() - start))
        found[size] = {"median": statistics.median(taken), "least": min(taken), "most": max(taken)}
    store.close()
    return found


def planning(counts: list[int], slots: int) -> dict[int, dict[str, float]]:
    """Seconds to sort so many runs into cohorts for the slots, and what making their keys takes."""
    base = lab.make_spec(hidden=(100,), steps=1_500, validation_size=10_000)
    images = {base.data: Images.of(load("mnist"))}
    found = {}
    for count in counts:
        specs = [base.model_copy(update={"seed": seed}) for seed in range(count)]
        start = time.perf_counter()
        made = plan(specs, images, known(), workers=slots, memory_limit=10**14)
        found[count] = {"seconds": time.perf_counter() - start, "cohorts": len(made.cohorts)}
        sample = specs[:2_000]
        start = time.perf_counter()
        for spec in sample:
            _ = spec.key
        found[count]["microseconds_a_key"] = 1e6 * (time.perf_counter() - start) / len(sample)
    return found


def strategy(folder: Path, counts: list[int], answer: RunResult) -> dict[int, dict[str, float]]:
    """Seconds until the strategy says what is due: of nothing known, and of everything known."""
    found = {}

    class Everything:
        def get(self, keys: Any) -> dict[str, RunResult]:
            return {key: under(answer, key, specs[key]) for key in keys}

        def measurements(self, *_: Any) -> dict[str, Any]:
            return {}

    for count in counts:
        study = read_study(study_file(folder, count))
        start = time.perf_counter()
        stage = StudyProgress(study, NothingKnown()).stage()
        nothing = time.perf_counter() - start
        specs = {spec.key: spec for spec in stage.missing}
        start = time.perf_counter()
        if not StudyProgress(study, Everything()).stage().is_done:
            raise SystemExit("all is known, and the study is not done")
        found[count] = {"nothing known": nothing, "all known": time.perf_counter() - start}
    return found


def traffic(answer: RunResult, cohort_runs: int) -> dict[str, float]:
    """Bytes that travel: between driver and worker, and into the store."""
    specs = [answer.spec.model_copy(update={"seed": seed}) for seed in range(cohort_runs)]
    keys = [spec.key for spec in specs]
    order = len(pickle.dumps(Order([spec.canonical_json for spec in specs], None)))
    results = [
        RunResult.from_json(under(answer, key, spec).to_json()) for key, spec in zip(keys, specs, strict=True)
    ]
    if answer.predictions is not None:
        results = [result.model_copy(update={"predictions": answer.predictions}) for result in results]
    progress = CohortProgress(keys[0], 50, 1_500, dict.fromkeys(keys, (0.1, 0.9)), {})
    row = rows.run_row(answer, rows.packed_predictions(answer))
    dataset = load("mnist")
    return {
        "runs_a_cohort": cohort_runs,
        "order_bytes_a_run": order / cohort_runs,
        "result_bytes_a_run": len(pickle.dumps(Done(results, ""))) / cohort_runs,
        "progress_bytes": len(pickle.dumps(progress)),
        "document_bytes": len(row["document"]),
        "predictions_bytes": len(rows.packed_predictions(answer) or b""),
        "data_bytes_a_node": sum(
            array.nbytes for part in (dataset.train, dataset.test) for array in (part.images, part.labels)
        ),
    }


def postgresql(folder: Path, payload_bytes: int, seconds: int = 6) -> dict[str, Any] | None:
    """Commits a second of a PostgreSQL of this machine: rows of a run's size, 60 each, by 1 and 8 clients.

    None where it is not installed, or this is not root, who can be another user.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not binaries or os.geteuid() != 0 or not shutil.which("runuser"):
        return None
    place = folder / "postgresql"
    place.mkdir()
    shutil.chown(place, "postgres", "postgres")
    folder.chmod(0o755)

    def run(*words: str, check: bool = True) -> str:
        command = ["runuser", "-u", "postgres", "--", str(binaries[0] / words[0]), *words[1:]]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"{words[0]}: {done.stderr[-500:]}")
        return done.stdout

    scripts = {}
    for size in (1, 60):
        # A document that does not compress, as ours: it is compressed already.
        script = place / f"insert-{size}.sql"
        script.write_text(INSERT.format(runs=size, blocks=payload_bytes // 32))
        script.chmod(0o644)
        scripts[size] = script
    run("initdb", "-D", str(place / "data"), "-A", "trust")
    start = ["-D", str(place / "data"), "-l", str(place / "log"), "-w"]
    run("pg_ctl", *start, "-o", f"-c listen_addresses='' -k {place}", "start")
    try:
        run(
            "psql",
            "-h",
            str(place),
            "-c",
            "create table runs (key text primary key, document bytea)",
            "postgres",
        )
        found: dict[str, float] = {}
        for size, script in scripts.items():
            for clients in (1, 8):
                told = run(
                    *("pgbench", "-h", str(place), "-n", "-f", str(script), "-c", str(clients)),
                    *("-T", str(seconds), "postgres"),
                )
                line = next(line for line in told.splitlines() if line.startswith("tps"))
                found[f"{size} runs a commit, {clients} clients"] = float(line.split()[2])
        return {"version": run("postgres", "--version").strip(), "commits_a_second": found}
    finally:
        run("pg_ctl", *start, "-m", "immediate", "stop", check=False)


def calculated(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What so many cores ask of each part, a second, and the share of what one of it can do."""
    run_seconds, travels = found["run_seconds"], found["traffic"]
    cohort_runs = max(1.0, MOST_SECONDS / run_seconds)
    table = []
    for cores in CORES:
        runs = cores / run_seconds
        stored = runs * found["driver"]["store_bytes_a_run"]
        table.append(
            {
                "cores": cores,
                "runs a second": runs,
                "cohorts a second": runs / cohort_runs,
                "drivers": runs / found["driver"]["runs_a_second"],
                "MB a second to workers": runs * travels["order_bytes_a_run"] / 1e6,
                "MB a second from workers": runs * travels["result_bytes_a_run"] / 1e6,
                "MB a second into the store": stored / 1e6,
                "days for 10^9 runs": RUNS / runs / 86_400,
            }
        )
    return table


def report(found: dict[str, Any], machine: str) -> str:
    """The figures as Markdown."""
    load_now = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    one, timed, travels = found["driver"], found["driver with cohorts that take time"], found["traffic"]
    database = found["postgresql"]
    lines = [
        "# Scale, measured and calculated",
        "",
        f"`python benchmarks/scale.py {found['options']}` on {machine}.",
        f"Load of the machine during the last 1, 5 and 15 minutes: {load_now}, on {os.cpu_count()} cores.",
        "",
        "## One driver, measured",
        "",
        f"{one['runs']:,} runs on {one['slots']:,} simulated slots whose cohorts take no time: after "
        f"{one['seconds_until_the_first_result']:.1f} s of strategy and planning, "
        f"**{one['runs_a_second']:,.0f} runs a second**, {one['cohorts_a_second']:,.0f} cohorts a second, "
        "those that wait together in one commit of SQLite; "
        f"{1e3 * one['processor_seconds'] / one['runs']:.2f} ms of processor time a run in all.",
        f"Where each cohort takes {timed['cohort_seconds']:g} s, {timed['runs']:,} runs in "
        f"{timed['cohorts']:,} cohorts on {timed['slots']:,} slots took {timed['seconds']:.1f} s.",
        f"The store takes {one['store_bytes_a_run']:,.0f} bytes a run: {travels['document_bytes']:,} of the "
        f"document, {travels['predictions_bytes']:,} of the predictions, the rest rows and indexes.",
        "",
        "| runs in one commit of SQLite | ms, median | range | runs a second |",
        "|--:|--:|--:|--:|",
    ]
    for size, taken in found["sqlite_commits"].items():
        lines.append(
            f"| {size} | {taken['median']:.1f} | {taken['least']:.1f} – {taken['most']:.1f} "
            f"| {1e3 * int(size) / taken['median']:,.0f} |"
        )
    if database:
        lines += [
            "",
            f"{database['version']}, fresh, as installed, on this machine (pgbench; rows of a run's "
            "document and predictions, made by the server, no driver of ours):",
            "",
            "| | commits a second | runs a second |",
            "|---|--:|--:|",
        ]
        for what, rate in database["commits_a_second"].items():
            lines.append(f"| {what} | {rate:,.0f} | {rate * int(what.split()[0]):,.0f} |")
    lines += ["", "| runs | planning, s | cohorts |", "|--:|--:|--:|"]
    for count, taken in found["planning"].items():
        lines.append(f"| {int(count):,} | {taken['seconds']:.2f} | {taken['cohorts']:,} |")
    keys = statistics.median(taken["microseconds_a_key"] for taken in found["planning"].values())
    lines += [
        "",
        f"A key takes {keys:.0f} µs.",
        "",
        "| runs of a study | what is due, nothing known, s | all known (reading them left out), s |",
        "|--:|--:|--:|",
    ]
    for count, taken in found["strategy"].items():
        lines.append(f"| {int(count):,} | {taken['nothing known']:.2f} | {taken['all known']:.2f} |")
    lines += [
        "",
        f"Between driver and workers, of a cohort of {travels['runs_a_cohort']}: "
        f"{travels['order_bytes_a_run']:,.0f} bytes a run as an order, "
        f"{travels['result_bytes_a_run']:,.0f} as a result, {travels['progress_bytes']:,} as "
        f"the progress of the cohort; {travels['data_bytes_a_node'] / 1e6:.0f} MB of data, once a node.",
        "",
        "## Calculated",
        "",
        f"From these figures, and {found['run_seconds']:.2f} s of one core for a run (784-100-10, "
        f"1,500 steps of 100, 30 evaluations on 10,000 images; measured here), cohorts of "
        f"{MOST_SECONDS:.0f} s. Drivers: "
        "how many of them, each as fast as the one above, all these results keep busy.",
        "",
    ]
    names = list(found["calculated"][0])
    lines += ["| " + " | ".join(names) + " |", "|" + "--:|" * len(names)]
    for row in found["calculated"]:
        cells = [
            f"{value:,}" if name == "cores" else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
            for name, value in row.items()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    total = RUNS * one["store_bytes_a_run"]
    lines += ["", f"10^9 runs take {total / 1e12:.1f} TB in the store.", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=1_000)
    parser.add_argument("--planned", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--strategy", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    answer = real_run()
    run_seconds = statistics.median(real_run().provenance.seconds for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="digitlab-scale-") as name:
        folder = Path(name)
        found: dict[str, Any] = {
            "run_seconds": run_seconds,
            "driver": driver(folder, options.runs, options.slots, answer, 0.0),
            "driver with cohorts that take time": driver(folder, options.runs, options.slots, answer, 1.0),
            "sqlite_commits": commits(folder, answer),
            "traffic": traffic(answer, max(1, round(MOST_SECONDS / run_seconds))),
            "strategy": strategy(folder, options.strategy, answer),
            "planning": planning(options.planned, options.slots),
        }
        travels = found["traffic"]
        size = travels["document_bytes"] + travels["predictions_bytes"]
        found["postgresql"] = postgresql(folder, size)
    found["calculated"] = calculated(found)
    planned, asked = (" ".join(map(str, counts)) for counts in (options.planned, options.strategy))
    found["options"] = f"--runs {options.runs} --slots {options.slots} --planned {planned} --strategy {asked}"
    origin = provenance("benchmarks/scale.py", find_device("cpu"), 0, threads=1)
    versions = versions_in_words(origin.versions.model_dump())
    text = report(found, f"{origin.processor}, {origin.platform}; {versions}")
    print(text)
    options.output.mkdir(exist_ok=True)
    (options.output / "scale.md").write_text(text)
    (options.output / "scale.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
