"""Reliability drawn: the numbers of the picture, and its file."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from digitlab.errors import RunError
from digitlab.prediction.calibration import Bin
from digitlab.report.reliability import reliability_picture, write_reliability

BINS = (Bin(40, 0.6, 0.5), Bin(1_000, 0.99, 0.98))


def test_shares_have_their_intervals() -> None:
    diagonal, answers = reliability_picture(BINS, "images").lines
    first, second = answers.points
    assert (first.x, first.y) == (0.6, 0.5)
    # Wilson's interval of 20 in 40 and of 980 in 1,000, worked out from his formula.
    assert (first.low, first.high) == pytest.approx((0.351995, 0.648005), abs=1e-5)
    assert (second.low, second.high) == pytest.approx((0.969310, 0.987016), abs=1e-5)
    assert [(point.x, point.y) for point in diagonal.points] == [(0.5, 0.5), (1.0, 1.0)]


def test_it_is_written_as_a_picture(tmp_path: Path) -> None:
    path = write_reliability(BINS, tmp_path)
    assert path == tmp_path / "reliability.svg"
    root = ET.fromstring(path.read_text())  # noqa: S314  # our own
    assert "Answers to 1,040 held-out images" in "".join(root.itertext())
    with pytest.raises(RunError, match=r"none/reliability.svg: cannot be written .*by --explain"):
        write_reliability(BINS, tmp_path / "none")
