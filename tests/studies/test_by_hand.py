"""A real study from its exported rows, by NumPy and SciPy alone: best rates, jackknife, Dunnett, as findings say."""

import csv
import io
import json
import math
from collections import defaultdict

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from digitlab.analysis.findings import StudyFindings
from digitlab.data import Dataset
from digitlab.store import Filter, open_store
from digitlab.store.export import results_of, write_csv
from digitlab.studies.findings import findings
from digitlab.studies.runner import run_study
from tests.studies.documents import study

WIDTHS, SEEDS = (3, 6, 9, 14), 5
Cells = dict[int, dict[float, np.ndarray]]
"""Of each width and rate: validation loss and test accuracy, [seed, 2]."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, mnist: Dataset) -> tuple[StudyFindings, Cells]:
    """What the study says, and its runs as a file has them."""
    levels = [{"label": f"width {width}", "hidden": [width]} for width in WIDTHS]
    rates = {"name": "learning_rate", "range": {"from": 0.25, "to": 2}, "tune": True, "extend": True}
    definition = study(
        axes=[{"name": "width", "levels": levels}, rates],
        fixed={"train_size": 500, "validation_size": 500, "steps": 60},
        seeds={"tune": 2, "report": SEEDS},
        points=1,
        baseline="width 6",
    )
    store = open_store(tmp_path_factory.mktemp("store") / "runs.db")
    stage = run_study(definition, store, workers=1)
    file = io.StringIO()
    write_csv(file, results_of(store, [row.key for row in store.list(Filter())]))
    file.seek(0)
    runs: dict[tuple[int, float], dict[int, tuple[float, float]]] = defaultdict(dict)
    for row in csv.DictReader(file):
        assert row["outcome"] != "diverged"
        at = json.loads(row["spec.hidden"])[0], float(row["spec.optimiser.learning_rate"])
        loss = float(row["metrics.validation_loss"]) if row["outcome"] == "completed" else math.log(10)
        runs[at][int(row["spec.seed"])] = loss, float(row["metrics.test_accuracy"])
    cells: Cells = {width: {} for width in WIDTHS}
    for (width, rate), by_seed in sorted(runs.items()):
        if len(by_seed) == SEEDS:
            cells[width][rate] = np.array([by_seed[seed] for seed in range(SEEDS)])
    return findings(definition, "full", stage, store), cells


def at_best(cells: dict[float, np.ndarray], seeds: list[int]) -> tuple[float, float]:
    """The best rate and the accuracy there, of these seeds: a parabola through the least and its neighbours."""
    x = np.log2(list(cells))
    losses = [np.log(measured[seeds, 0]).mean() for measured in cells.values()]
    accuracies = [measured[seeds, 1].mean() for measured in cells.values()]
    middle = min(max(int(np.argmin(losses)), 1), len(x) - 2)
    a, b, _ = np.polyfit(x[middle - 1 : middle + 2], losses[middle - 1 : middle + 2], 2)
    place = min(max(-b / (2 * a), x[0]), x[-1])
    return 2**place, float(np.interp(place, x, accuracies))


def without_each(cells: dict[float, np.ndarray]) -> np.ndarray:
    """The accuracy at the best rate without each seed."""
    return np.array(
        [at_best(cells, [seed for seed in range(SEEDS) if seed != left])[1] for left in range(SEEDS)]
    )


def dunnett(count: int, freedom: float) -> float:
    """The factor of `count` differences from one base, each with a denominator of its own: nested integrals."""

    def inside(z: float, c: float) -> float:
        def of_scale(s: float) -> float:
            upper, lower = (
                (c * s - z * math.sqrt(0.5)) / math.sqrt(0.5),
                (-c * s - z * math.sqrt(0.5)) / math.sqrt(0.5),
            )
            weight = stats.chi2.pdf(s * s * freedom, freedom) * 2 * s * freedom
            return float(weight * (special.ndtr(upper) - special.ndtr(lower)))

        return float(integrate.quad(of_scale, 0, 5, limit=60, epsabs=1e-6)[0]) ** count

    def missing(c: float) -> float:
        nodes, weights = np.polynomial.hermite_e.hermegauss(25)
        return (
            float(sum(w * inside(z, c) for z, w in zip(nodes, weights, strict=True))) / math.sqrt(2 * math.pi)
            - 0.95
        )

    return float(optimize.brentq(missing, 1.5, 8, xtol=1e-4))


def moderated(variances: np.ndarray, freedom: int) -> tuple[np.ndarray, float]:
    """As limma's squeezeVar has it, the trigamma function inverted by bisection; the prior no more than each own."""
    e = np.log(variances) - special.digamma(freedom / 2) + math.log(freedom / 2)
    excess = e.var(ddof=1) - special.polygamma(1, freedom / 2)
    if excess <= 0:
        return (variances + variances.mean()) / 2, 2.0 * freedom
    low, high = 1e-4, 1e6
    for _ in range(200):
        half = math.sqrt(low * high)
        low, high = (half, high) if special.polygamma(1, half) > excess else (low, half)
    common = math.exp(e.mean() + special.digamma(half) - math.log(half))
    prior = min(2 * half, freedom)
    return (prior * common + freedom * variances) / (prior + freedom), prior + freedom


def test_best_rates_and_accuracies_are_those_of_the_rows(done: tuple[StudyFindings, Cells]) -> None:
    found, cells = done
    everyone = list(range(SEEDS))
    for row, width in zip(found.tables[0].rows, WIDTHS, strict=True):
        assert row[0] == f"width {width}"
        assert row[1:3] == pytest.approx(at_best(cells[width], everyone))


def test_differences_and_their_intervals_are_those_of_the_rows(done: tuple[StudyFindings, Cells]) -> None:
    found, cells = done
    everyone, others = list(range(SEEDS)), [width for width in WIDTHS if width != 6]
    means, errors = [], []
    for width in others:
        means.append(100 * (at_best(cells[width], everyone)[1] - at_best(cells[6], everyone)[1]))
        without = 100 * (without_each(cells[width]) - without_each(cells[6]))
        errors.append((SEEDS - 1) / SEEDS * ((without - without.mean()) ** 2).sum())
    squared, freedom = moderated(SEEDS * np.array(errors), SEEDS - 1)
    factor = dunnett(len(others), freedom)
    for finding, width, mean, variance in zip(found.findings, others, means, squared, strict=True):
        reach = factor * math.sqrt(variance / SEEDS)
        assert finding.title == f"width {width}"
        assert finding.n == SEEDS
        assert finding.estimate.value == pytest.approx(mean)
        assert finding.estimate.high - mean == pytest.approx(reach, rel=3e-3)
        assert mean - finding.estimate.low == pytest.approx(reach, rel=3e-3)
