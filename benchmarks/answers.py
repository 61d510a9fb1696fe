"""Measure the answers to the questions of docs/teaching.md: what some `digitlab train …` commands say.

    python benchmarks/answers.py [--seeds 3]

Runs each command with every seed and writes benchmarks/results/answers.json and answers.md.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from records import versions_in_words

from digitlab.engine.device import find_device
from digitlab.engine.provenance import provenance

RESULTS = Path(__file__).parent / "results"

COMMANDS = (
    "digitlab train --hidden 100 --epochs 5",
    "digitlab train --hidden 100 --epochs 5 --lr 0.5",
    "digitlab train --hidden 100 --epochs 5 --batch-size 1000",
    "digitlab train --hidden 100 --epochs 5 --batch-size 1000 --lr 0.1",
    "digitlab train --hidden 100 --epochs 5 --train-size 1000",
    "digitlab train --hidden 100 --steps 3000 --train-size 1000",
    "digitlab train --hidden 100 --epochs 5 --scaling standard",
    "digitlab train --hidden 100,100,100,100,100 --epochs 5",
    "digitlab train --hidden 100,100,100,100,100 --epochs 5 --initialisation he",
    "digitlab train --hidden 100,100",
    "digitlab train --hidden 100,100 --lr 0.1",
)


def test_accuracy(command: str, seed: int) -> float:
    """What a command with this seed prints."""
    words = [*shlex.split(command)[1:], "--seed", str(seed), "--json"]
    print(command, seed, file=sys.stderr)
    done = subprocess.run([sys.executable, "-m", "digitlab", *words], check=True, stdout=subprocess.PIPE)
    return float(json.loads(done.stdout)["metrics"]["test_accuracy"])


def report(document: dict[str, Any]) -> str:
    """The figures as Markdown."""
    machine = document["machine"]
    versions = versions_in_words(machine["versions"])
    rows = [
        f"| `{command}` | {statistics.median(found):.4f} | {min(found):.4f} – {max(found):.4f} |"
        for command, found in document["test_accuracies"].items()
    ]
    head = ["| command | test accuracy | from – to |", "|---|--:|--:|"]
    how = f"`python benchmarks/answers.py` on {machine['processor']}, {machine['platform']}; {versions}."
    what = f"n = {document['seeds']} seeds each: median and range."
    return "\n".join(["# Answers, measured", "", how, what, "", *head, *rows, ""])


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    machine = provenance(
        "benchmarks/answers.py", find_device("cpu"), 0, threads=torch.get_num_threads()
    ).model_dump(include={"processor", "platform", "versions"})
    found = {command: [test_accuracy(command, seed) for seed in range(seeds)] for command in COMMANDS}
    document = {"machine": machine, "seeds": seeds, "test_accuracies": found}
    text = report(document)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "answers.md").write_text(text)
    (RESULTS / "answers.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
