"""What a page's readers cost: slow WebSockets beside a full queue, and snapshots of parameters.

    python benchmarks/web.py [--sockets 200] [--runs 20] [--seconds 120] [--repeats 9] [--output FILE]

A real `digitlab serve` trains as many runs as there are cores, the others wait. In turns nobody looks on, and
then so many WebSockets of which each takes 2 kB every 2 seconds, beside 5 that take everything: steps a
second of all runs, in neighbouring turns. Memory is that of the server without its workers. At the end
Ctrl-C: which processes are left. Snapshots: the same cohort trained in this process, all of it observed, and
nobody; the processor's time, in turns. Written to benchmarks/results/web.md.
"""

import argparse
import base64
import os
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from digitlab import lab
from digitlab.data import load
from digitlab.engine.device import find_device, processor_name
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import Watch

RESULT = Path(__file__).parent / "results" / "web.md"
QUICK_READERS = 5
BYTES_AT_ONCE, SECONDS_BETWEEN = 2_048, 2.0


@dataclass(frozen=True)
class Load:
    """What came of the load.

    ratios:   steps a second with readers to those without, of neighbouring turns
    memory:   bytes of the server at the end of each turn with readers
    left:     processes that are left after Ctrl-C
    seconds_to_end: from Ctrl-C to the server's end
    """

    ratios: list[float]
    steps_per_second: list[float]
    memory: list[int]
    left: int
    seconds_to_end: float


class Readers(threading.Thread):
    """WebSockets that take little, and a few that take everything, until they are told to stop."""

    def __init__(self, port: int, token: str, count: int) -> None:
        super().__init__(daemon=True)
        self._stop_now = threading.Event()
        self.slow = [_opened(port, token) for _ in range(count)]
        self.quick = [_opened(port, token) for _ in range(QUICK_READERS)]
        self.start()

    def run(self) -> None:
        """Read."""
        selector = selectors.DefaultSelector()
        for connection in self.quick:
            selector.register(connection, selectors.EVENT_READ)
        last = time.monotonic()
        while not self._stop_now.is_set():
            for key, _ in selector.select(0.2):
                if not _read(key.fileobj, 1 << 20):  # type: ignore[arg-type]
                    selector.unregister(key.fileobj)
            if time.monotonic() - last >= SECONDS_BETWEEN:
                last = time.monotonic()
                for connection in self.slow:
                    _read(connection, BYTES_AT_ONCE)
        selector.close()

    def end(self) -> None:
        """Stop reading, and go."""
        self._stop_now.set()
        self.join()
        for connection in (*self.slow, *self.quick):
            connection.close()


def _opened(port: int, token: str) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    connection.connect(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /api/live/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    if b"101" not in connection.recv(64):
        raise SystemExit("the server does not take so many WebSockets")
    connection.setblocking(False)
    return connection


def _read(connection: socket.socket, most: int) -> bool:
    try:
        return bool(connection.recv(most))
    except BlockingIOError:
        return True
    except OSError:
        return False


def loaded(sockets: int, runs: int, seconds: float) -> Load:
    """Load a server in turns, for so long in all."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "digitlab", "serve", "--no-open", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--store", f"{folder}/runs.db"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if process.stdout is None:
            raise SystemExit("no output")
        found = re.search(r"127\.0\.0\.1:(\d+)/\?token=([\w-]+)", process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start")
        try:
            return _in_turns(process, int(found[1]), found[2], sockets, runs, seconds)
        finally:
            process.kill()
            process.stdout.close()


def _in_turns(
    process: "subprocess.Popen[str]", port: int, token: str, sockets: int, runs: int, seconds: float
) -> Load:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    url, server = f"http://127.0.0.1:{port}/api", psutil.Process(process.pid)
    endless = {"hidden": [100], "validation_size": 10_000, "epochs": 4_000, "batch_size": 100}
    for seed in range(runs):
        answer = session.post(f"{url}/train", json={"runs": [{**endless, "seed": seed, "evaluate_at": [1]}]})
        answer.raise_for_status()

    def steps() -> int:
        return sum(run["step"] for run in session.get(f"{url}/live").json()["runs"])

    while steps() < 500:
        time.sleep(0.2)
    turns = max(2, round(seconds / 20))
    ratios, speeds, memory = [], [], []
    for _ in range(turns):
        found = []
        for count in (0, sockets):
            readers = Readers(port, token, count) if count else None
            time.sleep(1)
            first, began = steps(), time.monotonic()
            time.sleep(max(seconds / turns / 2 - 1, 1))
            found.append((steps() - first) / (time.monotonic() - began))
            if readers is not None:
                memory.append(server.memory_info().rss)
                readers.end()
        speeds.append(found[0])
        ratios.append(found[1] / found[0])
    children = server.children(recursive=True)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(60)
    to_end = time.monotonic() - began
    _, alive = psutil.wait_procs(children, 10)
    return Load(ratios, speeds, memory, len(alive), to_end)


def snapshot_ratios(repeats: int) -> list[float]:
    """The processor's time of a training of 8 networks that are all observed, to one that nobody observes."""
    dataset = load("mnist")
    specs = [lab.make_spec(hidden=(100,), train_size=20_000, epochs=2, seed=seed) for seed in range(8)]

    def seconds(observed: Collection[str]) -> float:
        began = time.process_time()
        train_cohort(specs, dataset, watch=Watch(lambda _: None, observed=observed))
        return time.process_time() - began

    keys = frozenset(spec.key for spec in specs)
    seconds(keys)
    ratios = []
    for repeat in range(repeats):
        order = (keys, frozenset[str]()) if repeat % 2 else (frozenset[str](), keys)
        found = {bool(observed): seconds(observed) for observed in order}
        ratios.append(found[True] / found[False])
    return ratios


def spread(values: list[float], digits: int = 3) -> str:
    """Median, least and largest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def report(found: Load, snapshots: list[float], sockets: int, runs: int, seconds: float) -> str:
    """The result as a page."""
    first, last = found.memory[0] / 1e6, found.memory[-1] / 1e6
    lines = [
        "# What a page's readers cost",
        "",
        f"{processor_name(find_device('cpu'))}, {os.cpu_count()} cores; written by `benchmarks/web.py`. "
        f"{sockets} WebSockets that take {BYTES_AT_ONCE:,} bytes every {SECONDS_BETWEEN:g} s and "
        f"{QUICK_READERS} that take everything, {runs} runs in the queue, {seconds:g} s in "
        f"{len(found.ratios)} pairs of turns. Median (least to largest).",
        "",
        "| what | measured |",
        "|---|--:|",
        f"| steps a second of all runs, nobody looking on | {spread(found.steps_per_second, 0)} |",
        f"| steps a second with readers, to those without | {spread(found.ratios)} |",
        f"| memory of the server, first turn with readers | {first:.0f} MB |",
        f"| memory of the server, last turn with readers | {last:.0f} MB |",
        f"| from Ctrl-C to its end | {found.seconds_to_end:.2f} s |",
        f"| processes left after Ctrl-C | {found.left} |",
        f"| processor's time of 8 networks with snapshots, to that without ({len(snapshots)} pairs) | "
        f"{spread(snapshots)} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    found = loaded(given.sockets, given.runs, given.seconds)
    print(found, flush=True)
    page = report(found, snapshot_ratios(given.repeats), given.sockets, given.runs, given.seconds)
    print(page)
    given.output.write_text(page)


if __name__ == "__main__":
    main()
