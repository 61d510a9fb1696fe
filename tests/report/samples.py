"""Made-up findings that look like real ones, and others that try to do harm."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitlab.analysis.findings import (
    Axis,
    Effect,
    Entry,
    Estimate,
    Finding,
    Forest,
    HeatMap,
    Line,
    Lines,
    Picture,
    Point,
    Ranked,
    Ranking,
    Square,
    State,
    StudyFindings,
    Table,
)
from digitlab.handout import Comparison, compare_networks, handout_runs
from digitlab.models.inspection import Digit, Inspection
from digitlab.models.missed import Missed, MissedDigit
from digitlab.report.document import Report
from digitlab.report.opening import opening
from digitlab.result import RunResult
from tests.analysis import results

RATE = Axis("learning rate", "log")
BATCH = Axis("batch size", "log")
ERROR = Axis("validation error", "log", is_share=True)

HOSTILE = '<script>alert("x")</script> & \x1b[31m\x00 "quoted" \'] }} {{ 7*7 }} url(http://evil.example/) Größe 数字 ∞'


def heat_map() -> HeatMap:
    rates, batches = [2.0**k for k in range(-9, 4)], [float(2**k) for k in range(3, 13)]
    random = np.random.default_rng(0)
    error = {}
    for batch in batches:
        best = min(2.0 ** (np.log2(batch) / 1.6 - 6.2), 1.2)
        for rate in rates:
            off = math.log2(rate / best)
            error[rate, batch] = (
                0.021 * (1 + 0.09 * off**2) * (1 + 0.004 * batch**0.55) * random.uniform(0.97, 1.03)
            )
    broken: dict[tuple[float, float], State] = {
        (r, b): "diverged" if r * 30 > b * 8 else "collapsed" for r, b in error if r > 0.17 * b**0.45
    }
    fine = {cell: value for cell, value in error.items() if cell not in broken}
    best_at = min(fine, key=lambda cell: fine[cell])
    squares = tuple(_square(rate, batch, error, broken, best_at) for rate, batch in error)
    ridge = tuple(Point(min(2.0 ** (math.log2(b) / 1.6 - 6.2), 1.2), b) for b in batches)
    edge = tuple(Point(0.17 * b**0.45 * 1.1, b) for b in batches)
    return HeatMap(
        "grid",
        "Validation error over batch size and learning rate",
        "One network of 100 hidden units a cell, mean of 3 seeds, 5 epochs. The best learning rate grows with the "
        "batch, first in proportion, then less, and stops near 1.",
        RATE,
        BATCH,
        ERROR,
        squares,
        (Line("best rate for each batch size", ridge, "fitted"), Line("edge of stability", edge, "fitted")),
    )


def _square(
    rate: float,
    batch: float,
    error: dict[tuple[float, float], float],
    broken: dict[tuple[float, float], State],
    best_at: tuple[float, float],
) -> Square:
    cell = rate, batch
    if cell in broken:
        return Square(rate, batch, math.nan, broken[cell])
    return Square(rate, batch, error[cell], "best" if cell == best_at else "fine")


def error_curve() -> Lines:
    sizes = [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000]
    random = np.random.default_rng(1)
    lines = []
    for name, alpha, beta, gamma in (
        ("linear", 1.2, 0.42, 0.074),
        ("1 × 100", 2.9, 0.51, 0.008),
        ("2 × 100", 3.3, 0.53, 0.007),
    ):
        errors = [alpha * n**-beta + gamma for n in sizes]
        seed_errors = [error * random.uniform(0.97, 1.03) for error in errors]
        measured = tuple(
            Point(float(n), e, e * 0.95, e * 1.05) for n, e in zip(sizes, seed_errors, strict=True)
        )
        lines.append(Line(name, measured))
        lines.append(
            Line(
                f"{name}, power law",
                tuple(Point(float(n), alpha * n**-beta + gamma) for n in np.geomspace(500, 16000, 30)),
                "fitted",
            )
        )
        lines.append(
            Line(
                f"{name}, predicted",
                tuple(Point(float(n), alpha * n**-beta + gamma) for n in np.geomspace(16000, 60000, 12)),
                "predicted",
            )
        )
    return Lines(
        "curve",
        "Test error falls as a power of the number of training images",
        "Points: mean of 8 seeds with 95 % intervals. Lines: fits to sizes up to 16,000; dashed: what they predict.",
        Axis("training images", "log"),
        Axis("test error", "log", is_share=True),
        tuple(lines),
    )


def few_lines() -> Lines:
    rates = [2.0**k for k in range(-9, 1, 2)]
    lines = [
        Line(
            f"batch {b}",
            tuple(
                Point(
                    r,
                    0.9 + 0.06 * math.exp(-((math.log2(r / b) + 9 - 1.2 * i) ** 2) / 30),
                    *((0.9, 0.97) if i == 0 else ()),
                )
                for r in rates
            ),
        )
        for i, b in enumerate((8, 64, 512))
    ]
    figures = Line("published", tuple(Point(r, 0.93 + 0.003 * k) for k, r in enumerate(rates)), "reference")
    return Lines(
        "accuracy",
        "Accuracy by learning rate",
        "Three batch sizes.",
        RATE,
        Axis("test accuracy", is_share=True),
        (*lines, figures),
        rule=(0.9279, "the handout's 92.79 %"),
    )


def category_lines() -> Lines:
    depths = ["0 hidden", "1 × 1024", "2 × 588", "4 × 425"]
    ys = [0.924, 0.9809, 0.9805, 0.9781]
    line = Line(
        "mean of 10 seeds", tuple(Point(d, y, y - 0.001, y + 0.001) for d, y in zip(depths, ys, strict=True))
    )
    return Lines(
        "depth",
        "Depth at equal parameters",
        "About 0.85 million parameters each.",
        Axis("network", "category"),
        Axis("test accuracy", is_share=True),
        (line,),
    )


def forest() -> Forest:
    groups = {
        "Optimiser": ["momentum 0.9", "Adam", "weight decay 10⁻⁴"],
        "Schedule": ["cosine", "step", "warm-up of one epoch"],
        "Data": ["shift by ±2 pixels", "standardised pixels"],
        "Initialisation": ["He normal", "orthogonal"],
        "Network": ["second hidden layer", "twice the units"],
    }
    random = np.random.default_rng(2)
    effects = []
    for group, labels in groups.items():
        for label in labels:
            value, half = random.normal(0.002, 0.004), random.uniform(0.0005, 0.003)
            effects.append(Effect(label, group, Estimate(value, value - half, value + half)))
    return Forest(
        "effects",
        "What each change does to test accuracy",
        "Difference to the baseline at the same seeds, 95 % intervals of Student's t over 8 seeds.",
        Axis("difference in test accuracy", is_share=True),
        tuple(effects),
        0.002,
    )


def confusion() -> tuple[tuple[int, ...], ...]:
    random = np.random.default_rng(3)
    counts = random.poisson(2.5, (10, 10)) * (random.random((10, 10)) > 0.2)
    np.fill_diagonal(counts, random.integers(860, 1120, 10))
    return tuple(tuple(int(n) for n in row) for row in counts)


def _digit(random: np.random.Generator) -> Digit:
    y, x = np.mgrid[0:28, 0:28]
    cx, cy, r = random.uniform(11, 16), random.uniform(11, 16), random.uniform(5, 9)
    ring = np.exp(-((np.hypot(x - cx, (y - cy) * 0.8) - r) ** 2) / 2.5) * 255
    probabilities = random.dirichlet(np.full(10, 0.2))
    return Digit(
        int(1_000 * cx),
        tuple(tuple(int(v) for v in row) for row in ring),
        int(random.integers(10)),
        tuple(map(float, probabilities)),
    )


def example() -> Inspection:
    random = np.random.default_rng(4)
    y, x = np.mgrid[0:28, 0:28]
    weights = []
    for _ in range(32):
        w = sum(
            random.normal()
            * np.exp(-((x - random.uniform(4, 24)) ** 2 + (y - random.uniform(4, 24)) ** 2) / 20)
            for _ in range(6)
        ) + random.normal(0, 0.08, (28, 28))
        weights.append(tuple(tuple(float(v) for v in row) for row in w))
    accuracy = {
        "training": (0.991, *(0.98 + 0.001 * k for k in range(10))),
        "validation": (0.977, *(0.97 + 0.001 * k for k in range(10))),
        "test": (0.979, *(0.969 + 0.0012 * k for k in range(10))),
    }
    return Inspection(
        "784-100-10, as the exercise trains it",
        "One hidden layer of 100 units, plain SGD at rate 1/4, batch 32, 15 epochs, seed 0: 97.9 % of the test images.",
        "3f9c2d41b7a85e60",
        tuple("0123456789"),
        accuracy,
        confusion(),
        tuple(_digit(random) for _ in range(20)),
        tuple(weights),
    )


def missed() -> Missed:
    random = np.random.default_rng(5)
    first, second = _digit(random), _digit(random)
    digits = (
        MissedDigit(first.index, first.image, 4, ((9, 5),)),
        MissedDigit(second.index, second.image, 5, ((6, 3), (3, 2))),
    )
    return Missed("784-100-10", tuple("0123456789"), 5, 10_000, 2, 0.01, digits)


def study(*pictures: Picture, name: str = "batch-and-rate") -> StudyFindings:
    return StudyFindings(
        name,
        "Batch size and learning rate",
        "How must the learning rate change when the batch size does?",
        "full: 10 batch sizes × 13 rates × 3 seeds",
        (
            "The best rate grows in proportion to the batch up to about 128, then more slowly, and not at all beyond 1,000.",
            "Neither the linear rule nor the square-root rule holds throughout.",
        ),
        (
            Finding(
                "Exponent of the best rate over the batch size, 8 to 4,096",
                Estimate(0.6231, 0.5817, 0.6644),
                "",
                3,
                "seeds",
                "Slope of log rate on log batch through the ridge of a quadratic surface; interval by Student's t over seeds (Shallue et al. 2018 search likewise).",
                "Between the square-root rule (0.5) and the linear rule (1): both are excluded.",
            ),
            Finding(
                "Critical batch size",
                Estimate(912.4, 640.2, 1318.0),
                "images",
                3,
                "seeds",
                "Fit of McCandlish et al. 2018, eq. 2.10.",
                "About 900, with wide limits.",
            ),
            Finding(
                "Best validation error",
                Estimate(0.0206),
                "",
                1,
                "seed",
                "The grid's best cell.",
                "No interval: chosen as the best of many, it is optimistic.",
            ),
        ),
        pictures or (heat_map(), few_lines()),
        (
            Table(
                "Best rate for each batch size",
                ("batch size", "best rate", "validation error", "edge of the grid"),
                tuple(
                    (2**k, 2.0 ** min(k - 9, 0), 0.0206 + 0.0007 * k, "yes" if k > 8 else None)
                    for k in range(3, 13)
                ),
                "An optimum at the edge of the grid is a bound, not an optimum.",
            ),
        ),
        (
            "Plain SGD on 50,000 images, 5 epochs; rates tuned on seeds 0–2, reported on seeds 3–5.",
            "A network collapsed if it ended at chance after a blow-up.",
        ),
        390,
        "0–2",
    )


def exercise_results(seeds: int = 1, *, epochs: int = 15, data: str = "mnist") -> list[RunResult]:
    """The exercise's networks, near the handout's figures: seed 1 lies 1 % above seed 0, seed 2 twice that, …"""
    found = []
    for run in handout_runs():
        data_spec = results.DATA.model_copy(update={"name": data})
        spec = results.spec(data=data_spec, hidden=run.hidden, validation_size=0)
        for seed in range(seeds):
            losses = [loss * (1 + 0.01 * seed) for loss in run.training_loss[:epochs]]
            steps = [600 * (epoch + 1) for epoch in range(epochs)]
            curve: dict[str, Sequence[float]] = {"step": steps, "training_loss": losses}
            accuracy = run.accuracy + 0.001 * (seed - 1)
            found.append(results.run(spec, seed, 0.01, accuracy=accuracy, curve=curve))
    return found


def exercise(seeds: int = 1, *, epochs: int = 15, data: str = "mnist") -> Comparison:
    compared = compare_networks(exercise_results(seeds, epochs=epochs, data=data))
    assert compared is not None
    return compared


def report() -> Report:
    studies = (
        study(),
        study(error_curve(), category_lines(), name="data"),
        study(forest(), name="changes"),
    )
    return Report(
        "digitlab: what batch size, data and depth do",
        (
            "Multilayer perceptrons on MNIST, trained by the thousand, and what they say about three questions that every course asks.",
            "Every number carries its interval, its n and its method.",
        ),
        (
            Table(
                "The exercise's networks beside the handout",
                ("network", "handout", "here, mean", "here, sd", "verdict"),
                (
                    ("linear", 0.9090, 0.9085, 0.0005, "inside the spread"),
                    ("1 × 100", 0.9279, 0.9282, 0.0012, "inside the spread"),
                    ("2 × 100", 0.9367, 0.9351, 0.0019, "inside the spread"),
                ),
            ),
            Table(
                "Published results",
                ("network", "test error, %", "year", "source"),
                (
                    ("300 HU, MSE", 4.7, 1998, "LeCun et al."),
                    ("800 HU, cross-entropy", 1.6, 2003, "Simard, Steinkraus & Platt"),
                ),
            ),
            Table(
                "Where the results come from",
                ("what", "value"),
                (("digitlab", "0.3.0"), ("torch", "2.6.0"), ("processor", "AMD EPYC 7B13")),
            ),
        ),
        studies,
        (example(),),
        ("digitlab study run batch-and-rate --scale full", "digitlab report --output report.html"),
        "Results come from two types of processor; last digits may differ.",
        opening(exercise(), studies),
        missed(),
    )


def hostile_pictures() -> tuple[Picture, ...]:
    nan = math.nan
    x, y, value = (Axis(HOSTILE, "log"), Axis(HOSTILE, "log"), Axis(HOSTILE, "log"))
    line = Line(HOSTILE, (Point(0.25, 0.5, 0.1, nan),))
    holes = Line("holes", (Point(1.0, nan), Point(-1.0, 0.3), Point(nan, 0.2), Point(math.inf, 1.0)))
    return (
        Lines(HOSTILE, HOSTILE, HOSTILE, x, y, (line, holes, Line("empty", ())), rule=(nan, HOSTILE)),
        Lines("none", "Nothing", "", Axis("x"), Axis("y"), ()),
        HeatMap(
            HOSTILE,
            HOSTILE,
            HOSTILE,
            x,
            y,
            value,
            (Square(1.0, 1.0, nan, "collapsed"), Square(2.0, 1.0, nan, "diverged")),
            (line,),
        ),
        HeatMap(
            "texts",
            HOSTILE,
            "",
            Axis("x", "category"),
            Axis("y", "category"),
            value,
            (Square(HOSTILE, HOSTILE, 0.0), Square("b", HOSTILE, nan)),
            text=True,
        ),
        HeatMap("no cells", "No cells", "", x, y, value, ()),
        Forest(
            HOSTILE,
            HOSTILE,
            HOSTILE,
            Axis(HOSTILE),
            (Effect(HOSTILE, HOSTILE, Estimate(nan)), Effect("one", "", Estimate(0.1))),
        ),
        Forest("no effects", "No effects", "", Axis("x"), (), 0.1),
        Ranking(
            HOSTILE,
            HOSTILE,
            HOSTILE,
            Axis(HOSTILE, "log"),
            (
                Ranked(HOSTILE, (Entry(HOSTILE, Estimate(nan)),)),
                Ranked("b", (Entry(HOSTILE, Estimate(2.0, -1.0, 3.0)),)),
                Ranked("none", ()),
            ),
            (HOSTILE,),
        ),
        Ranking("no entries", "No entries", "", Axis("x", "log"), (), ("ours",)),
    )


def hostile_report() -> Report:
    empty = Table(HOSTILE, (), ())
    odd = Table(HOSTILE, (HOSTILE, "b"), ((HOSTILE, math.nan), (None, math.inf)), HOSTILE)
    finding = Finding(HOSTILE, Estimate(math.nan), HOSTILE, 0, HOSTILE, HOSTILE, HOSTILE)
    bad = StudyFindings(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        (HOSTILE,),
        (finding,),
        hostile_pictures(),
        (empty, odd),
        (HOSTILE,),
        0,
        HOSTILE,
    )
    digit = Digit(0, tuple((0,) * 28 for _ in range(28)), 1, (math.nan, 0.5))
    weights = (tuple((math.nan,) * 28 for _ in range(28)), tuple((0.0,) * 28 for _ in range(28)))
    shown = Inspection(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        (HOSTILE, "b"),
        {HOSTILE: (math.nan, -0.0, 1.0)},
        ((0, 0), (0, 0)),
        (digit,),
        weights,
    )
    bare = Inspection("bare", "", "", ("a", "b"), {}, ((1, 0), (0, 2)), (), ())
    studies = (bad, replace(bad, pictures=bad.pictures[:1]))
    return Report(
        HOSTILE,
        (HOSTILE,),
        (empty, odd),
        studies,
        (shown, bare),
        (HOSTILE,),
        HOSTILE,
        opening(None, studies),
        Missed(HOSTILE, (HOSTILE, "b"), 5, 9, 1, 0.5, (MissedDigit(3, digit.image, 0, ((1, 5),)),)),
    )
