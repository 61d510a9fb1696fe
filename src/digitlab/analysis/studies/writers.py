"""Whose handwriting: what networks make of pupils' digits and of the Census staff's, and writer by writer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from digitlab.analysis.conditions import Condition, Evidence, by_label, spec_of
from digitlab.analysis.findings import (
    Axis,
    Estimate,
    Finding,
    Line,
    Lines,
    Picture,
    Point,
    StudyFindings,
    Table,
    three_figures,
)
from digitlab.analysis.statistics.clusters import design_factor, series_interval, writers_interval
from digitlab.analysis.statistics.intervals import geometric_interval, mean_interval
from digitlab.analysis.summary import (
    closeness_in_words,
    in_points,
    is_resolved,
    percent,
    point,
    points_in_words,
    study_findings,
)
from digitlab.data.writers import PUPILS, Writers

SIZE = Axis("training images", "log")
_KINDS = ("pupils", "staff")
_UNKNOWN = (
    "Who wrote the test images is not known here, so nothing can be said of writers; "
    "`digitlab data fetch mnist --writers` gets the files that say it."
)


@dataclass(frozen=True)
class _Test:
    """The test images: who wrote each, and which of them pupils wrote.

    labels: classes, [image]
    writer: [image]
    pupils: [image]
    """

    labels: Int[np.ndarray, "image"]
    writer: Int[np.ndarray, "image"]
    pupils: Bool[np.ndarray, "image"]

    def of(self, kind: str) -> Bool[np.ndarray, "image"]:
        """Which images are by `pupils`, by `staff`."""
        return self.pupils if kind == "pupils" else np.asarray(~self.pupils)


@dataclass(frozen=True)
class _Size:
    """One network at one size of the training set.

    wrong: which test images the network of each seed misread, [seed, image]
    """

    condition: Condition
    wrong: Bool[np.ndarray, "seed image"]

    @property
    def train_size(self) -> int:
        return spec_of(self.condition).train_size

    def errors(self, images: Bool[np.ndarray, "image"]) -> Float64[np.ndarray, "seed"]:
        """Of each seed on some of the images, a share."""
        return np.asarray(self.wrong[:, images].mean(axis=1))


@dataclass(frozen=True)
class _Network:
    """One network, in order of the number of images it was trained on."""

    name: str
    sizes: tuple[_Size, ...]

    @property
    def largest(self) -> _Size:
        return self.sizes[-1]


def find(evidence: Evidence) -> StudyFindings:
    """What the study says."""
    about, conditions = evidence.about, evidence.conditions
    if evidence.writers is None:
        return study_findings(
            about, conditions, answer=[_UNKNOWN], findings=[], pictures=[], tables=[], methods=[]
        )
    labels = np.frombuffer(evidence.labels, np.uint8)
    test = _Test(labels, evidence.writers.test_writer, evidence.writers.test_series == PUPILS)
    networks = _networks(evidence, labels)
    harder = [_harder(network, test) for network in networks]
    slopes = [_slopes(network, test) for network in networks if len(network.sizes) > 1]
    alike = [_alike(network, test) for network in networks]
    return study_findings(
        about,
        conditions,
        answer=[finding.verdict for finding in (*harder, *slopes, *alike[-1:])],
        findings=[*harder, *slopes, *alike],
        pictures=_pictures(networks, test),
        tables=[_table(network, test) for network in networks],
        methods=_methods(test, evidence.writers),
    )


def _networks(evidence: Evidence, labels: Int[np.ndarray, "image"]) -> list[_Network]:
    """Those of which every network of some size told the class of every image."""
    found = []
    for name, same in by_label(evidence.conditions, "network").items():
        sizes = [
            _Size(condition, _wrong(condition, evidence, labels))
            for condition in sorted(same, key=lambda condition: spec_of(condition).train_size)
            if condition.reports and all(run.key in evidence.predictions for run in condition.reports)
        ]
        if sizes:
            found.append(_Network(name, tuple(sizes)))
    return found


def _wrong(
    condition: Condition, evidence: Evidence, labels: Int[np.ndarray, "image"]
) -> Bool[np.ndarray, "seed image"]:
    given = [np.frombuffer(evidence.predictions[run.key], np.uint8) for run in condition.reports]
    return np.asarray(np.stack(given) != labels)


def _methods(test: _Test, writers: Writers) -> list[str]:
    are_new = not np.isin(writers.test_writer, writers.train_writer).any()
    counts = {kind: (len(np.unique(test.writer[test.of(kind)])), test.of(kind).sum()) for kind in _KINDS}
    (pupils, by_pupils), (staff, by_staff) = (counts[kind] for kind in _KINDS)
    return [
        f"Who wrote the test images is told by QMNIST (Yadav & Bottou 2019, arXiv 1905.10498): {pupils} "
        f"pupils wrote {by_pupils:,} of them, {staff} of the Census Bureau's staff {by_staff:,}."
        f"{' None of them wrote training images.' if are_new else ''}",
        "Intervals of errors and of their difference hold for new seeds and new writers: seeds crossed with "
        "writers, Satterthwaite's degrees of freedom. Intervals of slopes and ratios are Student's over "
        "seeds, each of which draws its own training images, on these test images.",
    ]


# ---- Findings ----


def _harder(network: _Network, test: _Test) -> Finding:
    """At the largest size: how much more often pupils' digits are misread."""
    size = network.largest
    difference = in_points(series_interval(size.wrong, test.writer, test.pupils))
    pupils, staff = (percent(float(size.errors(test.of(kind)).mean()), 2) for kind in _KINDS)
    conclusion = "whether either are harder is not resolved"
    if is_resolved(difference):
        conclusion = f"{_whose(difference)} digits are harder"
    sentence = (
        f"Trained on {size.train_size:,} images, {network.name} misreads {pupils} of the pupils' digits and "
        f"{staff} of the staff's: {conclusion} ({points_in_words(difference)}, for new writers and seeds)."
        f"{closeness_in_words(difference)}"
    )
    return Finding(
        title=f"Error on pupils' digits less that on staff's, {network.name}, {size.train_size:,} images",
        estimate=difference,
        unit="points",
        n=len(size.wrong),
        n_of="seeds",
        method="seeds crossed with writers, two kinds of writers; Satterthwaite's degrees of freedom",
        verdict=sentence,
    )


def _whose(difference: Estimate) -> str:
    """Of whom there is more, by the sign of pupils' less staff's."""
    return "pupils'" if difference.value > 0 else "the staff's"


def _slopes(network: _Network, test: _Test) -> Finding:
    """Whether more training images help pupils' digits more."""
    pupils, staff = (_exponents(network, test.of(kind)) for kind in _KINDS)
    with np.errstate(invalid="ignore"):
        difference = mean_interval(pupils - staff)
    first, last = network.sizes[0].train_size, network.largest.train_size
    sentence = f"From {first:,} to {last:,} images, {network.name}: "
    if np.isfinite(difference.value):
        left = [10 ** -float(exponents.mean()) for exponents in (pupils, staff)]
        sentence += (
            f"ten times as many leave {left[0]:.2f} of the errors on pupils' digits and {left[1]:.2f} of "
            "those on staff's; "
        )
    if is_resolved(difference):
        sentence += f"in proportion, more images help {_whose(difference)} digits more"
    else:
        sentence += "whether more images help either more is not resolved"
    sentence += f" (exponents differ by {difference})." if np.isfinite(difference.value) else "."
    sentence += closeness_in_words(difference)
    return Finding(
        title=f"Exponent of the error on pupils' digits less that on staff's, {network.name}",
        estimate=difference,
        unit="",
        n=len(pupils),
        n_of="draws",
        method="-slope of log error over log training images, least squares for each seed; Student's "
        "interval of the differences by seed, on these test images",
        verdict=sentence,
    )


def _exponents(network: _Network, images: Bool[np.ndarray, "image"]) -> Float64[np.ndarray, "seed"]:
    """How steeply each seed's error on some images falls: -d log error / d log training images."""
    with np.errstate(divide="ignore"):
        errors = np.log(np.stack([size.errors(images) for size in network.sizes]))  # [size, seed]
    x = np.log([size.train_size for size in network.sizes])
    with np.errstate(invalid="ignore"):  # -inf, where a network made no error
        return np.asarray(-((x - x.mean()) @ (errors - errors.mean(axis=0))) / ((x - x.mean()) ** 2).sum())


def _alike(network: _Network, test: _Test) -> Finding:
    """How much less an accuracy says because images by one writer are alike."""
    size = network.largest
    factors = [design_factor(row[None], test.writer) for row in size.wrong]
    factor = mean_interval(factors)
    images = size.wrong.shape[1]
    sentence = "Nothing varies between writers."
    if factor.value > 0:
        sentence = (
            f"Images by one writer are alike: the accuracy of {network.name} has "
            f"{three_figures(factor.value)} times the variance that it would have if every image were by "
            f"another writer, so {images:,} images tell as much of new writers as "
            f"{images / factor.value:,.0f} such would."
        )
    return Finding(
        title=f"Variance of an accuracy over writers, in that of independent images, {network.name}",
        estimate=factor,
        unit="",
        n=len(factors),
        n_of="seeds",
        method="design effect (Kish 1965) of each network, linearised ratio estimator over writers; "
        "Student's interval over seeds, on these writers",
        verdict=sentence,
    )


# ---- Pictures and tables ----


def _pictures(networks: Sequence[_Network], test: _Test) -> list[Picture]:
    if not networks:
        return []
    best = min(networks, key=lambda network: float(network.largest.wrong.mean()))
    return [_error_picture(best, test), _ratio_picture(networks, test), _writer_picture(best, test)]


def _above_zero(x: float, estimate: Estimate) -> Point:
    """A point whose interval can be drawn on an axis that has no 0."""
    return point(x, estimate) if estimate.low > 0 else Point(x, estimate.value)


def _error_picture(network: _Network, test: _Test) -> Lines:
    def line(kind: str) -> Line:
        images = test.of(kind)
        return Line(
            kind,
            tuple(
                _above_zero(size.train_size, writers_interval(size.wrong[:, images], test.writer[images]))
                for size in network.sizes
            ),
        )

    return Lines(
        name="error",
        title=f"Test error on pupils' and on staff's digits, {network.name}",
        caption=(
            f"Mean test error of {len(network.largest.wrong)} seeds with its 95 % interval for new writers "
            f"and new seeds, of {network.name}, the network of the fewest errors. Both axes are logarithmic."
        ),
        x=SIZE,
        y=Axis("test error", "log", is_share=True),
        lines=tuple(map(line, _KINDS)),
    )


def _ratio_picture(networks: Sequence[_Network], test: _Test) -> Lines:
    def ratio(size: _Size) -> Estimate:
        with np.errstate(divide="ignore", invalid="ignore"):
            return geometric_interval(size.errors(test.pupils) / size.errors(~test.pupils))

    return Lines(
        name="ratio",
        title="How many times as often pupils' digits are misread",
        caption=(
            "Error on pupils' digits over error on staff's, the geometric mean of seeds with its 95 % "
            "interval over seeds, on these test images. A falling line: more images help pupils' digits more."
        ),
        x=SIZE,
        y=Axis("error on pupils' digits / on staff's"),
        lines=tuple(
            Line(network.name, tuple(point(size.train_size, ratio(size)) for size in network.sizes))
            for network in networks
        ),
        rule=(1.0, "as often"),
    )


def _writer_picture(network: _Network, test: _Test) -> Lines:
    size = network.largest
    most = np.sort(_errors_of_writers(size.wrong, test.writer))[::-1]
    half = int(np.searchsorted(np.cumsum(most), most.sum() / 2)) + 1
    share = percent(half / len(most), 0)
    return Lines(
        name="writers",
        title=f"Test error by writer, {network.name}",
        caption=(
            f"Error on each writer's digits, mean of {len(size.wrong)} seeds with its 95 % interval over "
            f"seeds, {network.name} trained on {size.train_size:,} images; writers in order of it. The "
            f"{half} writers with the most errors, {share} of {len(most)}, have half of all errors."
        ),
        x=Axis("share of writers", is_share=True),
        y=Axis("test error", is_share=True),
        lines=tuple(_sorted_writers(kind, size, test) for kind in _KINDS),
    )


def _sorted_writers(kind: str, size: _Size, test: _Test) -> Line:
    images = test.of(kind)
    found = sorted(
        (mean_interval(of_writer) for of_writer in _by_writer(size.wrong[:, images], test.writer[images])),
        key=lambda estimate: estimate.value,
    )
    return Line(kind, tuple(point((i + 0.5) / len(found), estimate) for i, estimate in enumerate(found)))


def _by_writer(
    wrong: Bool[np.ndarray, "seed image"], writer: Int[np.ndarray, "image"]
) -> Float64[np.ndarray, "writer seed"]:
    """Error on each writer's images."""
    numbers, place, counts = np.unique(writer, return_inverse=True, return_counts=True)
    totals = [np.bincount(place, row, len(numbers)) for row in wrong]
    return np.asarray((np.stack(totals) / counts).T)


def _errors_of_writers(
    wrong: Bool[np.ndarray, "seed image"], writer: Int[np.ndarray, "image"]
) -> Float64[np.ndarray, "writer"]:
    """How many images of each writer are misread, mean over seeds."""
    _, place = np.unique(writer, return_inverse=True)
    return np.bincount(place, wrong.mean(axis=0))


def _table(network: _Network, test: _Test) -> Table:
    rows = []
    for size in network.sizes:
        ends = []
        for kind in _KINDS:
            images = test.of(kind)
            error = writers_interval(size.wrong[:, images], test.writer[images])
            ends += [error.value, error.low, error.high]
        difference = in_points(series_interval(size.wrong, test.writer, test.pupils))
        rate = spec_of(size.condition).optimiser.learning_rate
        rows.append((size.train_size, rate, *ends, difference.value, difference.low, difference.high))
    return Table(
        title=f"Error on pupils' and on staff's digits, {network.name}",
        columns=(
            *("images", "rate", "pupils' error", "from", "to", "staff's error", "from", "to"),
            *("points apart", "from", "to"),
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval for new writers and new seeds.",
    )
