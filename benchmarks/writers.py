"""Measure how much images by one writer are alike, and whether intervals for new writers hold.

    digitlab data fetch mnist --writers
    python benchmarks/writers.py [--seeds 4] [--repeats 1000]

Trains the exercise's networks at rates near their best and takes the design factor of their test accuracies,
of the mean accuracy of the seeds, and of the difference of two networks (`analysis/statistics/clusters.py`).
Then draws values with known parts of variance, new seeds and new writers each time, and counts how often
intervals hold the truth. Writes benchmarks/results/writers.json and writers.md.
Takes about a minute of one core.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from records import versions_in_words
from tables import table

from digitlab import lab
from digitlab.analysis.statistics.clusters import design_factor, series_interval, writers_interval
from digitlab.analysis.statistics.compare import crossed_interval
from digitlab.data import load, load_writers
from digitlab.data.writers import PUPILS
from digitlab.execution.events import Failure
from digitlab.rng import stream

RESULTS = Path(__file__).parent / "results"
NETWORKS: dict[str, dict[str, Any]] = {
    "784-10": {"hidden": (), "learning_rate": 0.25},
    "784-100-10": {"hidden": (100,), "learning_rate": 0.25},
    "784-100-100-10": {"hidden": (100, 100), "learning_rate": 0.125},
}
EPOCHS = 10
PARTS = ((0.0, 0.3, 5), (0.05, 0.3, 5), (0.05, 0.1, 3), (0.05, 0.1, 5), (0.05, 0.1, 10), (0.1, 0.0, 5))
"""Standard deviation of seeds and of writers, images' being 1, and how many seeds."""
WRITERS = 60


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=1_000)
    arguments = parser.parse_args()
    wrong, provenance = misread(arguments.seeds)
    document = {
        "machine": provenance,
        "seeds": arguments.seeds,
        "epochs": EPOCHS,
        **factors(wrong),
        "repeats": arguments.repeats,
        "coverage": [coverage(*parts, arguments.repeats) for parts in PARTS],
    }
    text = report(document)
    print(text)
    (RESULTS / "writers.json").write_text(json.dumps(document, indent=2) + "\n")
    (RESULTS / "writers.md").write_text(text)


def misread(seeds: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Which test images the networks misread, by network, [seed, image]; and where they were trained."""
    specs = {
        name: [lab.make_spec(epochs=EPOCHS, seed=seed, **options) for seed in range(seeds)]
        for name, options in NETWORKS.items()
    }
    found = {}
    for ended in lab.run_many([spec for same in specs.values() for spec in same], workers=1):
        if isinstance(ended, Failure):
            raise SystemExit(f"{ended.spec.network_name}: {ended.cause}")
        found[ended.key] = ended
    labels = load("mnist").test.labels
    wrong = {
        name: np.stack(
            [np.frombuffer(found[spec.key].predictions or b"", np.uint8) != labels for spec in same]
        )
        for name, same in specs.items()
    }
    origin = next(iter(found.values())).provenance
    return wrong, origin.model_dump(include={"processor", "platform", "versions"})


def factors(wrong: dict[str, np.ndarray]) -> dict[str, Any]:
    """Errors by series, and design factors of each network and of each pair."""
    writers = load_writers("mnist")
    writer, pupils = writers.test_writer, writers.test_series == PUPILS
    return {
        "networks": {
            name: {
                "pupils_error": float(rows[:, pupils].mean()),
                "staff_error": float(rows[:, ~pupils].mean()),
                "factors": [design_factor(row[None], writer) for row in rows],
                "factor_of_mean": design_factor(rows.mean(axis=0, keepdims=True), writer),
            }
            for name, rows in wrong.items()
        },
        "differences": {
            f"{a} less {b}": {
                "factors": [
                    design_factor((one - other)[None], writer)
                    for one, other in zip(wrong[a].astype(float), wrong[b].astype(float), strict=True)
                ],
                "factor_of_mean": design_factor(
                    wrong[a].mean(axis=0, keepdims=True) - wrong[b].mean(axis=0, keepdims=True), writer
                ),
            }
            for a, b in combinations(wrong, 2)
        },
    }


def coverage(sd_seed: float, sd_writer: float, seeds: int, repeats: int) -> dict[str, float]:
    """How often intervals hold the truth, 0, of new seeds and writers who wrote 1 to 29 images each."""
    random = stream(0, f"writers/{sd_seed}/{sd_writer}/{seeds}")
    held = np.zeros(3)
    for _ in range(repeats):
        counts = random.integers(1, 30, WRITERS)
        writer = np.repeat(np.arange(WRITERS), counts)
        values = (
            random.normal(0, sd_seed, (seeds, 1))
            + random.normal(0, sd_writer, WRITERS)[writer]
            + random.normal(0, 1, (seeds, len(writer)))
        )
        found = (
            writers_interval(values, writer),
            series_interval(values, writer, writer % 2 == 0),
            crossed_interval(values, np.zeros_like(values)),
        )
        held += [estimate.low <= 0 <= estimate.high for estimate in found]
    named = zip(("new_writers", "series", "new_images"), (held / repeats).tolist(), strict=True)
    return {"sd_seed": sd_seed, "sd_writer": sd_writer, "seeds": seeds, **dict(named)}


def report(document: dict[str, Any]) -> str:
    """The figures as Markdown."""
    machine = document["machine"]
    versions = versions_in_words(machine["versions"])
    networks = [
        [
            name,
            f"{100 * found['pupils_error']:.2f} %",
            f"{100 * found['staff_error']:.2f} %",
            *_factors(found),
        ]
        for name, found in document["networks"].items()
    ]
    differences = [[name, *_factors(found)] for name, found in document["differences"].items()]
    held = [
        [
            *(found[name] for name in ("sd_seed", "sd_writer", "seeds")),
            *(f"{100 * found[name]:.1f} %" for name in ("new_writers", "series", "new_images")),
        ]
        for found in document["coverage"]
    ]
    return "\n".join(
        [
            "# Writers, measured",
            "",
            f"`python benchmarks/writers.py` on {machine['processor']}, {machine['platform']}; {versions}.",
            f"n = {document['seeds']} seeds of each network, {document['epochs']} epochs of 60,000 images at "
            "rates near the best. Who wrote the images: QMNIST (Yadav & Bottou 2019, arXiv 1905.10498).",
            "",
            "## How much images by one writer are alike",
            "",
            "The variance of a test accuracy over writers, in that of independent images: the design factor.",
            "",
            *table(
                (
                    "network",
                    "pupils' error",
                    "staff's error",
                    "factor, by seed",
                    "of their mean",
                ),
                networks,
            ),
            "",
            "The same of the difference of two networks' accuracies, seed by seed.",
            "",
            *table(("difference", "factor, by seed", "of their mean"), differences),
            "",
            "## How often intervals of 95 % hold the truth",
            "",
            f"{document['repeats']:,} repetitions each; {WRITERS} writers of 1 to 29 images, drawn anew with "
            "the seeds; standard deviation 1 of images. The truth is the mean of all seeds and writers; of "
            "series, of half of the writers less the other half.",
            "",
            *table(
                ("sd of seeds", "sd of writers", "seeds", "for new writers", "series", "for new images"), held
            ),
            "",
        ]
    )


def _factors(found: dict[str, Any]) -> list[str]:
    return [
        f"{min(found['factors']):.2f} – {max(found['factors']):.2f}",
        f"{found['factor_of_mean']:.2f}",
    ]


if __name__ == "__main__":
    main()
