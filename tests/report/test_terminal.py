"""Findings in the terminal."""

import io

import pytest

from digitlab.analysis.findings import StudyFindings
from digitlab.cli import findings as told
from digitlab.cli import tables
from digitlab.cli.console import CleanConsole
from digitlab.report.opening import answer_of
from tests.report import samples


def printed(study: StudyFindings, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    out = io.StringIO()
    console = CleanConsole(file=out, width=width, highlight=False, markup=False)
    for module in (told, tables):
        monkeypatch.setattr(module, "stdout", lambda: console)
    told.print_findings(study)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_findings_fit_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(samples.study(), width, monkeypatch)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "How must the learning rate change when the batch size does?" in words
    assert "Neither the linear rule nor the square-root rule holds throughout." in words
    assert "390 runs; 0–2; scale full: 10 batch sizes × 13 rates × 3 seeds" in words
    for part in (
        "0.623",
        "0.582 to 0.664",
        "3 seeds",
        "912 images",
        "1/64",
        "0.0227",
        "An optimum at the edge",
    ):
        assert part in words


@pytest.mark.parametrize("width", [80, 100])
def test_an_answer_is_a_sentence_and_how_sure_it_is(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = CleanConsole(file=out, width=width, highlight=False, markup=False)
    monkeypatch.setattr(told, "stdout", lambda: console)
    answer = answer_of(samples.study())
    told.print_answer(answer)
    assert max(map(len, out.getvalue().splitlines())) <= width
    words = " ".join(out.getvalue().split())
    assert words == f"{answer.title}: {answer.question} {answer.sentence} {answer.how_sure}"


def test_names_reach_no_terminal_s_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(samples.hostile_report().studies[0], 100, monkeypatch)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "<script>" in text
    assert "nothing to show" in text
