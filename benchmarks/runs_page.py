"""How long the list of runs takes over HTTP, and in a browser, when the store holds 50,000 runs.

    python benchmarks/runs_page.py [--runs 50000] [--repeats 5]

One real run is stored under many seeds, each row intact. `digitlab serve` runs in its own process; 100 rows
are asked for in every order, at the beginning and at the end of the list. In Chromium it is the time from the
opening of the page to its first rows. Medians and ranges are written to benchmarks/results/runs-page.md.
"""

import argparse
import os
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import requests
from records import versions_in_words

from digitlab import lab
from digitlab.engine.device import find_device
from digitlab.engine.provenance import provenance
from digitlab.store import SortBy, open_store, rows

RESULTS = Path(__file__).parent / "results"
PAGE = 100


def fill(path: Path, run_count: int) -> None:
    """A store that lists one run under many seeds, with figures of their own."""
    steps = range(50, 1_501, 50)
    run = lab.train(hidden=(100,), steps=1_500, evaluate_at=steps, validation_size=10_000, learning_rate=0.1)
    store = open_store(path)
    store.add([run])
    store.close()
    draw = random.Random(1)
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    usual = dict(connection.execute("SELECT * FROM runs").fetchone())

    def numbered() -> Iterator[dict[str, object]]:
        for seed in range(run_count):
            figures = {"test_accuracy": draw.random(), "validation_loss": draw.random()}
            row = usual | figures | {"key": f"{draw.getrandbits(256):064x}", "seed": seed}
            row["finished"] = f"2026-01-01T{seed // 3600 % 24:02}:{seed // 60 % 60:02}:{seed % 60:02}+00:00"
            yield row | {"sha256": rows._run_hash(row)}  # noqa: SLF001  # as the store itself makes it

    with connection:
        connection.execute("DELETE FROM runs")
        names = ", ".join(f":{name}" for name in usual)
        connection.executemany(f"INSERT INTO runs VALUES ({names})", numbered())  # noqa: S608
    connection.close()


@contextmanager
def served(path: Path) -> Iterator[tuple[str, str]]:
    """Address and token of a server of this store."""
    command = [sys.executable, "-m", "digitlab", "serve", "--no-open", "--port", "0", "--store", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if found := re.search(r"(http://\S+?)/\?token=([\w-]+)", line):
                yield found[1], found[2]
                return
    finally:
        process.terminate()
        process.wait(30)


def asked(address: str, token: str, run_count: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each question."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    questions: dict[str, dict[str, str | int]] = {"network=784-100-10": {"network": "784-100-10"}}
    for name in get_args(SortBy):
        questions[f"sorted by {name}"] = {"sort": f"-{name}"}
    questions["sorted by test_accuracy, the last rows"] = {
        "sort": "test_accuracy",
        "offset": run_count - PAGE,
    }
    seconds: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(repeats):
        for name, params in questions.items():
            begin = time.perf_counter()
            answer = session.get(f"{address}/api/runs", params={**params, "limit": PAGE}, timeout=60)
            seconds[name].append(time.perf_counter() - begin)
            found = answer.json()
            if (found["total"], len(found["rows"])) != (run_count, PAGE):
                raise RuntimeError(f"{name}: {found['total']} runs, {len(found['rows'])} rows")
    return seconds


def in_browser(address: str, token: str, repeats: int, query: str) -> list[float]:
    """Seconds until the first rows are there, looked for every 10 ms; none without a browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return []
    seconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{address}/?token={token}")
        for _ in range(repeats):
            begin = time.perf_counter()
            page.goto(f"{address}/runs{query}", wait_until="commit")
            # Playwright itself would look after 0, 20, 120 and 620 ms, or ask for eval.
            while not page.get_by_text("784-100-10").count():
                time.sleep(0.01)
            seconds.append(time.perf_counter() - begin)
        browser.close()
    return seconds


def line(name: str, found: list[float]) -> str:
    """A row of the table: median and range."""
    return f"| {name} | {statistics.median(found):.2f} | {min(found):.2f} – {max(found):.2f} |"


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        fill(path, options.runs)
        with served(path) as (address, token):
            seconds = asked(address, token, options.runs, options.repeats)
            for what, query in (("as it opens", ""), ("by test_accuracy", "?sort=-test_accuracy")):
                if shown := in_browser(address, token, options.repeats, query):
                    seconds[f"in Chromium, until the first rows are shown, {what}"] = shown
    machine = provenance("benchmarks/runs_page.py", find_device("cpu"), 0, threads=1)
    versions = versions_in_words(machine.versions.model_dump())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    text = "\n".join(
        [
            "# The list of runs, measured",
            "",
            f"`python benchmarks/runs_page.py` on {machine.processor}, {machine.platform}; {versions}.",
            f"Load of the machine during the last 1, 5 and 15 minutes: {load}, on {os.cpu_count()} cores.",
            "",
            f"Seconds for {PAGE} of {options.runs:,} runs over HTTP, falling; median and range of "
            f"{options.repeats}:",
            "",
            "| asked | median | range |",
            "|---|--:|--:|",
            *(line(name, found) for name, found in seconds.items()),
            "",
        ]
    )
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "runs-page.md").write_text(text)


if __name__ == "__main__":
    main()
