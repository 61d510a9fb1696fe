"""Other parameters: findings of settings whose differences from the base are known."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from digitlab.analysis.conditions import Condition, Evidence
from digitlab.analysis.findings import Forest, Lines, StudyFindings
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.simultaneous import simultaneous_intervals
from digitlab.analysis.studies.parameters import find
from tests.analysis.results import RATES, about, condition, spec, valley

SEEDS = np.array([0.001, -0.0012, 0.0004, -0.0003, 0.0008, -0.0007])
OWN = np.array([0.0003, 0.0001, -0.0004, 0.0002, -0.0003, 0.0001])
WIDE = 30 * OWN
EFFECTS = {"better": 1.0, "worse": -2.0, "equal": 0.0}


def setting(
    label: str,
    accuracies: Sequence[float],
    *,
    also: Mapping[float, Sequence[float]] | None = None,
    breaks_from: float = math.inf,
) -> Condition:
    return condition(
        spec(),
        [valley(-2, breaks_from)] * len(accuracies),
        accuracies,
        also=also,
        labels={"variant": label},
        groups={"variant": "a group"},
    )


def settings() -> list[Condition]:
    """The base, one of each effect with little noise of its own, and a noisy one."""
    made = [setting("base", list(0.95 + SEEDS), also={0.01: list(0.9 + SEEDS)})]
    made += [
        setting(label, list(0.95 + effect / 100 + SEEDS + OWN), also={0.01: list(0.9 + SEEDS)})
        for label, effect in EFFECTS.items()
    ]
    return [*made, setting("noisy", list(0.952 + SEEDS + WIDE), also={0.01: list(0.9 + SEEDS)})]


def forest(findings: StudyFindings, name: str) -> Forest:
    (picture,) = [picture for picture in findings.pictures if picture.name == name]
    assert isinstance(picture, Forest)
    return picture


def test_known_differences_are_found_and_judged() -> None:
    found = find(Evidence(about(baseline="base"), settings()))
    by_title = {finding.title: finding for finding in found.findings}
    assert list(by_title) == [*EFFECTS, "noisy"]
    beginnings = {
        "better": "better is better than base: +1.00 points",
        "worse": "worse is worse than base: -2.00 points",
        "equal": "equal is practically equal to base: they differ by at most 0.1 points (",
        "noisy": "noisy shows no clear difference from base: they differ by at most ",
    }
    for title, truth in {**EFFECTS, "noisy": 0.2}.items():
        finding = by_title[title]
        assert finding.estimate.low < truth < finding.estimate.high
        assert (finding.n, finding.n_of, finding.unit) == (6, "seeds", "points")
        assert finding.verdict.startswith(beginnings[title])
    columns = [0.95 + effect / 100 + SEEDS + OWN for effect in EFFECTS.values()]
    columns.append(0.952 + SEEDS + WIDE)
    expected = simultaneous_intervals(100 * np.stack([column - 0.95 - SEEDS for column in columns], axis=1))
    for finding, interval in zip(found.findings, expected, strict=True):
        assert (finding.estimate.low, finding.estimate.high) == pytest.approx((interval.low, interval.high))


def test_the_answer_counts_names_the_largest_clear_differences_and_bounds_the_rest() -> None:
    found = find(Evidence(about(baseline="base"), settings()))
    assert found.answer[0] == (
        "Of 4 settings compared with base: 1 better, 1 worse, 1 practically equal, 1 without a clear difference."
    )
    assert [sentence.split()[0] for sentence in found.answer[1:3]] == ["worse", "better"]
    noisy = found.findings[-1].estimate
    most = math.ceil(10 * max(-noisy.low, noisy.high)) / 10
    assert found.answer[3:] == (
        f"The other settings (equal, noisy) differ from base by at most {most:.1f} points.",
    )


def test_several_settings_need_clearer_differences() -> None:
    # 0.5 ± 0.44 points: clear alone, not as one of four whose variances differ.
    spread = np.array([-0.0036, 0.0036, -0.0023, 0.0023, 0.0, 0.0]) * 1.6
    base = setting("base", [0.9] * 6)
    alone = find(Evidence(about(), [base, setting("a", list(0.905 + spread))]))
    assert alone.findings[0].verdict.startswith("a is better than base")
    # Clear, but not by as much as the chance of a repeat.
    assert alone.findings[0].verdict.endswith(
        " This is close: a repeat of the study may show no clear difference."
    )
    assert alone.answer[0].endswith(" Close, so that a repeat of the study may show no clear difference: a.")
    others = [setting(str(k), list(0.905 + k * spread)) for k in (0.05, 0.3, 4)]
    several = find(Evidence(about(), [base, setting("a", list(0.905 + spread)), *others]))
    assert several.findings[0].verdict.startswith("a shows no clear difference from base")


def test_the_first_condition_is_the_base_where_none_is_named() -> None:
    found = find(Evidence(about(), settings()[1:]))
    assert [finding.title for finding in found.findings] == ["worse", "equal", "noisy"]
    assert "worse is worse than better" in found.findings[0].verdict


def test_pictures_hold_the_numbers_of_findings_and_tables() -> None:
    found = find(Evidence(about(baseline="base"), settings()))
    effects = forest(found, "effects").effects
    assert {effect.label: effect.estimate for effect in effects} == {
        finding.title: finding.estimate for finding in found.findings
    }
    assert [effect.estimate.value for effect in effects] == sorted(
        (finding.estimate.value for finding in found.findings), reverse=True
    )
    assert {effect.group for effect in effects} == {"a group"}
    assert forest(found, "effects").margin == 0.2
    gains = {effect.label: effect.estimate for effect in forest(found, "tuning").effects}
    for row, expected in zip(found.tables[0].rows, settings(), strict=True):
        name, rate, value, low, high, fixed = row
        assert rate == pytest.approx(0.25)
        mean = mean_interval([run.metrics.test_accuracy for run in expected.reports])
        # On the logit's scale, which is all but straight here.
        assert (value, low, high) == pytest.approx((mean.value, mean.low, mean.high), abs=1e-3)
        assert gains[str(name)].value == pytest.approx(100 * (float(value or 0) - float(fixed or 0)))


def test_valleys_are_over_the_best_rate_and_leave_broken_rates_out() -> None:
    found = find(Evidence(about(), [setting("base", [0.9, 0.8], breaks_from=1.0)]))
    (picture,) = [picture for picture in found.pictures if picture.name == "sensitivity"]
    assert isinstance(picture, Lines)
    (line,) = picture.lines
    assert [point.x for point in line.points] == pytest.approx([rate / 0.25 for rate in RATES if rate < 1])
    assert min(line.points, key=lambda point: point.y).x == pytest.approx(1)


def test_valleys_that_are_not_shown_are_told() -> None:
    conditions = [setting(f"setting {i}", [0.9, 0.8]) for i in range(9)]
    (picture,) = [
        picture for picture in find(Evidence(about(), conditions)).pictures if picture.name == "sensitivity"
    ]
    assert isinstance(picture, Lines)
    assert len(picture.lines) == 8
    assert picture.caption.endswith("The first 8 of 9 settings.")


def test_two_fixed_rates_are_told_apart() -> None:
    found = find(Evidence(about(), [setting("base", [0.9, 0.8], also={0.01: [0.5, 0.4], 0.1: [0.8, 0.7]})]))
    assert [effect.label for effect in forest(found, "tuning").effects] == [
        "base, over 0.01",
        "base, over 0.1",
    ]
    assert found.tables[0].columns[-2:] == ("at rate 0.01", "at rate 0.1")


def test_one_seed_shows_no_direction() -> None:
    found = find(Evidence(about(), [setting("base", [0.9]), setting("other", [0.99])]))
    (finding,) = found.findings
    assert finding.verdict == (
        "other shows no clear difference from base: how much they differ is not known from one seed (+9.00 "
        "points, no interval)."
    )
    assert len(found.answer) == 1


def test_settings_that_broke_everywhere_are_left_out() -> None:
    broken = setting("broken", [0.9] * 6, breaks_from=RATES[0])
    found = find(Evidence(about(baseline="base"), [*settings(), broken]))
    assert "broken" not in [finding.title for finding in found.findings]
    assert found.tables[0].rows[-1][0] == "broken"
    assert math.isnan(float(found.tables[0].rows[-1][1] or 0))
    assert math.isnan(float(found.tables[0].rows[-1][2] or 0))
    without_base = find(Evidence(about(baseline="broken"), [*settings(), broken]))
    assert not without_base.findings
    broke = "Left out, for most networks broke there at every learning rate: broken."
    assert without_base.answer == (broke,)
    assert find(Evidence(about(), [broken])).pictures == ()


def test_a_study_without_tuning_compares_all_the_same() -> None:
    plain = [
        condition(spec(), accuracies=[0.9 + i / 100, 0.91 + i / 100], labels={"n": str(i)}) for i in range(2)
    ]
    found = find(Evidence(about(), plain))
    assert [picture.name for picture in found.pictures] == ["effects"]
    assert "tuned" not in " ".join(found.methods)
    assert found.tables[0].rows[0][1] == pytest.approx(0.1)
    assert find(Evidence(about(), [condition(spec(), accuracies=[0.9])])).tables[0].rows[0][0] == "the study"
