"""What Ray costs beside worker processes, and whether a study on three Ray nodes has the bits of a local one.

    python benchmarks/cluster.py --pairs 3            # by worker processes and by Ray, in turns
    python benchmarks/cluster.py --pairs 0 --nodes    # the same study on a head and two nodes here

Each time from an empty store. In pairs both train on all processors; Ray is started, and its workers with it,
before the clock runs. On nodes the head trains nothing and each other node has a processor. The results must
be equal to the bit each time. What is measured goes into benchmarks/results/cluster.json, pair by pair; what
is not asked for stays as it was. benchmarks/results/cluster.md is made from that alone.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from records import Record, versions_in_words

from digitlab import lab
from digitlab.data import load
from digitlab.engine.device import Device, processor_name, usable_cores
from digitlab.execution.ray.cluster import Cluster
from digitlab.execution.ray.connection import _refresh as refresh
from digitlab.store import Filter, Store, open_store
from digitlab.studies import read_study_at
from digitlab.studies.definition import Study
from digitlab.studies.runner import run_study

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.ray_nodes import Nodes

_RESULTS = Path(__file__).parent / "results"
_TOKEN = "t" * 64


def seconds_of(study: Study, store: Store, on: Cluster | None) -> float:
    """How long a study takes from an empty store."""
    start = time.perf_counter()
    run_study(study, store, on=on)
    return time.perf_counter() - start


def contents(store: Store) -> dict[str, object]:
    """What was computed, by key, without where and when."""
    runs = store.get(store.keys(Filter()), predictions=True)
    measured = sorted(store.measured())
    return {
        **{key: result.bits for key, result in runs.items()},
        **{f"{name} of {key}": store.measurements([key], name) for key, name in measured},
    }


def state(study: str, scale: str) -> dict[str, Any]:
    """What is measured, when and on what."""
    return {
        "study": study,
        "scale": scale,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "load_before": round(os.getloadavg()[0], 1),
        "cores": usable_cores(),
        "processor": processor_name(Device("cpu")),
        "system": platform.system(),
        "versions": {name: version(name) for name in ("digitlab", "ray", "torch", "numpy")},
    }


def start_workers(cluster: Cluster) -> None:
    """Let every worker train something."""
    warm = [lab.make_spec(hidden=(20,), train_size=2_000, epochs=1, seed=seed) for seed in range(50)]
    with lab.start(warm, on=cluster) as training:
        list(training)


def pairs(study: Study, count: int) -> Iterator[tuple[dict[str, float], float]]:
    """Seconds of worker processes and of Ray, pair by pair; and how long Ray took to start."""
    begin = time.perf_counter()
    with Cluster("ray") as cluster, TemporaryDirectory() as folder:
        start_workers(cluster)
        started = time.perf_counter() - begin
        for i in range(count):
            with (
                closing(open_store(Path(folder) / f"local-{i}.db")) as local,
                closing(open_store(Path(folder) / f"ray-{i}.db")) as by_ray,
            ):
                kinds = {"worker processes": (local, None), "Ray": (by_ray, cluster)}
                order = list(kinds) if i % 2 else list(reversed(kinds))
                seconds = {name: seconds_of(study, *kinds[name]) for name in order}
                if contents(local) != contents(by_ray):
                    raise SystemExit("the results differ")
                yield {"first": order[0], **seconds, "load_after": round(os.getloadavg()[0], 1)}, started  # type: ignore[dict-item]


@contextmanager
def three_nodes() -> Iterator[None]:
    """A head that trains nothing and two nodes of one processor each, which `auto` joins."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
    refresh()
    nodes = Nodes()
    try:
        for _ in range(2):
            nodes.add()
        os.environ["RAY_ADDRESS"] = nodes.address
        yield
    finally:
        nodes.close()


def on_nodes(study: Study) -> dict[str, Any]:
    """One study on three nodes, and by worker processes. Raises SystemExit where a bit differs."""
    with TemporaryDirectory() as folder:
        with (
            closing(open_store(Path(folder) / "local.db")) as local,
            closing(open_store(Path(folder) / "nodes.db")) as by_nodes,
        ):
            with three_nodes(), Cluster("auto") as cluster:
                nodes = seconds_of(study, by_nodes, cluster)
                rates = {rate.node: rate.runs for rate in cluster.rates()}
            local_seconds = seconds_of(study, local, None)
            found = contents(local)
            if found != contents(by_nodes):
                raise SystemExit("the results differ")
        return {
            "results": len(found),
            "runs_by_node": rates,
            "seconds_on_nodes": nodes,
            "seconds_local": local_seconds,
            "load_after": round(os.getloadavg()[0], 1),
        }


def report(found: dict[str, Any]) -> str:
    """What was measured as Markdown."""
    lines = ["# Ray beside worker processes", "", "Written by `benchmarks/cluster.py`."]
    if part := found.get("pairs"):
        ratios = [each["Ray"] / each["worker processes"] for each in part["pairs"]]
        lines += [
            "",
            "## What it costs",
            "",
            f"{_heading(part)} Ray and its workers took {part['start_seconds']:.0f} s to start, which is not "
            f"counted. {len(ratios)} of {part['asked']} pairs, each from an empty store, the results of both "
            "equal to the bit:",
            "",
            "| pair | first | worker processes, s | Ray, s | ratio |",
            "| --- | --- | --: | --: | --: |",
            *(
                f"| {i + 1} | {each['first']} | {each['worker processes']:.1f} | {each['Ray']:.1f} "
                f"| {ratios[i]:.3f} |"
                for i, each in enumerate(part["pairs"])
            ),
            "",
            f"Median ratio {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}; "
            "1.3 at most is wanted.",
        ]
    if part := found.get("nodes"):
        shares = ", ".join(f"{name} {count:,}" for name, count in part["runs_by_node"].items())
        lines += [
            "",
            "## Three nodes",
            "",
            f"{_heading(part)} A head that trains nothing and two nodes of one processor each, all on this "
            f"machine: **all {part['results']:,} results equal to the bit** those of worker processes. "
            f"Runs by node: {shares}. {part['seconds_on_nodes']:.0f} s on the nodes, "
            f"{part['seconds_local']:.0f} s by worker processes afterwards; load {part['load_after']} "
            "at the end.",
        ]
    return "\n".join([*lines, ""])


def _heading(part: dict[str, Any]) -> str:
    versions = versions_in_words(part["versions"])
    return (
        f"{part['study']}, {part['scale']}; {part['cores']} processors, {part['processor']}, "
        f"{part['system']}; {versions}; {part['date']}. Load before: {part['load_before']} (other programs "
        "computed at the same time where it is above 0.5)."
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--nodes", action="store_true", help="also on three nodes of this machine")
    parser.add_argument("--study", default="batch-lr")
    parser.add_argument("--scale", default="quick")
    parser.add_argument("--output", type=Path, default=_RESULTS)
    options = parser.parse_args()
    study, _ = read_study_at(options.study, options.scale)
    load("mnist")
    record = Record(options.output, "cluster", report)

    def write(name: str, part: dict[str, Any]) -> None:
        record.keep(name, part)
        print(report({name: part}), flush=True)

    if options.pairs:
        part = state(options.study, options.scale) | {"asked": options.pairs}
        measured = []
        for pair, started in pairs(study, options.pairs):
            measured.append(pair)
            write("pairs", part | {"start_seconds": started, "pairs": measured})
    if options.nodes:
        part = state(options.study, options.scale)
        write("nodes", part | on_nodes(study))


if __name__ == "__main__":
    main()
