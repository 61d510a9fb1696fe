"""Measure how far the exercise's figures spread between seeds; `digitlab exercise` compares by it.

    python benchmarks/seed_spread.py [--seeds 24]

Trains each of the three networks once per seed and writes src/digitlab/handout/seed_spread.json. The seeds
begin at 1000, so that they are none of those that `digitlab exercise` uses.
"""

import argparse
import json
import sys
from pathlib import Path

from digitlab import lab
from digitlab.handout import figures_of, handout_runs, spread_of

FIRST_SEED = 1000
TARGET = Path(__file__).parent.parent / "src" / "digitlab" / "handout" / "seed_spread.json"


def main() -> None:
    """Train, and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=24)
    seeds = parser.parse_args().seeds
    networks, provenances = {}, []
    for run in handout_runs():
        runs = []
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            result = lab.train(hidden=run.hidden, seed=seed)
            provenances.append(result.provenance)
            runs.append(figures_of(result.curve.training_loss, result.metrics.test_accuracy))
            print(f"{run.name} seed {seed}: {result.metrics.test_accuracy:.4f}", file=sys.stderr, flush=True)
        spreads = {label: spread_of([figures[label] for figures in runs]) for label in runs[0]}
        networks[run.name] = {
            label: {"mean": spread.mean, "sd": spread.sd} for label, spread in spreads.items()
        }
    if len({provenance.fingerprint for provenance in provenances}) > 1:
        sys.exit("the runs were not all computed alike, so no one provenance is theirs; run it again")
    measured = {
        "source": "benchmarks/seed_spread.py",
        "seeds": seeds,
        "first_seed": FIRST_SEED,
        "provenance": provenances[0].model_dump(exclude={"host", "platform", "seconds", "finished"}),
        "networks": networks,
    }
    TARGET.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
