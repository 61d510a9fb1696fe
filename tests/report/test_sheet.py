"""The contact sheet: every digit is on it, as a page and as a picture."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from digitlab.errors import RunError, SpecError
from digitlab.mistakes import Mistakes
from digitlab.models.missed import Missed
from digitlab.report.examples import accuracy_table, missed_digits, missed_in_words
from digitlab.report.html import mistakes_page
from digitlab.report.sheet import sheet_svg
from digitlab.report.writing import write_mistakes
from tests.report import samples
from tests.report.test_html import Page

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314


def test_every_digit_is_on_the_picture() -> None:
    network, missed = samples.example(), samples.missed()
    svg = sheet_svg(network, missed)
    images = [element.get("href") or "" for element in ET.fromstring(svg).iter(f"{SVG}image")]  # noqa: S314
    assert len(images) == len(network.misclassified) + len(missed.digits)
    assert all(image.startswith("data:image/png;base64,") for image in images)
    said = texts(svg)
    assert said[0] == f"Mistakes of {network.title}"
    places = [digit.index for digit in network.misclassified] + [digit.index for digit in missed.digits]
    assert {f"test image {place}" for place in places} <= set(said)
    assert "3 of 5" in svg
    assert "What all networks miss" in said
    assert "What all networks miss" not in texts(sheet_svg(network, None))


def test_names_stay_text() -> None:
    hostile = samples.hostile_report().examples[0]
    svg = sheet_svg(hostile, None)
    assert "<script" not in svg
    assert "\x1b" not in svg
    ET.fromstring(svg)  # noqa: S314


def test_everything_is_on_the_page() -> None:
    network, missed = samples.example(), samples.missed()
    page = Page(mistakes_page(network, missed))
    assert not page.open
    words = " ".join("".join(page.words).replace("\u00a0", " ").split())
    assert missed_in_words(missed) in words
    assert "Confusion matrix" in words
    assert "Accuracy by class" in words
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == len(network.misclassified) + len(missed.digits)
    assert "3 of 5" in words


def test_the_table_of_accuracies_has_intervals() -> None:
    network = samples.example()
    table = accuracy_table(network)
    assert table.columns[-2:] == ("from", "to")
    for row in table.rows:
        low, high = row[-2:]
        assert isinstance(low, float)
        assert isinstance(high, float)
        assert 0 <= low < high <= 1


def test_bars_are_shares_of_the_networks() -> None:
    missed = samples.missed()
    shown = missed_digits(missed)
    assert [bar.words for bar in shown[1].bars] == ["3 of 5", "2 of 5"]
    assert [bar.width for bar in shown[1].bars] == [60.0, 40.0]
    assert (shown[1].label, shown[1].predicted) == ("5", "6")


def test_what_all_miss_in_words() -> None:
    some = missed_in_words(samples.missed())
    assert some.startswith(
        "All 5 networks that differ in their seed alone miss 2 test images of 10,000; were their mistakes independent "
        "of each other, less than one would be expected."
    )
    none = Missed("784-10", ("a", "b"), 7, 100, 0, 0.0, ())
    assert missed_in_words(none) == (
        "No test image is missed by all of 7 networks that differ in their seed alone."
    )
    one = Missed("784-10", ("a", "b"), 7, 100, 1, 12.3, ())
    assert (
        "alone miss 1 test image of 100; were their mistakes independent of each other, about 12 would"
        in (missed_in_words(one))
    )


@pytest.mark.parametrize(
    ("name", "start"), [("m.html", b"<!DOCTYPE"), ("m.svg", b"<svg"), ("m.png", b"\x89PNG")]
)
def test_files_by_their_names(name: str, start: bytes, tmp_path: Path) -> None:
    network = samples.example()
    found = Mistakes(network, None, (), samples.missed())  # type: ignore[arg-type]
    write_mistakes(found, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(
        RunError, match=re.escape("cannot be written (No such file or directory); name a file")
    ):
        write_mistakes(found, tmp_path / "none" / name)
    with pytest.raises(
        SpecError, match=r"is not the name of a page or a picture; name a file that ends in .html, "
    ):
        write_mistakes(found, tmp_path / "m.pdf")
