"""How fast a store in PostgreSQL answers with a million runs in it, and what it costs a study.

    python benchmarks/postgresql.py postgresql://USER:PASSWORD@HOST/DATABASE [--runs 1000000] [--pairs 7]

The database must be empty; it is filled and left so. One real run is stored under many keys, by COPY. Each
question is asked in a fresh process, whose start and imports count. For the overhead one study is run into an
empty SQLite file and into the database in turns, in this process. Written to benchmarks/results/postgresql.md
and postgresql.json.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import torch
from store import ASKED, ask, fill_study, real_run

from digitlab.engine.device import find_device
from digitlab.engine.provenance import provenance
from digitlab.store import Filter, open_store, rows
from digitlab.studies import read_study_at
from digitlab.studies.runner import run_study

RESULTS = Path(__file__).parent / "results"

QUESTIONS = {
    "import digitlab.store": "import digitlab.store",
    "study start: status of a study, 2,000 runs known": "command('study', 'status', study)",
    "filter: list of 20 of one seed": "command('runs', 'list', '--seed', '7', '--limit', '20')",
    "filter: count of a batch size": "assert store.count(Filter(batch_size=64)) > 100",
    "list of the newest 20": "assert len(store.list(Filter(), 20)) == 20",
    "a run by the first digits of its key": "assert len(store.keys(Filter(key_prefix='00000'))) < run_count",
    "report: the data of a study of 2,000 runs": (
        "from digitlab.report.build import completed_study; from digitlab.studies import read_study; "
        "assert completed_study(read_study(study), 'full', store)"
    ),
}

STUDY = """
name = "overhead"
title = "A study to be timed"
question = "What does the store cost?"

[fixed]
steps = 600
train_size = 5_000
validation_size = 1_000

[[axes]]
name = "hidden"
values = [[16], [20], [24], [28], [32], [36], [40], [44]]

[[axes]]
name = "learning_rate"
values = [0.05, 0.1, 0.2]

[seeds]
report = 5
"""
"""120 runs in 8 cohorts at least."""


def synthetic(count: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Rows with right hashes and the document of one real run, under other keys, seeds and times."""
    run = real_run()
    packed = rows.packed_predictions(run)
    assert packed is not None  # noqa: S101  # it is trained with them
    row = rows.run_row(run, packed)
    for number in range(count):
        day, second = divmod(number, 86_400)
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        row |= {
            "key": hashlib.sha256(str(number).encode()).hexdigest(),
            "seed": number % 1_000,
            "batch_size": (16, 32, 64, 128, 256, 512)[number % 6],
            "finished": f"2026-01-{day + 1:02}T{clock}+00:00",
        }
        yield row | {"sha256": rows._run_hash(row)}, packed  # noqa: SLF001


def load(url: str, count: int) -> float:
    """Fill the database by COPY; seconds."""
    open_store(url).close()
    begin = time.perf_counter()
    chunk = 10_000
    made = synthetic(count)
    with psycopg.connect(url) as connection:
        connection.execute("SET synchronous_commit = off")
        for start in range(0, count, chunk):
            some = [next(made) for _ in range(min(chunk, count - start))]
            names = list(some[0][0])
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY runs ({', '.join(names)}) FROM STDIN") as copy:  # type: ignore[arg-type]
                    for row, _ in some:
                        copy.write_row([row[name] for name in names])
                with cursor.copy("COPY predictions (key, predictions) FROM STDIN") as copy:
                    for row, packed in some:
                        copy.write_row([row["key"], packed])
            connection.commit()
            if start % 100_000 == 0:
                print(f"{start:,} of {count:,}", file=sys.stderr)
    seconds = time.perf_counter() - begin
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # what the server does by itself within minutes
    return seconds


def overhead(url: str, folder: Path, pairs: int) -> list[dict[str, float]]:
    """Seconds of one study into SQLite and into PostgreSQL, in turns."""
    path = folder / "overhead.toml"
    path.write_text(STUDY)
    study, _ = read_study_at(str(path), None)
    found = []
    for pair in range(pairs + 1):
        seconds = {}
        for name in ("SQLite", "PostgreSQL") if pair % 2 else ("PostgreSQL", "SQLite"):
            with closing(open_store(url if name == "PostgreSQL" else folder / f"{pair}.db")) as store:
                store.delete(store.keys(Filter()))
                begin, before = time.perf_counter(), time.process_time()
                stage = run_study(study, store, workers=1)
                seconds[name] = time.perf_counter() - begin
                seconds[f"{name}, processor time"] = time.process_time() - before
                assert stage.is_done and store.count(Filter()) == 120  # noqa: S101, PT018
                store.delete(store.keys(Filter()))
        print(seconds, file=sys.stderr)
        if pair:  # the first warms up
            found.append(seconds)
    return found


def measure(url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    state = {"load_average_before": os.getloadavg()}
    pairs = overhead(url, folder, options.pairs)
    loading = load(url, options.runs)
    keys, study = folder / "keys", folder / "known.toml"
    keys.write_text("")
    fill_study(url, study)  # type: ignore[arg-type]  # any place will do
    asked: dict[str, list[tuple[float, float]]] = {name: [] for name in QUESTIONS}
    for _ in range(options.repeats):
        for name, question in QUESTIONS.items():
            asked[name].append(ask(question, url, keys, study, options.runs + ASKED))  # type: ignore[arg-type]
    with psycopg.connect(url) as connection:
        (size,), *_ = connection.execute("SELECT pg_database_size(current_database())").fetchall()
        (server,), *_ = connection.execute("SHOW server_version").fetchall()
    return {
        **state,
        "load_average_after": os.getloadavg(),
        "runs": options.runs + ASKED,
        "bytes_a_run": size / (options.runs + ASKED),
        "load_seconds": loading,
        "server": server,
        "pairs": pairs,
        "seconds": {name: [clock for clock, _ in found] for name, found in asked.items()},
        "processor_seconds": {name: [spent for _, spent in found] for name, found in asked.items()},
    }


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} | {min(values):.2f} – {max(values):.2f}"


def report(measured: dict[str, Any], machine: dict[str, Any]) -> str:
    """The figures as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    pairs = measured["pairs"]
    ratios = {
        kind: [pair[f"PostgreSQL{kind}"] / pair[f"SQLite{kind}"] for pair in pairs]
        for kind in ("", ", processor time")
    }
    loads = [f"{measured[f'load_average_{when}'][0]:.1f}" for when in ("before", "after")]
    repeats = len(next(iter(measured["seconds"].values())))
    return "\n".join(
        [
            "# A store in PostgreSQL, measured",
            "",
            f"`python benchmarks/postgresql.py` on {machine['processor']}, {machine['platform']}; "
            f"{versions}; PostgreSQL {measured['server']} on the same machine. Load average {loads[0]} "
            f"before, {loads[1]} after, on {os.cpu_count()} cores: what is above 1 to 2 are other programs.",
            "",
            f"## {measured['runs']:,} runs",
            "",
            f"They take {measured['bytes_a_run']:,.0f} bytes each, and were loaded by COPY in "
            f"{measured['load_seconds']:,.0f} s, the making of the rows included. Seconds of a fresh "
            f"process, its start and imports included; median and range of {repeats}:",
            "",
            "| question | median | range | processor time, median |",
            "|---|--:|--:|--:|",
            *(
                f"| {name} | {spread(found)} | {statistics.median(measured['processor_seconds'][name]):.2f} |"
                for name, found in measured["seconds"].items()
            ),
            "",
            "## What it costs a study",
            "",
            f"One study of 120 runs, in this process, into an empty store; {len(pairs)} pairs in turns:",
            "",
            "| | median | range |",
            "|---|--:|--:|",
            *(f"| {name}, seconds | {spread([pair[name] for pair in pairs])} |" for name in pairs[0]),
            f"| PostgreSQL : SQLite, in pairs | {spread(ratios[''])} |",
            f"| the same of processor time | {spread(ratios[', processor time'])} |",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options.url, Path(folder), options)
    machine = provenance(
        "benchmarks/postgresql.py", find_device("cpu"), 0, threads=torch.get_num_threads()
    ).model_dump(include={"processor", "platform", "versions"})
    machine["versions"] |= {"sqlalchemy": version("sqlalchemy"), "psycopg": version("psycopg")}
    text = report(measured, machine)
    print(text)
    (RESULTS / "postgresql.md").write_text(text)
    (RESULTS / "postgresql.json").write_text(json.dumps({"machine": machine, **measured}, indent=2) + "\n")


if __name__ == "__main__":
    main()
