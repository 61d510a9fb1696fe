"""How fast a store in PostgreSQL answers with a million runs in it, and what it costs a study.

    python benchmarks/postgresql.py postgresql://USER:PASSWORD@HOST/DATABASE [--runs 1000000] [--pairs 7]

The database must be empty, or hold so many runs from an earlier time (then with `--pairs 0`); it is filled
and left so. The server stores one real run under many keys. Each question is asked in a fresh process, whose
start and imports count. For the overhead one study is run into an empty SQLite file and into the database in
turns, in this process. Written to benchmarks/results/postgresql.md and postgresql.json; what is not asked for
stays there.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import torch
from records import Record, versions_in_words
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


CHANGING = {
    "key": "encode(sha256(number::text::bytea), 'hex')",
    "seed": "number %% 1000",
    "batch_size": "(ARRAY[16, 32, 64, 128, 256, 512])[number %% 6 + 1]",
    "finished": "replace((date '2026-01-01' + number * interval '1 s')::text, ' ', 'T') || '+00:00'",
}
"""Columns in which the rows differ -> the server's expression for them."""
CHUNK = 50_000


def load(url: str, count: int) -> float:
    """Let the server fill itself with a real run's row under other keys, seeds and times; seconds.

    The rows have right hashes, and their documents the size of real ones.
    """
    open_store(url).close()
    run = real_run()
    packed = rows.packed_predictions(run)
    row = rows.run_row(run, packed)
    columns = {name: CHANGING.get(name, f"%({name})s") for name in row if name != "sha256"}
    hashed = " || ', ' || ".join(
        f"to_json({name})::text" if name in CHANGING else sql_text(json.dumps(row[name]))
        for name in rows._HASHED  # noqa: SLF001
    )
    insert_runs = f"""
        INSERT INTO runs ({", ".join(columns)}, sha256)
        SELECT {", ".join(columns)},
               encode(sha256(convert_to('[' || {hashed} || E']\\n', 'UTF8') || document), 'hex')
        FROM (SELECT {", ".join(f"{made} AS {name}" for name, made in columns.items())}
              FROM generate_series(%(first)s::int, %(last)s::int) AS number) AS made"""  # noqa: S608
    insert_predictions = f"""
        INSERT INTO predictions (key, predictions)
        SELECT {CHANGING["key"]}, %(packed)s
        FROM generate_series(%(first)s::int, %(last)s::int) AS number"""  # noqa: S608
    begin = time.perf_counter()
    with psycopg.connect(url) as connection:
        connection.execute("SET synchronous_commit = off")
        for first in range(0, count, CHUNK):
            given = row | {"packed": packed, "first": first, "last": min(first + CHUNK, count) - 1}
            connection.execute(insert_runs, given)
            connection.execute(insert_predictions, given)
            connection.commit()
            print(f"{given['last'] + 1:,} of {count:,}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - begin
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # what the server does by itself within minutes
    with closing(open_store(url)) as store:
        if not all(found.is_intact for found in store.list(Filter(), 20)):
            raise SystemExit("the server has made rows with other hashes than digitlab's")
    return seconds


def sql_text(text: str) -> str:
    """A text as SQL has it, in a statement whose parameters are written with a per cent sign."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def overhead(url: str, folder: Path, pairs: int) -> list[dict[str, float]]:
    """Seconds of one study into SQLite and into PostgreSQL, in turns."""
    path = folder / "overhead.toml"
    path.write_text(STUDY)
    study, _ = read_study_at(str(path), None)
    with closing(open_store(url)) as store:
        if store.count(Filter()):
            raise SystemExit("the database is not empty: ask it with --pairs 0")
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


def questions(url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """How long the questions take, in a database that is filled unless it holds so many runs already."""
    with closing(open_store(url)) as store:
        loading = None if store.count(Filter()) >= options.runs else load(url, options.runs)
    keys, study = folder / "keys", folder / "known.toml"
    keys.write_text("")
    fill_study(url, study)  # type: ignore[arg-type]  # any place will do
    asked: dict[str, list[tuple[float, float]]] = {name: [] for name in QUESTIONS}
    for _ in range(options.repeats):
        for name, question in QUESTIONS.items():
            asked[name].append(ask(question, url, keys, study, options.runs + ASKED))  # type: ignore[arg-type]
            print(name, asked[name][-1], file=sys.stderr, flush=True)
    with psycopg.connect(url) as connection:
        (size,), *_ = connection.execute("SELECT pg_database_size(current_database())").fetchall()
        (count,), *_ = connection.execute("SELECT count(*) FROM runs").fetchall()
    return {
        "runs": count,
        "bytes_a_run": size / count,
        "load_seconds": loading,
        "seconds": {name: [clock for clock, _ in found] for name, found in asked.items()},
        "processor_seconds": {name: [spent for _, spent in found] for name, found in asked.items()},
    }


def state(url: str) -> dict[str, Any]:
    """On what something is measured."""
    machine = provenance(
        "benchmarks/postgresql.py", find_device("cpu"), 0, threads=torch.get_num_threads()
    ).model_dump(include={"processor", "platform", "versions"})
    machine["versions"] |= {"sqlalchemy": version("sqlalchemy"), "psycopg": version("psycopg")}
    with psycopg.connect(url) as connection:
        (server,), *_ = connection.execute("SHOW server_version").fetchall()
    return machine | {
        "server": server,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "load_average_before": os.getloadavg(),
    }


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} | {min(values):.2f} – {max(values):.2f}"


def report(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["# A store in PostgreSQL, measured", "", "Written by `benchmarks/postgresql.py`."]
    if part := found.get("questions"):
        loading = part["load_seconds"]
        lines += [
            "",
            f"## {part['runs']:,} runs",
            "",
            f"{_heading(part)} The runs take {part['bytes_a_run']:,.0f} bytes each"
            + ("." if loading is None else f", and were made by the server in {loading:,.0f} s.")
            + " Seconds of a fresh process, its start and imports included; median and range of "
            f"{len(next(iter(part['seconds'].values())))}:",
            "",
            "| question | median | range | processor time, median |",
            "|---|--:|--:|--:|",
            *(
                f"| {name} | {spread(taken)} | {statistics.median(part['processor_seconds'][name]):.2f} |"
                for name, taken in part["seconds"].items()
            ),
        ]
    if part := found.get("overhead"):
        pairs = part["pairs"]
        ratios = {
            kind: [pair[f"PostgreSQL{kind}"] / pair[f"SQLite{kind}"] for pair in pairs]
            for kind in ("", ", processor time")
        }
        lines += [
            "",
            "## What it costs a study",
            "",
            f"{_heading(part)} One study of 120 runs, in this process, into an empty store; {len(pairs)} "
            "pairs in turns:",
            "",
            "| | median | range |",
            "|---|--:|--:|",
            *(f"| {name}, seconds | {spread([pair[name] for pair in pairs])} |" for name in pairs[0]),
            f"| PostgreSQL : SQLite, in pairs | {spread(ratios[''])} |",
            f"| the same of processor time | {spread(ratios[', processor time'])} |",
        ]
    return "\n".join([*lines, ""])


def _heading(part: dict[str, Any]) -> str:
    versions = versions_in_words(part["versions"])
    before, after = (f"{part[f'load_average_{when}'][0]:.1f}" for when in ("before", "after"))
    return (
        f"{part['processor']}, {part['platform']}; {versions}; PostgreSQL {part['server']} on the same "
        f"machine; {part['date']}. Load average {before} before, {after} after, on {os.cpu_count()} cores: "
        "where that is above the number of cores, other programs took part of them."
    )


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--runs", type=int, default=1_000_000, help="0: ask nothing")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=7, help="0: measure no overhead")
    options = parser.parse_args()
    record = Record(RESULTS, "postgresql", report)

    def write(name: str, part: dict[str, Any]) -> None:
        record.keep(name, part | {"load_average_after": os.getloadavg()})

    with tempfile.TemporaryDirectory() as folder:
        if options.pairs:
            before = state(options.url)
            write("overhead", before | {"pairs": overhead(options.url, Path(folder), options.pairs)})
        if options.runs:
            before = state(options.url)
            write("questions", before | questions(options.url, Path(folder), options))
    print(report(record.parts))


if __name__ == "__main__":
    main()
