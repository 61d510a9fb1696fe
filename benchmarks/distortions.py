"""Whether the distorted copies that the default model is trained on help it: with them and without.

    python benchmarks/distortions.py [--seeds 5] [--photographs 1000]

Of each seed two networks of one shape, trained for as many steps at the same rates: one on MNIST's training
images with their distorted copies, as the default model is, and one on these images alone, each seen more
often. A seed decides the images that are held out, the copies, the first weights and the order of the images.
Writes results/distortions.md and distortions.json.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tables import table

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

from digitlab.analysis.statistics.intervals import mean_interval  # noqa: E402
from digitlab.data import load  # noqa: E402
from digitlab.engine.device import find_device, processor_name, usable_cores  # noqa: E402
from digitlab.prediction.default_model import RECIPE, trained_model  # noqa: E402
from digitlab.prediction.distortion import distorted  # noqa: E402
from digitlab.rng import stream  # noqa: E402
from digitlab.vision import decode, read_digits  # noqa: E402
from tests.vision.photographs import photograph_of  # noqa: E402

RESULTS = Path(__file__).parent / "results"
FIRST = 1_000_000
"""Number of the first photograph: no other script and no test looks at those from there on."""


def image_sets(photographs: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and labels on which networks are compared, by name."""
    test = load("mnist").test
    chosen = stream(0, "distortions/photographed").permutation(len(test))[:photographs]
    images, labels = [], []
    for number, i in enumerate(chosen):
        photograph = photograph_of(test.images[i], int(test.labels[i]), FIRST + number)
        found = read_digits(decode(photograph.content)).found
        if len(found) == 1:
            images.append(found[0].image)
            labels.append(int(test.labels[i]))
    return {
        "MNIST's test images": (test.images, test.labels),
        "distorted copies of the test images": (distorted(test.images, stream(0, "compared")), test.labels),
        f"{len(images):,} digits cut out of photographs": (np.stack(images), np.array(labels)),
    }


def accuracies(recipe: dict[str, Any], sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Train a network, and see how often it is right."""
    network = trained_model(lambda *_: None, recipe).network
    return {
        name: float((network.probabilities(images).argmax(1) == labels).mean())
        for name, (images, labels) in sets.items()
    }


def page(found: dict[str, Any]) -> str:
    """All figures, as Markdown."""
    rows = []
    for name in found["runs"][0]["with"]:
        ways = {way: np.array([run[way][name] for run in found["runs"]]) for way in ("with", "without")}
        gain = mean_interval(100 * (ways["with"] - ways["without"]))
        rows.append(
            (
                name,
                *(f"{100 * ways[way].mean():.2f} ± {100 * ways[way].std(ddof=1):.2f} %" for way in ways),
                f"{gain.value:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})",
            )
        )
    lines = [
        "# Distorted copies",
        "",
        f"{found['machine']}; written by `benchmarks/distortions.py`.",
        f"For each of {len(found['runs'])} seeds one network {found['network']} was trained as the default",
        f"model is, on MNIST's training images and {found['copies']} distorted copies of each, and one",
        "for as many steps on the images alone. Accuracy, mean ± standard deviation over seeds; the gain",
        "in points, with its 95 % interval over seeds (Student's, paired).",
        "",
        *table(["what is read", "with copies", "without", "gain"], rows),
        "",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare them and write it down, after each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--photographs", type=int, default=1_000)
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {
        "machine": f"{processor_name(find_device('cpu'))}, {usable_cores()} cores",
        "copies": RECIPE["copies"],
        "network": "-".join(map(str, (784, *RECIPE["hidden"], 10))),
        "runs": [],
    }
    sets = image_sets(given.photographs)
    for seed in range(given.seeds):
        own = {**RECIPE, "seed": seed}
        without = {**own, "copies": 0, "epochs": RECIPE["epochs"] * (RECIPE["copies"] + 1)}
        found["runs"].append({"with": accuracies(own, sets), "without": accuracies(without, sets)})
        print(found["runs"][-1], flush=True)
        if seed:
            RESULTS.joinpath("distortions.json").write_text(json.dumps(found, indent=1))
            RESULTS.joinpath("distortions.md").write_text(page(found))


if __name__ == "__main__":
    main()
