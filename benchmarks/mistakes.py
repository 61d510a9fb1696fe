"""Measure how students' mistakes look: the exercise's network trained right and with each of them.

    python benchmarks/mistakes.py [--seeds 3] [--epochs 5] [--tuned 40]

Trains the network of exercise/oneHiddenLayer.py in plain PyTorch, and, to see how much a choice made on the
test images flatters, many runs of it that differ in their seed alone. Writes benchmarks/results/mistakes.json
and mistakes.md, and docs/pictures/mistakes.svg; docs/teaching.md quotes them.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from records import versions_in_words
from torch import nn

from digitlab import lab
from digitlab.analysis.findings import Axis, Line, Lines, Point
from digitlab.data import load
from digitlab.engine.device import find_device
from digitlab.engine.provenance import provenance
from digitlab.report.charts import svg
from digitlab.result import RunResult

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "pictures" / "mistakes.svg"
BATCH_SIZE = 100
SPLITS = 200


@dataclass(frozen=True)
class Way:
    """A way to train: the right one, unless it says otherwise.

    divisor: of the pixels, which are 0 … 255
    softmax: whether the network ends with one, before a loss that has its own
    zeroed:  whether gradients are, before each step
    order:   of the training images: a new random one each epoch, or always the file's, or always by digit
    dropout: behind the hidden layer
    """

    divisor: float = 255.0
    softmax: bool = False
    zeroed: bool = True
    order: Literal["random", "file", "digit"] = "random"
    dropout: float = 0.0
    learning_rate: float = 0.01


WAYS = {
    "right": Way(),
    "inputs 0 to 255": Way(divisor=1.0),
    "softmax before the loss": Way(softmax=True),
    "gradients not zeroed": Way(zeroed=False),
    "not shuffled": Way(order="file"),
    "not shuffled, sorted by digit": Way(order="digit"),
    "learning rate 10": Way(learning_rate=10.0),
    "dropout 0.5": Way(dropout=0.5),
}
NOT_DRAWN = {"not shuffled", "dropout 0.5"}
"""Their curves lie on the right one's, or answer another question."""


@dataclass(frozen=True)
class Digits:
    """Images as rows of pixels 0 … 255, [example][784], and their labels, [example]."""

    images: torch.Tensor
    labels: torch.Tensor


def digits(part: Any) -> Digits:
    """One part of a data set, as tensors."""
    images = torch.tensor(part.images).reshape(-1, 784).float()
    return Digits(images, torch.tensor(part.labels).long())


def network(way: Way) -> nn.Sequential:
    """784-100-10, with what the way adds."""
    layers: list[nn.Module] = [nn.Linear(784, 100), nn.ReLU()]
    layers += [nn.Dropout(way.dropout)] if way.dropout else []
    layers += [nn.Linear(100, 10)]
    layers += [nn.Softmax(dim=1)] if way.softmax else []
    return nn.Sequential(*layers)


def order(way: Way, labels: torch.Tensor) -> torch.Tensor:
    """The order of an epoch, [example]."""
    if way.order == "random":
        return torch.randperm(len(labels))
    return torch.arange(len(labels)) if way.order == "file" else labels.argsort(stable=True)


def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images that get their label."""
    with torch.no_grad():
        return float((model(images).argmax(dim=1) == labels).double().mean())


def train(way: Way, train_part: Digits, test_part: Digits, seed: int, epochs: int) -> dict[str, Any]:
    """Train once: training loss as the exercise prints it, [epoch], and test accuracy at the end."""
    torch.manual_seed(seed)
    model, images = network(way), train_part.images / way.divisor
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=way.learning_rate)
    losses = []
    for _ in range(epochs):
        running_loss = 0.0
        batches = order(way, train_part.labels).split(BATCH_SIZE)
        for batch in batches:
            if way.zeroed:
                optimizer.zero_grad()
            loss = loss_function(model(images[batch]), train_part.labels[batch])
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        losses.append(running_loss / len(batches))
    test = (test_part.images / way.divisor, test_part.labels)
    in_training_mode = accuracy(model.train(), *test)
    return {
        "seed": seed,
        "training_loss": losses,
        "test_accuracy": accuracy(model.eval(), *test),
        "test_accuracy_in_training_mode": in_training_mode,
    }


def chosen_on_the_test_images(runs: int, epochs: int) -> dict[str, Any]:
    """How much the best of many seeds is flattered by the test images that it was chosen on.

    The best of the first half of the runs is held against the mean of the other half, which nobody chose. And
    on one random half of the test images the best of all is chosen, and looked at on the other half.
    """
    specs = [lab.make_spec(hidden=(100,), epochs=epochs, seed=seed) for seed in range(runs)]
    results = [result for result in lab.run_many(specs, workers=1) if isinstance(result, RunResult)]
    results.sort(key=lambda result: result.spec.seed)
    given = [np.frombuffer(result.predictions or b"", np.uint8) for result in results]
    labels = load("mnist").test.labels
    right = np.array(given) == labels  # [run][test image]
    accuracies = right.mean(axis=1)
    candidates, fresh = accuracies[: runs // 2], accuracies[runs // 2 :]
    generator, on_selection, on_fresh_images = np.random.default_rng(0), [], []
    for _ in range(SPLITS):
        selection, fresh_images = np.split(generator.permutation(len(labels)), 2)
        best = right[:, selection].mean(axis=1).argmax()
        on_selection.append(float(right[best][selection].mean()))
        on_fresh_images.append(float(right[best][fresh_images].mean()))
    return {
        "runs": runs,
        "epochs": epochs,
        "test_accuracies": accuracies.tolist(),
        "best_of_first_half": float(candidates.max()),
        "mean_of_other_half": float(fresh.mean()),
        "splits": SPLITS,
        "best_on_the_half_it_was_chosen_on": statistics.mean(on_selection),
        "best_on_the_other_half": statistics.mean(on_fresh_images),
    }


def rows(ways: dict[str, list[dict[str, Any]]]) -> list[str]:
    """A row for each way: medians over seeds, and the range of accuracy."""
    found = []
    for name, runs in ways.items():
        losses = [[run["training_loss"][at] for run in runs] for at in (0, -1)]
        accuracies = [run["test_accuracy"] for run in runs]
        cells = [
            name,
            *(f"{statistics.median(values):#.4g}" for values in losses),
            f"{statistics.median(accuracies):.4f}",
            f"{min(accuracies):.4f} – {max(accuracies):.4f}",
        ]
        found.append(f"| {' | '.join(cells)} |")
    return found


def report(document: dict[str, Any]) -> str:
    """The figures as Markdown."""
    machine, tuned = document["machine"], document["chosen_on_the_test_images"]
    versions = versions_in_words(machine["versions"])
    modes = {
        name: [
            statistics.median(run[key] for run in document["ways"][name])
            for key in ("test_accuracy", "test_accuracy_in_training_mode")
        ]
        for name in ("right", "dropout 0.5")
    }
    last = document["epochs"] - 1
    return "\n".join(
        [
            "# Mistakes, measured",
            "",
            f"`python benchmarks/mistakes.py` on {machine['processor']}, {machine['platform']}, one thread; "
            f"{versions}.",
            f"The network 784-100-10 of the exercise, {document['epochs']} epochs, n = {document['seeds']} "
            "seeds each: medians, and the range of accuracy from seed to seed.",
            "",
            f"| way | loss, epoch 0 | loss, epoch {last} | test accuracy | from – to |",
            "|---|--:|--:|--:|--:|",
            *rows(document["ways"]),
            "",
            "Test accuracy in evaluation mode and in training mode, medians:",
            "",
            *(f"- {name}: {trained:.4f} and {other:.4f}" for name, (trained, other) in modes.items()),
            "",
            f"Chosen on the test images, {tuned['runs']} runs of {tuned['epochs']} epochs that differ in "
            "their seed alone:",
            "",
            f"- best of {tuned['runs'] // 2} seeds {tuned['best_of_first_half']:.4f}, mean of "
            f"{tuned['runs'] - tuned['runs'] // 2} others {tuned['mean_of_other_half']:.4f}",
            f"- best of {tuned['runs']} on 5,000 test images "
            f"{tuned['best_on_the_half_it_was_chosen_on']:.4f}, the same network on the other 5,000 "
            f"{tuned['best_on_the_other_half']:.4f} (mean of {tuned['splits']} random halves)",
            "",
        ]
    )


def picture(ways: dict[str, list[dict[str, Any]]]) -> Lines:
    """Training loss by epoch: of each way, the median over seeds."""
    lines = []
    for name, runs in ways.items():
        if name not in NOT_DRAWN:
            medians = map(statistics.median, zip(*(run["training_loss"] for run in runs), strict=True))
            lines.append(Line(name, tuple(Point(epoch, loss) for epoch, loss in enumerate(medians))))
    return Lines(
        "mistakes",
        "Training loss of the right way and of each mistake",
        "The exercise's network with one hidden layer; medians over seeds.",
        Axis("epoch"),
        Axis("training loss", "log"),
        tuple(lines),
    )


def measure(seeds: Sequence[int], epochs: int) -> dict[str, list[dict[str, Any]]]:
    """Every way with every seed: {way: [seed]}."""
    mnist = load("mnist")
    train_part, test_part = digits(mnist.train), digits(mnist.test)
    ways: dict[str, list[dict[str, Any]]] = {}
    for name, way in WAYS.items():
        ways[name] = [train(way, train_part, test_part, seed, epochs) for seed in seeds]
        print(name, [run["test_accuracy"] for run in ways[name]], file=sys.stderr, flush=True)
    return ways


def main() -> None:
    """Measure, print, and write the results and the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--tuned", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the last bits depend on their number
    ways = measure(range(options.seeds), options.epochs)
    machine = provenance(
        "benchmarks/mistakes.py", find_device("cpu"), 0, threads=torch.get_num_threads()
    ).model_dump(include={"processor", "platform", "versions", "threads"})
    document = {
        "machine": machine,
        "seeds": options.seeds,
        "epochs": options.epochs,
        "ways": ways,
        "chosen_on_the_test_images": chosen_on_the_test_images(options.tuned, options.epochs),
    }
    text = report(document)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "mistakes.md").write_text(text)
    (RESULTS / "mistakes.json").write_text(json.dumps(document, indent=2) + "\n")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(picture(ways), prefix="mistakes"))


if __name__ == "__main__":
    main()
