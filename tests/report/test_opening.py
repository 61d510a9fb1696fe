"""What a report says first: networks beside the handout, published errors, an answer to each question."""

import math
from dataclasses import replace

import pytest

from digitlab.analysis.findings import Entry, Estimate, Headline, Lines, Ranking
from digitlab.handout import compare_networks, handout_runs, measured_spread
from digitlab.report.opening import (
    answer_of,
    architecture,
    data_name,
    first_sentence,
    networks_of,
    opening,
    verdict,
)
from digitlab.report.published import PUBLISHED, published_table
from digitlab.report.tables import table_of
from tests.report import samples


def points(picture: Lines, nth: int) -> list[tuple[float, float]]:
    return [(float(point.x), point.y) for point in picture.lines[nth].points]


def entries(ranking: Ranking) -> list[tuple[str, Entry]]:
    return [(row.label, entry) for row in ranking.rows for entry in row.entries]


# --- networks ---


def test_each_network_s_picture_holds_our_curve_the_band_and_the_handout_s_15_points() -> None:
    networks = networks_of(samples.exercise())
    assert len(networks.losses) == 3
    for picture, run in zip(networks.losses, handout_runs(), strict=True):
        assert picture.lines[1].name == "the handout"
        assert points(picture, 1) == list(zip(map(float, range(15)), run.training_loss, strict=True))
        assert picture.lines[0].name == "ours, seed 0"
        assert points(picture, 0) == points(picture, 1)  # the samples' seed 0 is the handout's
        spread = measured_spread(run.name)["loss at epoch 3"]
        point = picture.lines[0].points[3]
        assert (point.low, point.high) == (spread.mean - 2 * spread.sd, spread.mean + 2 * spread.sd)
        assert "MNIST" in picture.title
    assert [picture.title for picture in networks.losses] == [
        "No hidden layer, MNIST",
        "1 hidden layer of 100, MNIST",
        "2 hidden layers of 100, MNIST",
    ]
    assert networks.losses[1].caption == "Test accuracy 92.69 %, the handout's 92.79 %."
    assert "24 other seeds, measured beforehand" in networks.legend


def test_all_three_share_the_axis_of_losses() -> None:
    spread = measured_spread("twoHiddenLayers")["loss at epoch 0"]
    highest = spread.mean + 2 * spread.sd  # above all curves
    assert {picture.y.covers for picture in networks_of(samples.exercise()).losses} == {(0.0, highest)}


def test_five_seeds_make_the_band_themselves() -> None:
    networks = networks_of(samples.exercise(5))
    run, picture = handout_runs()[1], networks.losses[1]
    assert picture.lines[0].name == "ours, mean of 5 seeds"
    point = picture.lines[0].points[0]
    # Seeds 0 … 4 lie 0, 1, 2, 3, 4 % above the handout: mean 2 %, standard deviation √2.5 %.
    loss = run.training_loss[0]
    assert point.y == pytest.approx(1.02 * loss)
    assert point.high == pytest.approx(1.02 * loss + 2 * math.sqrt(2.5) * 0.01 * loss)
    assert point.low == pytest.approx(1.02 * loss - 2 * math.sqrt(2.5) * 0.01 * loss)
    assert "these 5 seeds" in networks.legend
    # Accuracies of the seeds: -0.1, 0, 0.1, 0.2, 0.3 points off the handout's.
    assert picture.caption == "Test accuracy 92.89 %, the handout's 92.79 %."
    row = next(row for row in networks.accuracy.rows if row.label.startswith("784-100-10:"))
    ours = row.entries[0]
    assert ours.estimate.value == pytest.approx(0.0711)
    assert ours.estimate.high - ours.estimate.low == pytest.approx(4 * math.sqrt(2.5) * 0.001)


def test_other_numbers_of_epochs_are_told() -> None:
    networks = networks_of(samples.exercise(epochs=1))
    assert [len(picture.lines[0].points) for picture in networks.losses] == [1, 1, 1]
    assert [len(picture.lines[1].points) for picture in networks.losses] == [15, 15, 15]
    assert "after 1 epoch, the handout's" in networks.losses[0].caption
    ours = [entry for _, entry in entries(networks.accuracy) if entry.kind == "ours"]
    assert len(ours) == 3
    assert not any(entry.estimate.has_interval for entry in ours)


def test_published_errors_ours_and_the_handout_s_are_on_one_axis() -> None:
    ranking = networks_of(samples.exercise()).accuracy
    published = [(label, entry.kind, entry.estimate.value) for label, entry in entries(ranking)]
    for result in PUBLISHED:
        assert (f"{result.network}, {result.brief}", result.used, result.error / 100) in published
    pairs = [row.entries for row in ranking.rows if len(row.entries) == 2]
    assert [[entry.kind for entry in pair] for pair in pairs] == [["ours", "the handout"]] * 3
    assert [ours.estimate.value for ours, _ in pairs] == pytest.approx([0.092, 0.0731, 0.0643])
    assert [theirs.estimate.value for _, theirs in pairs] == pytest.approx([0.091, 0.0721, 0.0633])
    assert len(ranking.rows) == len(PUBLISHED) + 3
    errors = [row.entries[0].estimate.value for row in ranking.rows]
    assert errors == sorted(errors, reverse=True)


def test_fashion_mnist_is_called_so_and_has_no_published_errors_of_mnist() -> None:
    networks = networks_of(samples.exercise(data="fashion-mnist"))
    assert [picture.title.endswith(", Fashion-MNIST") for picture in networks.losses] == [True] * 3
    assert "on Fashion-MNIST" in networks.accuracy.title
    assert {entry.kind for _, entry in entries(networks.accuracy)} == {"ours", "the handout"}
    assert data_name("my-digits") == "my-digits"


def test_the_verdict_counts_what_lies_inside_and_names_what_does_not() -> None:
    comparison = samples.exercise()
    assert verdict(comparison).startswith(
        "All 48 of the handout's figures that can be compared, and ours, lie inside the spread of 24 seeds"
    )
    runs = samples.exercise_results()
    curve = runs[0].curve.model_copy(update={"training_loss": (9.0, *runs[0].curve.training_loss[1:])})
    strange = compare_networks([runs[0].model_copy(update={"curve": curve}), *runs[1:]])
    assert strange is not None
    assert verdict(strange) == (
        "Of 48 of the handout's figures that can be compared, and ours, 1 lies outside the spread of 24 seeds "
        "(more than 4 standard deviations from the mean): loss at epoch 0 of linearRegression."
    )


def test_only_seeds_that_all_networks_have_are_compared() -> None:
    runs = samples.exercise_results(3)
    without = [run for run in runs if not (run.spec.hidden == (100,) and run.spec.seed == 1)]
    compared = compare_networks(reversed(without))
    assert compared is not None
    assert [[run.spec.seed for run in network.results] for network in compared.networks] == [[0, 2]] * 3
    assert compare_networks([]) is None
    assert compare_networks([runs[0], runs[-1]]) is None  # no seed in common


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        ((), "no hidden layer"),
        ((100,), "1 hidden layer of 100"),
        ((100, 100), "2 hidden layers of 100"),
        ((300, 100), "2 hidden layers of 300-100"),
    ],
)
def test_architectures_in_words(hidden: tuple[int, ...], words: str) -> None:
    assert architecture(hidden) == words


# --- published results ---


def test_published_results_have_sources_and_fall() -> None:
    assert len(PUBLISHED) == 28
    assert all(result.source and result.brief for result in PUBLISHED)
    errors = [result.error for result in PUBLISHED]
    assert errors == sorted(errors, reverse=True)
    found = {(result.network, result.used, result.error) for result in PUBLISHED}
    assert ("300-100", "plain", 3.05) in found
    assert ("800", "distorted images", 0.7) in found
    assert ("2500-2000-1500-1000-500", "distorted images", 0.35) in found
    assert ("25 × 800", "committee", 0.39) in found
    table = published_table()
    assert [row[1] for row in table.rows] == errors
    assert all(row[-1] for row in table.rows)


# --- answers ---


def test_a_headline_is_the_answer() -> None:
    study = replace(samples.study(), headline=Headline("It grows.", "95 % interval 1 to 2", "accuracy"))
    answer = answer_of(study)
    assert (answer.sentence, answer.how_sure) == ("It grows.", "95 % interval 1 to 2")
    assert answer.picture == samples.few_lines()  # the second one, by its name
    nameless = replace(study, headline=Headline("It grows.", "", "no such picture"))
    assert answer_of(nameless).picture == samples.heat_map()


def test_without_a_headline_the_answer_s_first_sentence_stands_for_it() -> None:
    study = samples.study()
    answer = answer_of(replace(study, answer=("It grows by 0.5 points. It does so slowly.", "And more.")))
    assert answer.sentence == "It grows by 0.5 points."
    assert answer.how_sure == "390 runs; 0–2"
    assert answer.picture == samples.heat_map()
    known = replace(study, answer=(study.findings[0].verdict,))
    assert answer_of(known).how_sure == "95 % interval 0.582 to 0.664, 3 seeds"
    unknown = replace(
        known, findings=(replace(study.findings[0], estimate=Estimate(0.6)), *study.findings[1:])
    )
    assert answer_of(unknown).how_sure == "390 runs; 0–2"
    empty = answer_of(replace(study, answer=(), pictures=()))
    assert (empty.sentence, empty.picture) == ("No answer was found.", None)


def test_an_opening_has_an_answer_for_each_study_in_their_order() -> None:
    studies = (samples.study(), samples.study(samples.forest(), name="changes"))
    whole = opening(samples.exercise(), studies)
    assert [answer.name for answer in whole.answers] == ["batch-and-rate", "changes"]
    assert len(whole.pictures) == 4
    assert isinstance(whole.pictures[-1], Ranking)
    assert opening(None, studies).pictures == ()


def test_first_sentences() -> None:
    assert first_sentence("One. Two.") == "One."
    assert first_sentence("At 0.5 it is 1.00 (95 % interval 0.7 to 1.2).") == (
        "At 0.5 it is 1.00 (95 % interval 0.7 to 1.2)."
    )
    assert first_sentence("") == ""


def test_the_numbers_behind_the_pictures_say_what_the_band_is() -> None:
    networks = networks_of(samples.exercise())
    table = table_of(networks.losses[0])
    assert table.note == "From … to: the mean over seeds ± 2 standard deviations."
    assert len(table.rows) == 30
    ranking = table_of(networks.accuracy)
    assert ranking.columns == ("what", "kind", "test error (%)", "from", "to")
    assert len(ranking.rows) == len(PUBLISHED) + 6
    row = next(row for row in ranking.rows if row[0] == "300-100, LeCun 1998" and row[1] == "plain")
    assert row[2] == pytest.approx(3.05)
