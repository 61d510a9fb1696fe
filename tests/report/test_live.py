"""What a notebook's cell shows while runs train."""

import sys
from typing import Any

import IPython.display
import pytest

import digitlab as dl
from digitlab.errors import DigitlabError
from digitlab.report import live


class Cell:
    """Stands for the cell of a notebook: all that it has shown, one after the other."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, what: Any, *, display_id: bool) -> "Cell":
        assert display_id
        assert self.shown == []
        self.update(what)
        return self

    def update(self, what: Any) -> None:
        self.shown.append(what._repr_html_())


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    found = Cell()
    monkeypatch.setattr(IPython.display, "display", found.display)
    return found


def test_one_drawing_follows_a_training_to_its_end(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SECONDS_BETWEEN", 0)
    dl.train(train_size=3_000, validation_size=500, epochs=3, hidden=(30,), on_progress=dl.LiveCurve())
    assert 'max="90"' in cell.shown[0]
    last = cell.shown[-1]
    assert "step 90 of 90, loss " in last
    assert last.count("<circle") == 6  # three points of either loss
    assert "validation loss" in last


def test_it_draws_seldom(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SECONDS_BETWEEN", 1e6)
    dl.train(train_size=3_000, epochs=3, on_progress=dl.LiveCurve())
    assert len(cell.shown) <= 2  # the first, for it is long since there was none, and the last


def test_the_events_of_several_runs_are_drawn_below_each_other(cell: Cell) -> None:
    specs = [dl.make_spec(hidden=hidden, train_size=500, epochs=2) for hidden in [(), (10,)]]
    shown = dl.LiveCurve()
    with dl.start(specs) as training:
        for event in training:
            shown(event)
    for name in ("784-10", "784-10-10"):
        assert f"<strong>{name}</strong>: completed after 10 steps, test accuracy 0." in cell.shown[-1]
    assert cell.shown[-1].count("<svg") == 2


def test_without_a_notebook_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(
        DigitlabError,
        match=r"so this is no notebook; leave on_progress out, or, in digitlab's folder: pip install '\.\[notebook\]'",
    ):
        dl.LiveCurve()
