"""How often each answer comes out when a study is done again: on real networks, drawn anew each time.

    python benchmarks/stability.py quick [STUDY ...] [--repeats 400]
    python benchmarks/stability.py full depth

`benchmarks/pool.py` has trained every setting with many seeds; its figures are kept with the project. Each
repeat draws as many of those seeds as the study has, lets the study's own strategy and analysis do their
work on them, and notes what they say. What all seeds of the pool say together counts as the truth. Nothing is
trained.

A repeat uses a share f of the pool, so its estimate lies closer to the pool's than it would to the truth of
infinitely many seeds: by the factor √(1 - f) for draws without replacement (Cochran 1977, "Sampling
Techniques", section 2.6). Intervals are shortened by that factor before it is counted how often they hold the
pool's value.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pool import RESULTS, Row, label_of, path_of, read, repeated_study
from tables import table

from digitlab.analysis.conditions import About, Evidence
from digitlab.analysis.findings import Estimate, StudyFindings
from digitlab.analysis.registry import ANALYSES
from digitlab.analysis.statistics.compare import is_close, judge
from digitlab.analysis.summary import MARGIN
from digitlab.result import Curve, Metrics, RunResult
from digitlab.rng import stream
from digitlab.spec import RunSpec
from digitlab.studies import OBSERVATIONS, read_study
from digitlab.studies.definition import Study
from digitlab.studies.expansion import checked, spec_of, varied
from digitlab.studies.stages import Stage
from digitlab.studies.strategies import STRATEGIES
from digitlab.studies.strategies.around_optimum import early_stopped

_SCOUTS = 3
"""Far from the optimum the pool has so many seeds."""
_POWER_AT = (0.1, 0.2, 0.5, 1.0)
"""Points of accuracy."""


def _made(kind: Any, **fields: Any) -> Any:
    """A value with the fields that analyses read, unchecked: a great many are made."""
    return kind.model_construct(**fields)


class PooledStudy:
    """A study whose runs are taken from the pool.

    seeds: how many of the pool's seeds have every rate near the optimum
    """

    def __init__(self, study: Study, rows: Iterable[Row]) -> None:
        self.study = study
        self._rows: dict[tuple[str, float, int, int], Row] = {}
        combinations = {label_of(combination.labels): combination for combination in checked(study)}
        for row in rows:
            if row.study == study.name and row.condition in combinations:
                self._rows[row.condition, float(f"{row.rate:.6g}"), row.seed, row.is_stopped] = row
        self.seeds = len({row.seed for row in self._rows.values()})
        self._bases = {
            name: spec_of(study, combination, combination.range.values[0] if combination.range else None, 0)
            for name, combination in combinations.items()
        }
        self._tuned = {name: bool(combination.range) for name, combination in combinations.items()}
        self.specs: dict[str, tuple[str, float, int, RunSpec]] = {}
        for condition, rate in sorted({(condition, rate) for condition, rate, _, _ in self._rows}):
            for index in range(self.seeds):
                spec = varied(self._bases[condition], self._exact(condition, rate), index)
                self.specs[spec.key] = (condition, rate, index, spec)

    def _exact(self, condition: str, rate: float) -> float | None:
        """A rate as the study has it, before it was rounded for the file."""
        if not self._tuned[condition]:
            return None
        if self.study.tuned and rate in self.study.tuned.also:
            return rate
        return 2.0 ** round(math.log2(rate))

    def ask(self, seeds: list[int]) -> tuple[StudyFindings | None, bool]:
        """What the study finds on these seeds of the pool, and whether it left the rates that the pool has;
        None where it wanted one that the pool has no seed of.
        """
        study = replace_seeds(self.study, len(seeds))
        strategy, known = STRATEGIES["around-optimum"](study), _Drawn(self, seeds)
        stage = strategy.next(known)
        if stage.missing:
            return None, True
        return ANALYSES[study.analysis].find(_evidence(study, stage)), known.is_outside

    def row(self, condition: str, rate: float, seed: int, is_stopped: int = 0) -> Row | None:
        """A run of the pool."""
        return self._rows.get((condition, rate, seed, is_stopped))


class _Drawn:
    """What is known of a study whose seeds 0, 1, … are these of the pool."""

    def __init__(self, pooled: PooledStudy, seeds: list[int]) -> None:
        self.pooled, self.seeds, self.is_outside = pooled, seeds, False
        self._stopped: dict[str, RunResult] = {}

    def get(self, keys: Iterable[str], /) -> Mapping[str, RunResult]:
        """Results by key."""
        found = {key: self._result(key) for key in keys}
        return {key: result for key, result in found.items() if result is not None}

    def measurements(self, _keys: Iterable[str], _name: str, /) -> Mapping[str, Mapping[str, float]]:
        """None was made."""
        return {}

    def _result(self, key: str) -> RunResult | None:
        if key in self._stopped:
            return self._stopped[key]
        if key not in self.pooled.specs:
            return None
        condition, rate, index, spec = self.pooled.specs[key]
        seed = self.seeds[index]
        row = self.pooled.row(condition, rate, seed)
        if row is None:  # far from the optimum
            self.is_outside |= index >= _SCOUTS
            seed = index % _SCOUTS
            row = self.pooled.row(condition, rate, seed)
        if row is None:
            return None
        result = result_of(row, spec)
        stopped = self.pooled.row(condition, rate, seed, 1)
        if stopped is not None:
            stopped_spec = early_stopped(result)
            if stopped_spec.key != key:
                self._stopped[stopped_spec.key] = result_of(stopped, stopped_spec)
        return result


def result_of(row: Row, spec: RunSpec) -> RunResult:
    """A RunResult with all that analyses read."""
    points = {spec.step_count: (row.validation_loss, row.validation_accuracy)}
    if row.best_step:
        points[row.best_step] = (row.best_validation_loss, points.get(row.best_step, (0.0, 0.0))[1])
    goal = row.steps_to_goal
    if math.isfinite(goal):
        points[round(goal)] = (points.get(round(goal), (row.validation_loss, 0.0))[0], 1.0)
    steps = sorted(points)
    curve = _made(
        Curve,
        step=tuple(steps),
        training_loss=(math.nan,) * len(steps),
        validation_loss=tuple(points[step][0] for step in steps),
        validation_accuracy=tuple(float(step >= goal) if math.isfinite(goal) else 0.0 for step in steps),
    )
    metrics = _made(
        Metrics,
        training_set_loss=row.training_set_loss,
        training_set_accuracy=row.training_set_accuracy,
        validation_loss=row.validation_loss,
        validation_accuracy=row.validation_accuracy,
        test_loss=row.test_loss,
        test_accuracy=row.test_accuracy,
        steps=spec.step_count,
    )
    result: RunResult = _made(
        RunResult,
        spec=spec,
        key=spec.key,
        outcome=row.outcome,
        curve=curve,
        metrics=metrics,
        predictions=None,
    )
    return result


def replace_seeds(study: Study, count: int) -> Study:
    """The study with so many seeds."""
    return study.model_copy(update={"seeds": study.seeds.model_copy(update={"report": count, "first": 0})})


def _evidence(study: Study, stage: Stage) -> Evidence:
    about = About(study.name, study.title, study.question, "", study.baseline, study.target, stage.notes)
    return Evidence(about=about, conditions=stage.conditions)


@dataclass(frozen=True)
class Repeated:
    """One finding, over all repeats.

    truth:     of all seeds of the pool
    first:     of the study's own seeds: what a reader of its report is told
    estimates: that have an interval, of each repeat
    factor:    by which intervals are shortened before they are held against the truth
    """

    title: str
    unit: str
    truth: float
    first: Estimate
    estimates: tuple[Estimate, ...]
    factor: float

    @property
    def is_signed(self) -> bool:
        """Whether it is a difference that can go either way; the largest gap of several cannot."""
        return self.unit == "points" and not self.title.startswith("Largest")

    @property
    def holds(self) -> list[bool]:
        """Whether each interval holds the truth."""
        return [
            e.value - self.factor * (e.value - e.low)
            <= self.truth
            <= e.value + self.factor * (e.high - e.value)
            for e in self.estimates
        ]

    @property
    def coverage(self) -> float:
        """Share of the intervals that hold the truth."""
        return float(np.mean(self.holds)) if self.estimates else math.nan

    @property
    def width(self) -> float:
        """Median width."""
        return float(np.median([e.high - e.low for e in self.estimates])) if self.estimates else math.nan

    @property
    def spread(self) -> tuple[float, float]:
        """Between these lie 90 of 100 estimates."""
        low, high = np.quantile([e.value for e in self.estimates], [0.05, 0.95])
        return float(low), float(high)

    def verdicts(self) -> Counter[str]:
        """Of differences in points."""
        return Counter(judge(estimate, MARGIN) for estimate in self.estimates)

    def said(self, estimate: Estimate) -> str:
        """What a reader takes from one estimate: the verdict, or whether 0 is excluded."""
        if self.is_signed:
            return judge(estimate, MARGIN)
        return "above 0" if estimate.low > 0 else "below 0" if estimate.high < 0 else "0 is possible"

    @property
    def said_again(self) -> float:
        """Share of the repeats that say what the study itself says."""
        first = self.said(self.first)
        return float(np.mean([self.said(e) == first for e in self.estimates])) if self.estimates else math.nan

    def again(self, *, close: bool) -> list[float]:
        """For each repeat that calls a direction clear, closely or not: the share of all that do so too."""
        verdicts = [judge(estimate, MARGIN) for estimate in self.estimates]
        return [
            verdicts.count(verdict) / len(verdicts)
            for verdict, estimate in zip(verdicts, self.estimates, strict=True)
            if verdict in ("better", "worse") and is_close(estimate) == close
        ]

    @property
    def wrong_sign(self) -> float:
        """Share of repeats in which the interval lies wholly on the wrong side of 0."""
        wrong = [e.low > 0 > self.truth or e.high < 0 < self.truth for e in self.estimates]
        return float(np.mean(wrong)) if wrong else math.nan

    def power(self, points: float) -> float:
        """Share of repeats in which a true difference of so many points would be told from 0."""
        moved = [(e.low - self.truth + points, e.high - self.truth + points) for e in self.estimates]
        return float(np.mean([low > 0 or high < 0 for low, high in moved])) if moved else math.nan


def answers(found: StudyFindings) -> dict[str, bool]:
    """Whether each of the exercise's questions is answered; of a study that is not built in, none."""
    by_title = {finding.title: finding for finding in found.findings}
    whole: dict[str, bool] = {}
    for title, finding in by_title.items():
        estimate = finding.estimate
        width = estimate.high - estimate.low
        if title == "Exponent at the smaller batch sizes, equal epochs":
            whole["the best learning rate grows with small batches"] = estimate.low > 0
            whole["its exponent is known to 0.8"] = width <= 0.8
        elif title.startswith("Accuracy lost by leaving") and title.endswith("equal epochs"):
            whole["the fixed learning rate loses accuracy at the largest batch"] = estimate.low > 0
        elif title == "Exponent of the error":
            whole["the exponent of the error is known to 0.15"] = width <= 0.15
        elif title.startswith("Error at"):
            whole["the held-out size lies inside its prediction"] = "they agree" in finding.verdict
        elif title.startswith("From 0 to 1"):
            whole.setdefault("one hidden layer is better than none", True)
            whole["one hidden layer is better than none"] &= estimate.low > 0
        elif title.startswith("From "):
            whole.setdefault("each further layer: a direction, or a bound of 0.8 points at most", True)
            bound = max(-estimate.low, estimate.high)
            whole["each further layer: a direction, or a bound of 0.8 points at most"] &= (
                bound <= 0.8 or estimate.low > 0 or estimate.high < 0
            )
        elif title in {"width 30", "learning rate 0.03"} and found.name == "parameters":
            whole[f"{title} is worse"] = estimate.high < 0
        elif title in {"width 300", "20 epochs", "standardised"} and found.name == "parameters":
            whole[f"{title} is better"] = estimate.low > 0
    if found.name == "parameters":
        bounds = [
            max(-f.estimate.low, f.estimate.high)
            for f in found.findings
            if f.estimate.low <= 0 <= f.estimate.high
        ]
        whole["every other setting: a direction, or a bound of 0.6 points at most"] = (
            max(bounds, default=0.0) <= 0.6
        )
    return whole


@dataclass(frozen=True)
class RepeatedStudy:
    """All repeats of one study.

    findings: over the repeats
    together: by family of differences, the share of repeats in which all intervals of the family hold the
              truth
    answered: by question, the share of repeats that answer it
    outside:  repeats in which the study wanted a rate that the pool has few seeds of
    """

    study: Study
    repeats: int
    findings: tuple[Repeated, ...]
    together: Mapping[str, float]
    answered: Mapping[str, float]
    outside: int


def repeat(pooled: PooledStudy, repeats: int) -> RepeatedStudy:
    """The study again and again, each time with other seeds of the pool."""
    study, count = pooled.study, pooled.study.seeds.report
    if count >= pooled.seeds:
        raise SystemExit(f"{study.name}: the pool has {pooled.seeds} seeds, the study {count}")
    truths, _ = pooled.ask(list(range(pooled.seeds)))
    if truths is None:
        raise SystemExit(f"{study.name}: the pool lacks runs; benchmarks/pool.py trains them")
    first, _ = pooled.ask(list(range(count)))
    firsts = {_stable(f.title): f for f in first.findings} if first else {}
    truth = {_stable(finding.title): finding for finding in truths.findings}
    draws = stream(0, f"stability/{study.name}")
    found: list[dict[str, Estimate]] = []
    answered: Counter[str] = Counter()
    outside = 0
    for _ in range(repeats):
        findings, is_outside = pooled.ask(draws.permutation(pooled.seeds)[:count].tolist())
        outside += is_outside
        if findings is None:
            continue
        answered += Counter(
            {question: int(is_answered) for question, is_answered in answers(findings).items()}
        )
        found.append({_stable(f.title): f.estimate for f in findings.findings if f.estimate.has_interval})
    repeated = {
        title: Repeated(
            title,
            finding.unit,
            finding.estimate.value,
            firsts[title].estimate if title in firsts else Estimate(math.nan),
            tuple(estimates[title] for estimates in found if title in estimates),
            # Of some findings only the first seeds count: those with runs at the fixed learning rate.
            math.sqrt(1 - (firsts[title].n if title in firsts else count) / pooled.seeds),
        )
        for title, finding in truth.items()
    }
    families: dict[str, list[Repeated]] = {}
    for title, one in repeated.items():
        if one.is_signed and (study.name == "parameters" or title.startswith("From ")):
            families.setdefault(title.partition(": ")[2] or "all settings", []).append(one)
    return RepeatedStudy(
        study,
        repeats,
        tuple(repeated.values()),
        {
            name: float(np.mean(np.all([one.holds for one in same], axis=0)))
            for name, same in families.items()
        },
        {question: answered[question] / len(found) for question in answers(truths)},
        outside,
    )


def _stable(title: str) -> str:
    """A title without what differs between repeats: which law came out best."""
    return title.split(": ")[0] if title.startswith("The law") else title


def document(whole: RepeatedStudy) -> dict[str, object]:
    """All of it, for JSON."""
    return {
        "study": whole.study.name,
        "seeds": whole.study.seeds.report,
        "repeats": whole.repeats,
        "repeats outside the pool's rates": whole.outside,
        "answered": dict(whole.answered),
        "coverage of all together": dict(whole.together),
        "findings": [
            {
                "title": one.title,
                "unit": one.unit,
                "truth": one.truth,
                "with interval": len(one.estimates),
                "median width": one.width,
                "coverage": one.coverage,
                "said": one.said(one.first),
                "said again": one.said_again,
                "verdicts": dict(one.verdicts()) if one.is_signed else None,
                "wrong sign": one.wrong_sign,
                "power": {str(at): one.power(at) for at in _POWER_AT} if one.is_signed else None,
            }
            for one in whole.findings
        ],
    }


def lines_of(whole: RepeatedStudy) -> Iterator[str]:
    """A section of the page."""
    yield f"## {whole.study.title}"
    yield ""
    yield _repeats_in_words(whole)
    yield ""
    heads = (
        "finding",
        "truth",
        "width",
        "coverage, %",
        "said",
        "said again, %",
        "verdicts",
        "wrong sign, %",
        "power, %",
    )
    yield from table(heads, list(map(_row, whole.findings)))
    yield ""
    for name, share in whole.together.items():
        yield f"All intervals of a family hold together ({name}): {100 * share:.1f} % of repeats."
        yield ""
    if whole.answered:
        rows = [[question, f"{100 * share:.1f}"] for question, share in whole.answered.items()]
        yield from table(("answered", "repeats, %"), rows)
        yield ""


def _row(one: Repeated) -> list[str]:
    count = max(len(one.estimates), 1)
    verdicts = [f"{name} {100 * number / count:.0f} %" for name, number in one.verdicts().most_common()]
    return [
        one.title,
        f"{one.truth:.3g}",
        f"{one.width:.2g}",
        f"{100 * one.coverage:.1f}",
        one.said(one.first),
        f"{100 * one.said_again:.1f}",
        ", ".join(verdicts) if one.is_signed else "",
        f"{100 * one.wrong_sign:.1f}" if one.is_signed else "",
        " / ".join(f"{100 * one.power(at):.0f}" for at in _POWER_AT) if one.is_signed else "",
    ]


HEAD = """# How stable the answers are, {scale} scale

Each study is repeated on real networks whose seeds are drawn anew from a pool of {seeds} (`python
benchmarks/stability.py {scale}`; how it is done, and what follows, is in
[evidence.md](../../docs/evidence.md)).
Truth: what all seeds of the pool say together. Width: the median width of the 95 % intervals. Coverage: how
many of them hold the truth, shortened for the share of the pool that a repeat uses; intervals that hold
together cover more than 95 % each. Said: what the study says with its own seeds, and how many repeats say the
same. Power: how often a true difference of 0.1 / 0.2 / 0.5 / 1 points would be
told from 0.

"""


DOCS = RESULTS.parent.parent / "docs"


def fill(page: Path, lines: Sequence[str], mark: str = "stability") -> None:
    """Put lines between a page's marks."""
    begin, end = f"<!-- {mark} -->\n", "<!-- end -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}" + "\n".join(lines) + f"\n{end}{rest.split(end, 1)[1]}")


def expected(found: Sequence[RepeatedStudy]) -> list[str]:
    """What students' reports will say, for who marks their worksheets."""
    rows = [
        [one.title, f"{one.truth:.3g}", "{:.3g} to {:.3g}".format(*one.spread), one.unit]
        for whole in found
        for one in whole.findings
        if one.estimates and not one.title.startswith("The law")
    ]
    return table(("figure", "all seeds together", "90 of 100 reports", "unit"), rows)


def summary(found: Sequence[RepeatedStudy]) -> list[str]:
    """How often the questions are answered, and what the intervals are worth."""
    rows = [
        [whole.study.title, question, f"{100 * share:.0f}"]
        for whole in found
        for question, share in whole.answered.items()
    ]
    signed = [one for whole in found for one in whole.findings if one.is_signed and one.estimates]
    together = [share for whole in found for share in whole.together.values()]
    others = [
        one.coverage for whole in found for one in whole.findings if not one.is_signed and one.estimates
    ]
    wrong = max(one.wrong_sign for one in signed)
    return [
        *table(("study", "question", "answered, % of repeats"), rows),
        "",
        f"The intervals of a family of differences all held together in {100 * min(together):.0f} to "
        f"{100 * max(together):.0f} % of {found[0].repeats} repeats (aim: 95 %), those of exponents, laws "
        f"and other figures each in {100 * min(others):.0f} to {100 * max(others):.0f} %. The wrong sign "
        f"came out in at most {100 * wrong:.1f} %.",
        "",
        f"Where a repeat called a setting better or worse, {100 * again_of(signed, close=False):.0f} % of "
        "all repeats did so too; where it added that this is close, "
        f"{100 * again_of(signed, close=True):.0f} %.",
    ]


def again_of(found: Sequence[Repeated], *, close: bool) -> float:
    """Given that one repeat calls a direction clear, closely or not: how likely another one does so too."""
    shares = [share for one in found for share in one.again(close=close)]
    return float(np.mean(shares)) if shares else math.nan


def stated(found: Sequence[RepeatedStudy]) -> list[str]:
    """What the full studies say, and how many repeats say the same."""
    rows = [
        [whole.study.title, one.title, one.said(one.first), f"{100 * one.said_again:.0f}"]
        for whole in found
        for one in whole.findings
        if one.estimates and one.first.has_interval
    ]
    lines = table(("study", "finding", "said", "said again, % of repeats"), rows)
    for whole in found:
        lines += ["", f"{whole.study.title}: {_repeats_in_words(whole)}"]
    known = {whole.study.name for whole in found}
    if missing := [read_study(name).title for name in OBSERVATIONS if name not in known]:
        lines += ["", f"Not repeated yet: {', '.join(missing)}."]
    return lines


def _repeats_in_words(whole: RepeatedStudy) -> str:
    left = f"; {whole.outside} of them wanted a rate of which the pool has few seeds" if whole.outside else ""
    return f"{whole.repeats} repeats of {whole.study.seeds.report} seeds{left}."


def main() -> None:
    """Repeat, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scale", choices=("quick", "full"))
    parser.add_argument("studies", nargs="*", default=list(OBSERVATIONS))
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seeds", type=int, help="other than the study's; then nothing is written")
    options = parser.parse_args()
    rows = read(path_of(options.scale))
    found = []
    for name in options.studies:
        study = repeated_study(name, options.scale)
        if options.seeds:
            study = replace_seeds(study, options.seeds)
        found.append(repeat(PooledStudy(study, rows), options.repeats))
        print("\n".join(lines_of(found[-1])), flush=True)
    is_whole = set(options.studies) == set(OBSERVATIONS)
    if not options.seeds and (is_whole or options.scale == "full"):  # of which a part says something, too
        path = RESULTS / f"stability-{options.scale}"
        seeds = max(row.seed for row in rows) + 1
        head = HEAD.format(scale=options.scale, seeds=seeds)
        path.with_suffix(".md").write_text(
            head + "\n".join(line for whole in found for line in lines_of(whole)).rstrip() + "\n"
        )
        if options.scale == "quick":
            fill(DOCS / "evidence.md", summary(found))
            fill(DOCS / "teaching.md", expected(found))
        else:
            fill(DOCS / "evidence.md", stated(found), "stability full")
        documents = {
            "scale": options.scale,
            "seeds of the pool": seeds,
            "studies": list(map(document, found)),
        }
        path.with_suffix(".json").write_text(json.dumps(documents, indent=1) + "\n")


if __name__ == "__main__":
    main()
