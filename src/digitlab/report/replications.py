"""Replications: a study repeated with all seeds drawn anew, beside itself, and whether both find the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, groupby

from digitlab.analysis.findings import Cell, Estimate, Finding, StudyFindings, Table
from digitlab.analysis.statistics.compare import independent_difference
from digitlab.errors import Fault, SpecError, StoreError
from digitlab.report import numbers
from digitlab.report.build import CompletedStudy, completed_study, scales_to_try
from digitlab.store import Store
from digitlab.studies import Study, built_in_names, read_study, run_command
from digitlab.studies.expansion import all_seeds, scouting_seeds, seeds_in_words
from digitlab.studies.files import with_seed_base


def replicated_studies(
    names: Sequence[str], scale: str | None, seed_bases: Sequence[int], store: Store
) -> list[CompletedStudy]:
    """Studies as they were run with each of these first seeds, and named by their seeds.

    names: of studies; all built-in ones that are done with each of the seeds where none is named
    scale: None: of each the first at which it is done with each of the seeds
    Raises SpecError when there is no such study, or no such seed, or replications share seeds; StoreError
    when a study that was named is not done with each, or none is.
    """
    found: list[CompletedStudy] = []
    for name in names or built_in_names():
        whole = read_study(name)
        tried = [
            (each, _replicates(whole, name, each, seed_bases, store)) for each in scales_to_try(whole, scale)
        ]
        at_scale, replicates = max(tried, key=lambda pair: len(pair[1]))
        if len(replicates) == len(seed_bases):
            found += replicates
        elif names:
            done = {replicate.seed_base for replicate in replicates}
            commands = [
                run_command(name, at_scale, seed_base=base) for base in seed_bases if base not in done
            ]
            verb = "do it" if len(commands) > 1 else "does it"
            raise StoreError(
                f"{name} is not done with each of these seeds; "
                f"{' and '.join(f'`{command}`' for command in commands)} {verb}"
            )
    if not found:
        command = run_command("all", "quick", seed_base=seed_bases[-1])
        raise StoreError(
            f"no study is done in this store with each of these seeds; `{command}` takes some minutes"
        )
    return found


def _replicates(
    whole: Study, source: str, scale: str, seed_bases: Sequence[int], store: Store
) -> list[CompletedStudy]:
    """Those that are done at a scale."""
    studies = [with_seed_base(whole.at(scale), base) for base in seed_bases]
    _refuse_shared_seeds(studies)
    completed = (completed_study(study, scale, store, source) for study in studies)
    return [_named(each) for each in completed if each is not None]


def _refuse_shared_seeds(studies: Sequence[Study]) -> None:
    for first, second in combinations(sorted(studies, key=lambda study: study.seeds.first), 2):
        last = max(seeds[-1] for seeds in (all_seeds(first), scouting_seeds(first)))
        if second.seeds.first <= last:
            problem = (
                f"is too close to {first.seeds.first}: from there {first.name} takes the seeds up to {last}, "
                f"and repetitions share no seed; give one from {last + 1} on"
            )
            raise SpecError([Fault("seed-base", second.seeds.first, problem)])


def _named(completed: CompletedStudy) -> CompletedStudy:
    """By its seeds."""
    title = f"{completed.findings.title}, {seeds_in_words(completed.study)}"
    findings = replace(completed.findings, title=title)
    return replace(completed, findings=findings, seed_base=completed.study.seeds.first)


def replication_tables(studies: Sequence[CompletedStudy]) -> list[Table]:
    """Of each study that is there several times: each repetition beside the first."""
    tables = []
    for _, group in groupby(studies, key=lambda study: (study.source, study.scale)):
        first, *others = group
        tables += [_table(first, other) for other in others]
    return tables


def _table(first: CompletedStudy, second: CompletedStudy) -> Table:
    pairs = list(_pairs(first.findings, second.findings))
    judged = [(pair, _difference(pair)) for pair in pairs]
    known = [difference for _, difference in judged if difference.has_interval]
    agreeing = sum(difference.low <= 0 <= difference.high for difference in known)
    one, other = map(seeds_in_words, (first.study, second.study))
    return Table(
        title=f"Replications: {first.study.title}",
        columns=("finding", one, other, "difference", "agree"),
        rows=tuple(_row(pair, difference) for pair, difference in judged),
        note=(
            f"{agreeing} of {len(known)} findings agree: 0 lies within the 95 % interval of the difference. "
            "The two estimates come from different seeds and are independent, so the half-widths of their "
            "intervals add in quadrature. About one difference of 20 misses 0 by chance, fewer where "
            "intervals hold together for several settings. Both estimates are from the same test images."
        ),
    )


def _pairs(first: StudyFindings, second: StudyFindings) -> Iterator[tuple[Finding | None, Finding | None]]:
    """Findings of one title, in the order of the first; then those that the second alone has."""
    rest = list(second.findings)
    for finding in first.findings:
        match = next((other for other in rest if other.title == finding.title), None)
        if match is not None:
            rest.remove(match)
        yield finding, match
    yield from ((None, finding) for finding in rest)


def _difference(pair: tuple[Finding | None, Finding | None]) -> Estimate:
    first, second = pair
    if first is None or second is None:
        return Estimate(math.nan)
    return independent_difference(first.estimate, second.estimate)


def _row(pair: tuple[Finding | None, Finding | None], difference: Estimate) -> tuple[Cell, ...]:
    finding = pair[0] or pair[1]
    title, unit = (finding.title, finding.unit) if finding else ("", "")
    agree = "yes" if difference.low <= 0 <= difference.high else "no"
    return (
        f"{title}, {unit}" if unit else title,
        *(_written(each.estimate) if each else numbers.DASH for each in pair),
        _written(difference),
        agree if difference.has_interval else "not known",
    )


def _written(estimate: Estimate) -> str:
    if not estimate.has_interval:
        return numbers.estimate(estimate)
    return f"{numbers.estimate(estimate)} ({numbers.interval(estimate)})"
