"""Training on more images than memory holds: what it takes, and what a mapped file costs against memory.

    python benchmarks/large.py [--images 8000000] [--limit-mb 1024] [--steps 3000]

A synthetic data set (MNIST's images again and again, moved around) is written to a temporary folder, imported
and trained on by processes that the system allows so much memory and no more (a memory cgroup, as root;
elsewhere the peak of anonymous memory is measured without a limit). Before that a smaller one, held by the
page cache, is trained on from the map and from an array in memory, in pairs. Written to
benchmarks/results/large.md and large.json.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from records import versions_in_words

from digitlab import lab
from digitlab.data import LabelledImages, load
from digitlab.data.catalog import FILE_NAMES
from digitlab.data.importing import import_directory
from digitlab.engine.device import find_device
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import watched_by
from digitlab.engine.provenance import provenance

RESULTS = Path(__file__).parent / "results"
CGROUPS = (  # version 2, then 1: the folder in which groups are made, and its file for the limit
    (Path("/sys/fs/cgroup"), "memory.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)
NAME = "many"


def write(folder: Path, images: int, tests: int = 10_000) -> None:
    """The four IDX files, raw: MNIST's images, each time moved by another distance."""
    mnist = load("mnist")
    folder.mkdir(parents=True)
    for count, role in ((images, "train"), (tests, "test")):
        with (
            (folder / FILE_NAMES[f"{role}_images"]).open("wb") as pictures,  # type: ignore[index]
            (folder / FILE_NAMES[f"{role}_labels"]).open("wb") as labels,  # type: ignore[index]
        ):
            pictures.write(struct.pack(">IIII", 0x803, count, 28, 28))
            labels.write(struct.pack(">II", 0x801, count))
            for copy, first in enumerate(range(0, count, len(mnist.train))):
                some = min(count - first, len(mnist.train))
                moved = np.roll(mnist.train.images[:some], (copy // 7 % 7 - 3, copy % 7 - 3), (1, 2))
                pictures.write(moved.tobytes())
                labels.write(mnist.train.labels[:some].tobytes())


def anonymous_bytes() -> int:
    """Memory of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def measured(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a piece of work tells, its seconds and its peak of anonymous memory."""
    peak, is_over = anonymous_bytes(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(0.02):
            peak = max(peak, anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    try:
        told = work()
    finally:
        is_over.set()
        watcher.join()
    return {**told, "seconds": time.perf_counter() - start, "peak_anonymous_bytes": peak}


def importing(source: str) -> dict[str, Any]:
    """Import the files."""
    return {"images": import_directory(NAME, Path(source)).train_images}


def training(steps: str) -> dict[str, Any]:
    """Load, train and evaluate one network on all images."""
    start = time.perf_counter()
    dataset = load(NAME)
    loaded = time.perf_counter()
    spec = lab.make_spec(data=NAME, hidden=(100,), steps=int(steps), evaluate_at=[int(steps)])
    times: list[float] = []
    ((result, _),) = train_cohort(
        [spec], dataset, watch=watched_by(lambda _: times.append(time.perf_counter()))
    )
    return {
        "load_seconds": loaded - start,
        "steps_seconds": times[-1] - loaded,
        "evaluation_seconds": time.perf_counter() - times[-1],
        "train_size": spec.train_size,
        "test_accuracy": result.metrics.test_accuracy,
        "result": result.model_dump_json(exclude={"provenance"}),
    }


def pairs(repeats: str) -> dict[str, Any]:
    """Seconds of the same training from the map and from memory, in turn."""
    mapped = load(NAME)
    held = replace(mapped, train=LabelledImages(np.array(mapped.train.images), mapped.train.labels))
    # Drawn from all images, so that nearly each is new: the case in which the map has most to do.
    spec = lab.make_spec(data=NAME, train_size=300_000, steps=3_000, hidden=(100,), evaluate_at=[3_000])
    seconds: dict[str, list[float]] = {"mapped": [], "in memory": []}
    results = set()
    for turn in range(int(repeats) + 1):
        for name, dataset in list({"mapped": mapped, "in memory": held}.items())[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            ((result, _),) = train_cohort([spec], dataset)
            if turn:  # the first is for warming up
                seconds[name].append(time.process_time() - start)
            results.add(result.model_dump_json(exclude={"provenance"}))
    if len(results) > 1:
        raise SystemExit("the map gives other bits than memory")
    return {"pairs": seconds}


WORK: dict[str, Callable[[str], dict[str, Any]]] = {"import": importing, "train": training, "pairs": pairs}


def cgroup(limit_bytes: int) -> Path | None:
    """A new group whose processes get no more memory, page cache included; None where none can be made."""
    for parent, limit in CGROUPS:
        if not (parent / "cgroup.procs").exists():
            continue
        group = parent / f"digitlab-large-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(limit_bytes))
        except OSError:
            if group.exists():
                group.rmdir()
        else:
            return group
    return None


def in_process(what: str, argument: str, data: Path, limit_bytes: int | None) -> dict[str, Any]:
    """Do a piece of work in a process of its own, under a limit if there is one and it can be set."""
    group = cgroup(limit_bytes) if limit_bytes else None
    child = [sys.executable, __file__, "--work", what, argument, *(["--group", str(group)] if group else [])]
    try:
        done = subprocess.run(
            child, env=os.environ | {"DIGITLAB_DATA": str(data)}, capture_output=True, text=True, check=False
        )
    finally:
        if group is not None:
            time.sleep(0.5)
            group.rmdir()
    if done.returncode:
        raise SystemExit(f"{what} ended with {done.returncode}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"limit_bytes": limit_bytes if group else None}


def forget(folder: Path) -> None:
    """Let the page cache forget the files, so that their pages count for whoever reads them next."""
    os.sync()
    for file in folder.rglob("*ubyte"):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(
    folder: Path, images: int, paired_images: int, limit: int, steps: int, repeats: int
) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {"images": images, "paired_images": paired_images, "steps": steps}
    for name, count in (("pairs", paired_images), ("limited", images)):
        source, data = folder / "source", folder / "data"
        start = time.perf_counter()
        write(source, count)
        forget(source)
        print(f"{count:,} images written in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        found[f"{name} import"] = in_process("import", str(source), data, limit)
        shutil.rmtree(source)
        if name == "pairs":
            found |= in_process("pairs", str(repeats), data, None)
        else:
            forget(data)
            found["train"] = in_process("train", str(steps), data, limit)
        print(json.dumps(found)[:1500], file=sys.stderr)
        shutil.rmtree(data)
    return found


def report(found: dict[str, Any], machine: str) -> str:
    """The figures as Markdown."""
    mapped, held = found["pairs"]["mapped"], found["pairs"]["in memory"]
    ratios = [a / b for a, b in zip(mapped, held, strict=True)]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    trained = found["train"]
    limit = trained["limit_bytes"]
    imported = found["limited import"]

    def row(what: str, seconds: float, peak: int | None) -> str:
        return f"| {what} | {seconds:,.1f} | {'' if peak is None else f'{peak / 1e6:,.0f}'} |"

    return "\n".join(
        [
            "# More images than memory holds, measured",
            "",
            f"`python benchmarks/large.py {found['options']}` on {machine}.",
            f"Load of the machine during the last 1, 5 and 15 minutes: {load}, on {os.cpu_count()} cores.",
            "",
            f"{found['images']:,} training images, {found['images'] * 784 / 1e9:.1f} GB, "
            + (
                f"in processes that get {limit / 1e6:,.0f} MB, page cache included (a memory cgroup):"
                if limit
                else "in processes without a limit:"
            ),
            "",
            "| | seconds | peak of anonymous memory, MB |",
            "|---|--:|--:|",
            row("import (read twice, written once)", imported["seconds"], imported["peak_anonymous_bytes"]),
            row("load: map, and verify every byte", trained["load_seconds"], None),
            row(f"{found['steps']:,} steps of 100 images, drawn from all", trained["steps_seconds"], None),
            row("evaluation on all of them", trained["evaluation_seconds"], None),
            row("load, steps and evaluation", trained["seconds"], trained["peak_anonymous_bytes"]),
            "",
            f"The network is 784-100-10; its test accuracy was {trained['test_accuracy']:.4f}.",
            "",
            f"Of {found['paired_images']:,} images that the page cache holds, 300,000 were trained on for "
            f"3,000 steps and evaluated, from the map and from an array in memory, {len(ratios)} pairs "
            f"in turn: {statistics.median(mapped):.2f} s and {statistics.median(held):.2f} s "
            f"of processor time (medians); ratio of a pair: median {statistics.median(ratios):.3f}, "
            f"{min(ratios):.3f} to {max(ratios):.3f}. "
            "Results are the same to the bit.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=8_000_000)
    parser.add_argument("--paired-images", type=int, default=1_500_000)
    parser.add_argument("--limit-mb", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--group", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.group:
        (Path(options.group) / "cgroup.procs").write_text(str(os.getpid()))
    if options.work:
        what, argument = options.work
        print(json.dumps(measured(lambda: WORK[what](argument))))
        return
    with tempfile.TemporaryDirectory(prefix="digitlab-large-") as folder:
        found = measure(
            Path(folder),
            options.images,
            options.paired_images,
            options.limit_mb * 1_000_000,
            options.steps,
            options.repeats,
        )
    found["train"].pop("result")
    found["options"] = (
        f"--images {options.images} --paired-images {options.paired_images} --limit-mb {options.limit_mb} "
        f"--steps {options.steps} --repeats {options.repeats}"
    )
    origin = provenance("benchmarks/large.py", find_device("cpu"), 0, threads=1)
    versions = versions_in_words(origin.versions.model_dump())
    text = report(found, f"{origin.processor}, {origin.platform}; {versions}")
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "large.md").write_text(text)
    (RESULTS / "large.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
