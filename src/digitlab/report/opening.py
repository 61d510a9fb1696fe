"""What a report says first: the exercise's networks beside the handout, then an answer to each question.

One value in one order for the page, the terminal and the notebook, which only lay it out.
"""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from digitlab.analysis.findings import (
    Axis,
    Entry,
    Estimate,
    Finding,
    Line,
    Lines,
    Picture,
    Point,
    Ranked,
    Ranking,
    StudyFindings,
)
from digitlab.handout import EPOCHS, Z_LIMIT, ComparedNetwork, Comparison, Spread
from digitlab.report.numbers import interval, number
from digitlab.report.published import PUBLISHED, Published

BAND = 2.0
"""The bands of losses and accuracies reach so many standard deviations to both sides of the mean."""
_INTERVAL = f"the mean over seeds ± {BAND:g} standard deviations"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_DATA_NAMES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}


@dataclass(frozen=True)
class Answer:
    """One study's answer: a sentence, how sure it is, and the picture that shows it.

    name:    of the study
    picture: None where the study has none
    """

    name: str
    title: str
    question: str
    sentence: str
    how_sure: str
    picture: Picture | None


@dataclass(frozen=True)
class Networks:
    """The exercise's networks beside the handout.

    verdict:  whether the handout is reproduced, in a sentence
    legend:   what the pictures of losses show, in words
    losses:   a picture for each network
    accuracy: test errors of ours, the handout's and published ones on one axis
    """

    verdict: str
    legend: str
    losses: tuple[Lines, ...]
    accuracy: Ranking


@dataclass(frozen=True)
class Opening:
    """The networks, where there are any, and an answer for each study, in the order of the studies."""

    networks: Networks | None
    answers: tuple[Answer, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Those that stand nowhere else: the networks'."""
        return (*self.networks.losses, self.networks.accuracy) if self.networks else ()


EMPTY = Opening(None, ())
"""Of a report without networks and without studies."""


def opening(comparison: Comparison | None, studies: Sequence[StudyFindings]) -> Opening:
    """What comes first, of the exercise's networks and of the studies' findings."""
    return Opening(networks_of(comparison) if comparison else None, tuple(map(answer_of, studies)))


def data_name(name: str) -> str:
    """A data set's name as titles write it."""
    return _DATA_NAMES.get(name, name)


# ---- Questions ----


def answer_of(study: StudyFindings) -> Answer:
    """A study's headline; without one, the first sentence of its answer and its first picture."""
    pictures = {picture.name: picture for picture in reversed(study.pictures)}
    first = study.pictures[0] if study.pictures else None
    if study.headline is None:
        sentence = first_sentence(study.answer[0]) if study.answer else "No answer was found."
        return Answer(study.name, study.title, study.question, sentence, _how_sure(study), first)
    shown = pictures.get(study.headline.picture, first)
    said = study.headline
    return Answer(study.name, study.title, study.question, said.sentence, said.how_sure, shown)


def first_sentence(text: str) -> str:
    """A text up to the end of its first sentence."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def _how_sure(study: StudyFindings) -> str:
    """On what the first answer rests: its finding's interval, else the study's runs."""
    said = [finding for finding in study.findings if finding.verdict in study.answer[:1]]
    if said and said[0].estimate.has_interval:
        return _interval_in_words(said[0])
    return f"{study.run_count:,} runs; {study.seeds}"


def _interval_in_words(finding: Finding) -> str:
    return f"95 % interval {interval(finding.estimate, finding.unit)}, {finding.n} {finding.n_of}"


# ---- Networks ----


def networks_of(comparison: Comparison) -> Networks:
    """The exercise's networks beside the handout, as they are shown."""
    data = data_name(comparison.results[0].spec.data.name)
    return Networks(
        verdict=verdict(comparison),
        legend=_legend(comparison),
        losses=tuple(_losses(network, comparison, data) for network in comparison.networks),
        accuracy=_accuracy(comparison, data),
    )


def verdict(comparison: Comparison) -> str:
    """Whether the handout's figures lie inside the spread over seeds, in a sentence."""
    count, outside = len(comparison.figures), comparison.outside
    name, farthest = comparison.farthest
    spread = f"the spread of {comparison.spread.seeds} seeds"
    ours = "" if comparison.has_own_spread else ", and ours,"
    if not outside:
        all_figures = f"All {count} of the handout's figures that can be compared{ours}"
        return (
            f"{all_figures} lie inside {spread}: the handout's farthest, {farthest.label} of {name}, lies "
            f"{abs(farthest.z):.1f} standard deviations from the mean ({Z_LIMIT:g} are allowed)."
        )
    named = "; ".join(f"{figure.label} of {network}" for network, figure in outside)
    return (
        f"Of {count} of the handout's figures that can be compared{ours} {len(outside)} "
        f"{'lies' if len(outside) == 1 else 'lie'} outside {spread} (more than {Z_LIMIT:g} standard "
        f"deviations from the mean): {named}."
    )


def architecture(hidden: Sequence[int]) -> str:
    """A network in words: `no hidden layer`, `2 hidden layers of 100`."""
    if not hidden:
        return "no hidden layer"
    layers = f"{len(hidden)} hidden layer{'' if len(hidden) == 1 else 's'}"
    sizes = f"{hidden[0]}" if len(set(hidden)) == 1 else "-".join(map(str, hidden))
    return f"{layers} of {sizes}"


def _ours(comparison: Comparison) -> str:
    """The name of our line."""
    if comparison.seeds == 1:
        return f"ours, seed {comparison.results[0].spec.seed}"
    return f"ours, mean of {comparison.seeds} seeds"


def _whose_spread(comparison: Comparison) -> str:
    seeds = comparison.spread.seeds
    return (
        f"these {seeds} seeds" if comparison.has_own_spread else f"{seeds} other seeds, measured beforehand"
    )


def _legend(comparison: Comparison) -> str:
    return (
        f"Mean training loss of each epoch: the line is {_ours(comparison)}; the circles are the handout's "
        f"{EPOCHS} points; the band is the mean ± {BAND:g} standard deviations of "
        f"{_whose_spread(comparison)}."
    )


def _losses(network: ComparedNetwork, comparison: Comparison, data: str) -> Lines:
    """The curve of one network, on an axis that all three share."""
    curves = [result.curve.training_loss for result in network.results]
    spreads = [figure.spread for figure in network.losses]
    points = tuple(
        _banded(epoch, statistics.fmean(losses), spreads[epoch] if epoch < len(spreads) else None)
        for epoch, losses in enumerate(zip(*curves, strict=True))
    )
    theirs = tuple(Point(float(epoch), loss) for epoch, loss in enumerate(network.handout.training_loss))
    spec = network.results[0].spec
    words = architecture(spec.hidden)
    return Lines(
        name=f"loss-{spec.network_name}",
        title=f"{words[0].upper()}{words[1:]}, {data}",
        caption=_accuracies(network),
        x=Axis("epoch"),
        y=Axis("training loss", covers=(0.0, _highest_loss(comparison))),
        lines=(
            Line(_ours(comparison), points, "measured", drawn="line alone"),
            Line("the handout", theirs, "reference", drawn="points alone"),
        ),
        interval=_INTERVAL,
    )


def _highest_loss(comparison: Comparison) -> float:
    """Of ours, of the handout's and of the bands, over all networks."""
    theirs = [loss for network in comparison.networks for loss in network.handout.training_loss]
    ours = [loss for result in comparison.results for loss in result.curve.training_loss]
    spreads = [figure.spread for network in comparison.networks for figure in network.losses]
    bands = [spread.mean + BAND * spread.sd for spread in spreads]
    return max(loss for loss in (*theirs, *ours, *bands) if math.isfinite(loss))


def _banded(epoch: int, loss: float, spread: Spread | None) -> Point:
    if spread is None:
        return Point(float(epoch), loss)
    return Point(float(epoch), loss, spread.mean - BAND * spread.sd, spread.mean + BAND * spread.sd)


def _accuracies(network: ComparedNetwork) -> str:
    epochs = len(network.results[0].curve.training_loss)
    after = "" if epochs == EPOCHS else f" after {epochs} epoch{'' if epochs == 1 else 's'}"
    return (
        f"Test accuracy {_percent(_mean_accuracy(network))}{after}, "
        f"the handout's {_percent(network.handout.accuracy)}."
    )


def _mean_accuracy(network: ComparedNetwork) -> float:
    return statistics.fmean(result.metrics.test_accuracy for result in network.results)


def _percent(share: float) -> str:
    return f"{number(100 * share, decimals=2)} %"


def _accuracy(comparison: Comparison, data: str) -> Ranking:
    """Test errors, the largest first: ours and the handout's in a row of their own for each network."""
    rows = [(_error(network).value, _row(network)) for network in comparison.networks]
    if data == "MNIST":
        rows += [(result.error / 100, _published_row(result)) for result in PUBLISHED]
    rows.sort(key=lambda row: -row[0] if math.isfinite(row[0]) else -math.inf)
    return Ranking(
        name="accuracy",
        title=f"Test accuracy on {data}",
        caption=(
            f"Errors on the test images, left is better: {_ours(comparison)} (the bar: mean ± {BAND:g} "
            f"standard deviations of {_whose_spread(comparison)}), the handout's, and published "
            "networks, named by their hidden layers. Marks say what else these used; sources are in the "
            "table of published results."
        ),
        x=Axis("test error", "log", is_share=True),
        rows=tuple(row for _, row in rows),
        own=("ours", "the handout"),
        interval=_INTERVAL,
    )


def _row(network: ComparedNetwork) -> Ranked:
    error, theirs = _error(network), 1 - network.handout.accuracy
    name = network.results[0].spec.network_name
    label = f"{name}: ours {_percent(error.value)}, handout {_percent(theirs)}"
    return Ranked(label, (Entry("ours", error), Entry("the handout", Estimate(theirs))))


def _published_row(result: Published) -> Ranked:
    return Ranked(f"{result.network}, {result.brief}", (Entry(result.used, Estimate(result.error / 100)),))


def _error(network: ComparedNetwork) -> Estimate:
    error = 1 - _mean_accuracy(network)
    if network.accuracy is None:
        return Estimate(error)
    spread = network.accuracy.spread
    middle = 1 - spread.mean
    return Estimate(error, middle - BAND * spread.sd, middle + BAND * spread.sd)
