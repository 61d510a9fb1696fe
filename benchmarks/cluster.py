"""What Ray costs: a study by worker processes and by a Ray cluster on this machine, in pairs, from nothing.

    python benchmarks/cluster.py --pairs 3

Both train on all processors. Ray is started, and its workers with it, before the clock runs. The results of
both must be equal to the bit. Writes benchmarks/results/cluster.md.
"""

import argparse
import os
import platform
import statistics
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from digitlab import lab
from digitlab.data import load
from digitlab.engine.device import Device, processor_name, usable_cores
from digitlab.execution.ray.cluster import Cluster
from digitlab.store import Filter, Store, open_store
from digitlab.studies import read_study_at
from digitlab.studies.definition import Study
from digitlab.studies.runner import run_study

_RESULTS = Path(__file__).parent / "results" / "cluster.md"


def seconds_of(study: Study, store: Store, on: Cluster | None) -> float:
    """How long a study takes from an empty store."""
    start = time.perf_counter()
    run_study(study, store, on=on)
    return time.perf_counter() - start


def contents(store: Store) -> dict[str, object]:
    """What was computed, by key, without where and when."""
    found = store.get(store.keys(Filter()), predictions=True)
    return {
        key: (result.model_dump_json(exclude={"provenance"}), result.predictions)
        for key, result in found.items()
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--study", default="batch-lr")
    parser.add_argument("--scale", default="quick")
    arguments = parser.parse_args()
    study, _ = read_study_at(arguments.study, arguments.scale)
    load("mnist")
    pairs: list[tuple[float, float]] = []
    begin = time.perf_counter()
    with Cluster("ray") as cluster, TemporaryDirectory() as folder:
        warm = [lab.make_spec(hidden=(20,), train_size=2_000, epochs=1, seed=seed) for seed in range(50)]
        with lab.start(warm, on=cluster) as training:
            list(training)
        started = time.perf_counter() - begin
        load_before = os.getloadavg()[0]
        for i in range(arguments.pairs):
            with (
                closing(open_store(Path(folder) / f"local-{i}.db")) as local,
                closing(open_store(Path(folder) / f"ray-{i}.db")) as by_ray,
            ):
                if i % 2:
                    ours, theirs = seconds_of(study, local, None), seconds_of(study, by_ray, cluster)
                else:
                    theirs, ours = seconds_of(study, by_ray, cluster), seconds_of(study, local, None)
                if contents(local) != contents(by_ray):
                    raise SystemExit("the results differ")
                pairs.append((ours, theirs))
                print(
                    f"{ours:.1f} s by worker processes, {theirs:.1f} s by Ray: {theirs / ours:.3f}",
                    flush=True,
                )
    ratios = [theirs / ours for ours, theirs in pairs]
    lines = [
        "# Ray beside worker processes",
        "",
        f"{arguments.study}, {arguments.scale}, from an empty store; {usable_cores()} processors, "
        f"{processor_name(Device('cpu'))}, {platform.system()}; load before: {load_before:.1f} "
        f"(other programs computed at the same time where it is above 0.5). Ray and its "
        f"workers took {started:.0f} s to start, which is not counted. The "
        "results of each pair were equal to the bit. Made by `benchmarks/cluster.py`.",
        "",
        "| pair | worker processes, s | Ray, s | ratio |",
        "| --- | --- | --- | --- |",
        *(
            f"| {i + 1} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.3f} |"
            for i, (ours, theirs) in enumerate(pairs)
        ),
        "",
        f"Median ratio {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}; "
        "1.3 at most is wanted.",
        "",
    ]
    _RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
