"""How often the intervals of digitlab.analysis hold the truth, in simulated studies of which it is known.

    python benchmarks/coverage.py [--studies 400]

Writes benchmarks/results/coverage.md and coverage.json.
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from scipy.special import ndtri
from scipy.stats import binomtest

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.choice import choose, find_bottom, mean_loss
from digitlab.analysis.statistics.compare import crossed_bootstrap, crossed_interval
from digitlab.analysis.statistics.intervals import (
    LOG,
    PLAIN,
    SHARE,
    mean_interval,
    paired_interval,
    transformed,
)
from digitlab.analysis.statistics.jackknife import at_bottom, of_bottom
from digitlab.analysis.statistics.optimum import find_optimum
from digitlab.analysis.statistics.power_law import fit_power_law, local_slopes, predict_left_out
from digitlab.analysis.statistics.scaling_laws import best_law, exponent, fit_laws
from digitlab.analysis.statistics.simultaneous import SHARED_BASE, critical_value, simultaneous_intervals
from digitlab.rng import stream

RESULTS = Path(__file__).parent / "results"
SEEDS = (3, 5, 10)
FEW = (5, 10)
EDGE = "EDGE "
"""Begins the name of a setting in which the truth lies at the edge of what is measured, or beyond."""
BOOTSTRAP, PAIRED = "accuracy difference, pigeonhole bootstrap", "accuracy difference, pairs of seeds alone"
TOGETHER = "8 differences together, moderated variances"
POOLED = "8 differences together, one variance for all"
ALONE = "8 differences together, Student's interval of each alone"
COMPARED = {BOOTSTRAP, PAIRED, POOLED, ALONE}
"""Measured for comparison; digitlab does not rest on them."""

Outcomes = dict[str, bool]
"""By what was looked at: whether it came out."""


def holds(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth; one without ends does not."""
    return estimate.low <= truth <= estimate.high


# ---- Simulated studies: each takes its random stream and the number of seeds ----


def means(random: np.random.Generator, seeds: int) -> Outcomes:
    """Accuracies of two networks, 98.0 and 98.1 %: seeds spread by 0.1 point, half of it shared."""
    shared = random.normal(0, 0.07, seeds)
    a, b = (mean + shared + random.normal(0, 0.07, seeds) for mean in (98.1, 98.0))
    return {
        "mean accuracy": holds(mean_interval(a), 98.1),
        "paired difference": holds(paired_interval(a, b), 0.1),
    }


def loss_curve(octaves: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Loss over log2 rate, least near 0: it falls slowly from the left and rises faster to the right."""
    return np.asarray(0.06 + 0.02 * np.exp2(-0.7 * octaves) + 0.01 * np.exp2(1.3 * octaves))


BEST = math.log2(0.02 * 0.7 / (0.01 * 1.3)) / 2
"""Where its derivative is 0."""


def optima(random: np.random.Generator, seeds: int, *, first: int, last: int, shift: float) -> Outcomes:
    """A grid of powers of two; seeds' optima spread by 0.25 octaves about `shift`, and losses are noisy."""
    grid = np.arange(first, last + 1.0)
    places = shift + random.normal(0, 0.25, (seeds, 1))
    losses = loss_curve(grid - places + BEST) + random.normal(0, 0.0015, (seeds, len(grid)))
    losses += random.normal(0, 0.003, (seeds, 1))
    found = find_optimum(np.exp2(grid), losses)
    return {
        "best rate": holds(found.rate, 2.0**shift),
        "best rate: called an edge": bool(found.edge),
        "best rate: an open end": not (found.rate.low > 0 and found.rate.high < math.inf),
    }


Networks = tuple[Float64[np.ndarray, "seed rate"], Float64[np.ndarray, "seed rate"]]
"""Validation losses and error rates of all seeds at all rates."""
OCTAVES = np.arange(-4.0, 4.0)
"""Rates that may be tried, as log2."""
BESTS = (0.2, -0.4, 0.1, 0.45, 0.0, -0.2, 0.3, -0.1, 0.5)
SPREADS = (1.0, 2.0, 0.5, 1.0, 1.5, 0.7, 1.0, 2.5, 1.0)
ERRORS = (0.05, 0.06, 0.047, 0.05, 0.052, 0.048, 0.045, 0.049, 0.0502)
"""Of a base and 8 settings: the best log2 rate; how much seeds vary, in 0.1 points (a narrow network more
than a wide one); the error at the best rate."""


def networks(
    random: np.random.Generator,
    shared: Float64[np.ndarray, "seed"],
    *,
    best: float,
    error: float,
    spread: float,
    slope: float,
    breaks: float,
) -> Networks:
    """All seeds at all rates: a curved loss whose bottom each seed has a little elsewhere.

    shared: what each seed does to every setting alike, [seed]
    slope:  by which share of itself the error changes with an octave, at the best rate
    breaks: share of the networks that break at each of the two highest rates
    """
    shape = (len(shared), len(OCTAVES))
    places = best + random.normal(0, 0.25, (shape[0], 1))
    losses = loss_curve(OCTAVES - places + BEST) + random.normal(0, 0.0015, shape)
    seed = 0.02 * (0.7 * shared + 0.7 * spread * random.normal(0, 1, shape[0]))[:, None]
    off = OCTAVES - best
    errors = error * (1 + slope * off + 0.04 * off**2 + seed + random.normal(0, 0.01, shape))
    broken = (OCTAVES[-2] <= OCTAVES) & (random.random(shape) < breaks)
    return np.where(broken, math.log(10), losses), np.where(broken, 0.9, errors)


def around(losses: Float64[np.ndarray, "seed rate"]) -> slice:
    """The rates that all seeds are trained at: as the strategy finds them, from three seeds first."""
    least = choose(losses[:3])
    near = slice(max(least - 1, 0), min(least + 2, losses.shape[1]))
    while choose(losses[:, near]) == near.stop - near.start - 1 and near.stop < losses.shape[1]:
        near = slice(near.start, near.stop + 1)
    while choose(losses[:, near]) == 0 and near.start > 0:
        near = slice(near.start - 1, near.stop)
    return near


@cache
def truth(**how: float) -> tuple[float, float]:
    """Best log2 rate and error there, of 20,000 seeds."""
    random = stream(0, f"coverage/truth/{sorted(how.items())}")
    losses, errors = networks(random, random.normal(0, 1, 20_000), **how)
    near = around(losses)
    bottom = find_bottom(OCTAVES[near], mean_loss(losses[:, near]))
    return bottom.log2_rate, float(bottom.weights @ errors[:, near].mean(axis=0))


def tuned(random: np.random.Generator, seeds: int, *, slope: float, breaks: float) -> Outcomes:
    """A base and 8 settings: the best rate, the accuracy there, and all differences from the base."""
    shared, columns, truths, outcomes = random.normal(0, 1, seeds), [], [], Outcomes()
    for best, error, spread in zip(BESTS, ERRORS, SPREADS, strict=True):
        how = {"best": best, "error": error, "spread": spread, "slope": slope, "breaks": breaks}
        losses, errors = networks(random, shared, **how)
        near = around(losses)
        x, chosen, accuracies = OCTAVES[near], losses[:, near], 1 - errors[:, near]
        columns.append(100 * at_bottom(x, chosen, accuracies, PLAIN.to))
        truths.append(100 * (1 - truth(**how)[1]))
        if not outcomes:
            place, error_there = truth(**how)
            share = transformed(mean_interval(at_bottom(x, chosen, accuracies, SHARE.to)), SHARE.back)
            outcomes["accuracy at the best rate"] = holds(share, 1 - error_there)
            outcomes["best rate, chosen"] = holds(mean_interval(of_bottom(x, chosen)), place)
    differences = np.stack(columns[1:], axis=1) - columns[0][:, None]
    expected = np.array(truths[1:]) - truths[0]
    by_method = {
        TOGETHER: simultaneous_intervals(differences),
        POOLED: pooled(differences),
        ALONE: tuple(map(mean_interval, differences.T)),
    }
    return outcomes | {name: all(map(holds, intervals, expected)) for name, intervals in by_method.items()}


def pooled(differences: Float64[np.ndarray, "seed setting"]) -> tuple[Estimate, ...]:
    """Dunnett's intervals, with one variance for all differences."""
    seeds, settings = differences.shape
    variance = float(differences.var(axis=0, ddof=1).mean())
    reach = critical_value(settings, settings * (seeds - 1), SHARED_BASE) * math.sqrt(variance / seeds)
    return tuple(Estimate(mean, mean - reach, mean + reach) for mean in map(float, differences.mean(axis=0)))


def chosen_laws(random: np.random.Generator, seeds: int, *, breaks: float) -> Outcomes:
    """Exponents through what was chosen: of the best rate and of the error, over 6 sizes."""
    shared, sizes = random.normal(0, 1, seeds), np.arange(6.0)
    rates, log_errors, places, true_errors = [], [], [], []
    for size in sizes:
        how = {"best": 0.25 * size - 0.6, "error": 0.1 * 2 ** (-0.4 * size), "spread": 1.0, "slope": 0.02}
        losses, errors = networks(random, shared, breaks=breaks, **how)
        near = around(losses)
        rates.append(of_bottom(OCTAVES[near], losses[:, near]))
        log_errors.append(at_bottom(OCTAVES[near], losses[:, near], errors[:, near], LOG.to))
        place, error = truth(breaks=breaks, **how)
        places.append(place)
        true_errors.append(math.log(error))
    slope = exponent(np.exp2(sizes), np.array([places])).value
    law = fit_power_law(np.exp2(sizes), np.array([true_errors]))
    return {
        "exponent of the chosen rates": holds(exponent(np.exp2(sizes), np.stack(rates, axis=1)), slope),
        "beta at the chosen rates": holds(
            fit_power_law(np.exp2(sizes), np.stack(log_errors, axis=1)).beta, law.beta.value
        ),
    }


def laws(random: np.random.Generator, seeds: int, *, law: str, noise: float = 400.0) -> Outcomes:
    """Best rates at eight batch sizes, seeds scattered by 0.3 octaves each and by 0.1 together."""
    b = np.arange(2.0, 13.0, 10 / 7)
    truth = {
        "saturating": 1 - np.log2(1 + noise / np.exp2(b)),
        "square root": -6 + 0.5 * b,
        "linear": -9 + b,
    }[law]
    rates = truth + random.normal(0, 0.3, (seeds, len(b))) + random.normal(0, 0.1, (seeds, 1))
    all_fits = fit_laws(np.exp2(b), rates)
    best, fits = best_law(all_fits), {fit.law: fit for fit in all_fits}
    outcomes = {"law: the true one named": best == law, "law: a wrong one named": best not in {law, None}}
    if law == "saturating":
        parameters = fits[law].parameters
        return outcomes | {
            "B_noise": holds(parameters["B_noise"], noise),
            "e_max": holds(parameters["e_max"], 2.0),
        }
    slope = 0.5 if law == "square root" else 1.0
    return outcomes | {
        "c": holds(fits[law].parameters["c"], 2.0 ** (-6 if law == "square root" else -9)),
        "exponent": holds(exponent(np.exp2(b), rates), slope),
    }


def power_laws(random: np.random.Generator, seeds: int, *, beta: float, gamma: float, count: int) -> Outcomes:
    """Errors of nested subsets: a draw's errors spread by some 3 %, more at small sizes, in part together."""
    sizes = np.round(np.geomspace(250, 50_000, count))
    truth = 0.12 * (sizes / 250) ** -beta + gamma
    spread = 0.02 + 0.03 * (sizes / 250) ** -0.3
    along = random.normal(0, 1, (seeds, len(sizes)))
    for i in range(1, len(sizes)):  # nested subsets: what a draw has, its next has in part
        along[:, i] = 0.5 * along[:, i - 1] + math.sqrt(0.75) * along[:, i]
    errors = truth * (1 + spread * along)
    logs = np.log(errors)
    law = fit_power_law(sizes, logs)
    predicted, measured = predict_left_out(sizes, logs)
    slope = -math.log(truth[1] / truth[0]) / math.log(sizes[1] / sizes[0])
    return {
        "beta": holds(law.beta, beta),
        "gamma": holds(law.gamma, gamma),
        "gamma: a floor found": law.has_floor,
        "error at the largest size, left out": holds(predicted, measured),
        "local slope": holds(local_slopes(sizes, logs)[0], slope),
    }


def crossed(
    random: np.random.Generator, seeds: int, *, gap: float, likeness: float, of_seed: float
) -> Outcomes:
    """Two networks, 2 % error on 10,000 images; two thirds of a seed's errors are another seed's too.

    gap:      of their error rates
    likeness: correlation of what is hard for the one and for the other
    of_seed:  how much seeds differ on all images alike: 0.01 is 0.05 points of a network's accuracy
    """
    images, of_image = 10_000, 0.9
    hard = random.normal(0, 1, images)
    shared = random.normal(0, of_seed, (seeds, 1))

    def right(error: float) -> Bool[np.ndarray, "seed image"]:
        own = math.sqrt(likeness) * hard + math.sqrt(1 - likeness) * random.normal(0, 1, images)
        luck = random.normal(0, 1, (seeds, images))
        seed = shared + random.normal(0, of_seed, (seeds, 1))
        scale = math.sqrt(1 + 2 * of_seed**2)
        limit = ndtri(1 - error) * scale
        return np.asarray(math.sqrt(of_image) * own + math.sqrt(1 - of_image) * luck + seed < limit)

    a, b = right(0.02 - gap), right(0.02)
    return {
        "accuracy difference, new seeds and images": holds(crossed_interval(a, b), gap),
        BOOTSTRAP: holds(crossed_bootstrap(a, b, resamples=500, stream=random), gap),
        PAIRED: holds(paired_interval(a.mean(axis=1), b.mean(axis=1)), gap),
    }


# ---- All of them ----


@dataclass(frozen=True)
class Setting:
    """Studies of one kind.

    name: what is special about their truth, "" for the ordinary case
    """

    name: str
    study: Callable[[np.random.Generator, int], Outcomes]
    seeds: tuple[int, ...] = SEEDS


SETTINGS = (
    Setting("normal, seeds shared in part", means),
    Setting("optimum between two grid points", partial(optima, first=-4, last=4, shift=0.5)),
    Setting("optimum on a grid point", partial(optima, first=-4, last=4, shift=0.0)),
    Setting("EDGE optimum 1 octave inside the last rate", partial(optima, first=-6, last=0, shift=-1.0)),
    Setting("EDGE optimum at the last rate", partial(optima, first=-6, last=0, shift=0.0)),
    Setting("EDGE optimum 1 octave beyond the last rate", partial(optima, first=-6, last=0, shift=1.0)),
    Setting("rates chosen, accuracy level there", partial(tuned, slope=0.0, breaks=0.0), FEW),
    Setting("rates chosen, accuracy rises with the rate", partial(tuned, slope=-0.05, breaks=0.0), FEW),
    Setting("rates chosen, high ones break", partial(tuned, slope=-0.05, breaks=0.5), FEW),
    Setting("rates chosen at 6 sizes", partial(chosen_laws, breaks=0.0), FEW),
    Setting("B_noise 400, batches 4 to 4,096", partial(laws, law="saturating")),
    Setting("square root law", partial(laws, law="square root")),
    Setting("linear law", partial(laws, law="linear")),
    Setting("EDGE B_noise 20,000, batches to 4,096", partial(laws, law="saturating", noise=20_000.0)),
    Setting("beta 0.5, gamma 0.01, 9 sizes", partial(power_laws, beta=0.5, gamma=0.01, count=9)),
    Setting("EDGE gamma 0, 9 sizes", partial(power_laws, beta=0.4, gamma=0.0, count=9)),
    Setting("EDGE gamma 0.01, 4 sizes", partial(power_laws, beta=0.5, gamma=0.01, count=4)),
    Setting("0.1 point, alike images are hard", partial(crossed, gap=0.001, likeness=1.0, of_seed=0.01), FEW),
    Setting("0.1 point, seeds differ more", partial(crossed, gap=0.001, likeness=1.0, of_seed=0.03), FEW),
    Setting("0.5 point, other images are hard", partial(crossed, gap=0.005, likeness=0.8, of_seed=0.01), FEW),
)


@dataclass(frozen=True)
class Row:
    """How often something came out.

    low, high: 95 % interval of the share (Wilson)
    """

    what: str
    setting: str
    seeds: int
    studies: int
    share: float
    low: float
    high: float


def one(index: int, seeds: int, study: int) -> Outcomes:
    """The outcomes of one simulated study."""
    setting = SETTINGS[index]
    return setting.study(stream(study, f"coverage/{setting.name}/{seeds}"), seeds)


def rows(studies: int) -> list[Row]:
    """All settings, at each number of seeds."""
    found = []
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # two processes share two cores
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for index, setting in enumerate(SETTINGS):
            for seeds in setting.seeds:
                outcomes = pool.map(partial(one, index, seeds), range(studies), chunksize=50)
                for what in outcomes[0]:
                    test = binomtest(sum(outcome[what] for outcome in outcomes), studies)
                    interval = test.proportion_ci(method="wilson")
                    share, low, high = float(test.statistic), float(interval.low), float(interval.high)
                    found.append(Row(what, setting.name, seeds, studies, share, low, high))
                    print(f"{what} ({setting.name}), n = {seeds}: {share:.1%}", file=sys.stderr, flush=True)
    return found


def table(found: list[Row]) -> list[str]:
    """Markdown, a row an interval and truth, a column a number of seeds."""
    by_place = {(row.what, row.setting, row.seeds): row for row in found}
    lines = ["| what | truth | n = 3 | n = 5 | n = 10 |", "| --- | --- | --- | --- | --- |"]
    for what, setting in dict.fromkeys((row.what, row.setting) for row in found):
        cells = [
            f"{row.share:.1%} ({row.low:.1%}–{row.high:.1%})" if row else ""
            for row in (by_place.get((what, setting, seeds)) for seeds in SEEDS)
        ]
        lines.append(f"| {what} | {setting.removeprefix(EDGE)} | {' | '.join(cells)} |")
    return lines


def report(found: list[Row], machine: dict[str, str], studies: int) -> str:
    """All tables, as Markdown."""
    covered = [row for row in found if ":" not in row.what]
    inside = [row for row in covered if not row.setting.startswith(EDGE) and row.what not in COMPARED]
    off = [row for row in inside if not 0.93 <= row.share <= 0.97]
    named = ", ".join(f"{row.what} ({row.setting}), n = {row.seeds}: {row.share:.1%}" for row in off)
    lines = [
        "# Coverage",
        "",
        f"How often an interval of 95 % holds the truth: {studies:,} simulated studies a cell, each of n",
        "seeds (draws); in brackets the 95 % interval of the share itself. What is simulated is said in",
        "`benchmarks/coverage.py`, which wrote this. Where rates are chosen, that is simulated too: the",
        "range tried on 3 seeds, all seeds around the best. How laws are told apart was chosen on these same",
        "simulations.",
        "",
        f"{', '.join(f'{name} {value}' for name, value in machine.items())}.",
        "",
        "## Where the truth lies inside what was measured",
        "",
        f"Aim: 93 to 97 %. {len(inside) - len(off)} of {len(inside)} cells lie there.",
        f"Outside: {named or 'none'}.",
        "",
        *table(inside),
        "",
        "## At the edge of what was measured",
        "",
        "Where the grid ends at the best rate or before, it is called an edge and the interval has an open",
        "end: it holds the truth nearly always, and says little. One step inside the edge a curve has few",
        "points on that side, and the interval is somewhat too narrow.",
        "",
        *table([row for row in covered if row.setting.startswith(EDGE)]),
        "",
        "## Other ways to compare networks",
        "",
        "One variance for all differences is too small for settings that vary more, and too large for the",
        "others. Student's interval of each difference is right for that one, and not for all together.",
        "The pigeonhole bootstrap counts the variance that is neither the seeds' nor the images' three",
        "times: too wide where seeds differ little on all images alike. Pairs of seeds alone leave out the",
        "images: too narrow where the two networks find other images hard.",
        "",
        *table([row for row in covered if row.what in COMPARED]),
        "",
        "## What else came out",
        "",
        "Shares of studies in which this was said.",
        "",
        *table([row for row in found if ":" in row.what]),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Simulate, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    machine = {
        "Python": platform.python_version(),
        "NumPy": version("numpy"),
        "SciPy": version("scipy"),
        "processor": platform.machine(),
        "system": platform.system(),
    }
    found = rows(studies)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "coverage.md").write_text(report(found, machine, studies))
    document = {
        "script": "benchmarks/coverage.py",
        "machine": machine,
        "rows": [asdict(row) for row in found],
    }
    (RESULTS / "coverage.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
