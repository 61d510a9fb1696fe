"""Pictures as SVG, PNG and tables."""

import re
import struct
from xml.etree import ElementTree as ET

import pytest

from digitlab.analysis.findings import Axis, Effect, Estimate, Forest, Line, Lines, Picture, Point, Role
from digitlab.report.charts import HALF, NARROW, SMALL, WIDE, png, svg
from digitlab.report.charts.lines import strokes_of
from digitlab.report.examples import confusion_picture
from digitlab.report.opening import networks_of
from digitlab.report.published import PUBLISHED
from digitlab.report.tables import table_of
from tests.report import samples

SVG = "{http://www.w3.org/2000/svg}"
GOOD = (
    samples.heat_map(),
    samples.error_curve(),
    samples.few_lines(),
    samples.category_lines(),
    samples.forest(),
    confusion_picture(samples.example()),
)


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314  # drawn here


def texts(root: ET.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def drawn(picture: Picture, pixels: int = WIDE) -> ET.Element:
    return parsed(svg(picture, "page", pixels=pixels))


@pytest.mark.parametrize("picture", GOOD, ids=lambda picture: picture.name)
@pytest.mark.parametrize("pixels", [WIDE, NARROW])
def test_a_chart_has_its_width_and_says_what_it_is(picture: Picture, pixels: int) -> None:
    root = drawn(picture, pixels=pixels)
    assert 0.85 * pixels <= float(root.get("width", 0)) <= pixels
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.get("id") == root.get("aria-labelledby") == "chart-title"
    assert title.text == f"{picture.title}. {picture.caption}"
    axis = picture.x.title
    assert axis in texts(root)


@pytest.mark.parametrize("picture", samples.hostile_pictures(), ids=lambda picture: type(picture).__name__)
def test_odd_data_are_drawn_and_stay_text(picture: Picture) -> None:
    for theme in ("light", "page"):
        drawing = svg(picture, theme, prefix="p")
        root = parsed(drawing)
        assert not [
            element
            for element in root.iter()
            if element.tag.endswith(("script", "image", "a", "foreignObject"))
        ]
        assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
        values = [value for element in root.iter() for value in element.attrib.values()]
        assert all(
            target.startswith("#p-") for value in values for target in re.findall(r"url\(([^)]*)", value)
        )
        assert "NaN" not in drawing


def test_a_page_s_chart_takes_the_page_s_colours() -> None:
    page, light, dark = (svg(samples.few_lines(), theme) for theme in ("page", "light", "dark"))
    assert "currentColor" in page
    assert "currentColor" not in light + dark
    assert "#e3e6ea" in dark
    assert samples.few_lines().title in texts(parsed(light))
    assert samples.few_lines().title not in texts(parsed(page))


def test_ids_carry_the_prefix() -> None:
    ids = [
        element.get("id", "")
        for element in parsed(svg(samples.heat_map(), prefix="mine")).iter()
        if element.get("id")
    ]
    assert len(set(ids)) == len(ids) > 1
    assert all(name.startswith("mine-") for name in ids)


def test_a_heat_map_shows_cells_signs_and_ticks() -> None:
    picture = samples.heat_map()
    written = texts(drawn(picture))
    states = [square.state for square in picture.squares]
    # Each sign stands once more in the legend.
    assert written.count("×") == states.count("collapsed") + 1
    assert written.count("∞") == states.count("diverged") + 1
    assert {"1/512", "8", "4096", "best cell", "edge of stability"} <= set(written)


def test_a_confusion_matrix_shows_its_counts() -> None:
    example = samples.example()
    written = texts(drawn(confusion_picture(example)))
    counts = [str(count) for row in example.confusion for count in row]
    assert all(written.count(count) >= counts.count(count) for count in counts)


def test_a_forest_names_groups_and_effects() -> None:
    picture = samples.forest()
    for pixels in (WIDE, NARROW):
        written = texts(drawn(picture, pixels=pixels))
        assert {effect.label for effect in picture.effects} | {
            effect.group for effect in picture.effects
        } <= set(written)
        assert "practically equal: within ± 0.2 %" in written


def test_no_two_measured_lines_look_alike_and_fits_keep_the_colour() -> None:
    lines = samples.error_curve().lines
    strokes = dict(zip([line.name for line in lines], strokes_of(lines), strict=True))
    assert (
        strokes["linear"].colour == strokes["linear, power law"].colour == strokes["linear, predicted"].colour
    )
    assert strokes["linear"].colour != strokes["1 × 100"].colour
    assert strokes["linear"].shape != strokes["1 × 100"].shape
    assert strokes["linear, predicted"].dash
    assert strokes["linear, power law"].dash == ()
    assert strokes["linear"].dash is None  # its fit joins the points


def test_a_png_is_fit_for_a_slide() -> None:
    image = png(samples.few_lines())
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    width, _ = struct.unpack(">II", image[16:24])
    assert width >= 2 * WIDE


def test_the_numbers_behind_lines() -> None:
    picture = samples.few_lines()
    table = table_of(picture)
    assert table.columns == ("line", "learning rate", "test accuracy (%)", "from", "to")
    points = [(line.name, point.x, 100 * point.y) for line in picture.lines for point in line.points]
    assert [row[:3] for row in table.rows[:-1]] == points
    assert table.rows[0][3:] == (90.0, 97.0)
    name, _, height, *_ = table.rows[-1]
    assert name == "the handout's 92.79 %"
    assert height == pytest.approx(92.79)


def test_the_numbers_behind_a_heat_map() -> None:
    picture = samples.heat_map()
    table = table_of(picture)
    assert table.columns[:3] == ("batch size ↓ · learning rate →", "1/512", "1/256")
    assert [row[0] for row in table.rows] == [str(2**k) for k in range(3, 13)]
    cells = [cell for row in table.rows for cell in row[1:]]
    expected = {
        (s.x, s.y): s.state if s.state in {"collapsed", "diverged"} else 100 * s.value
        for s in picture.squares
    }
    assert cells == [expected[2.0**rate, 2.0**batch] for batch in range(3, 13) for rate in range(-9, 4)]
    assert "Best: 1/8, 32." in table.note
    assert "Cells: validation error (%)." in table.note


def test_the_numbers_behind_a_forest() -> None:
    picture = samples.forest()
    first = picture.effects[0]
    table = table_of(picture)
    assert table.rows[0] == (
        first.group,
        first.label,
        *(100 * end for end in (first.estimate.value, first.estimate.low, first.estimate.high)),
    )
    assert len(table.rows) == len(picture.effects)


@pytest.mark.parametrize("picture", samples.hostile_pictures(), ids=lambda picture: type(picture).__name__)
def test_odd_data_have_tables(picture: Picture) -> None:
    table = table_of(picture)
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_more_lines_than_colours_differ_in_dash_or_shape() -> None:
    ends = (Point(1.0, 1.0), Point(2.0, 2.0))
    strokes = strokes_of([Line(f"line {nth}", ends) for nth in range(20)])
    assert len({(stroke.colour, stroke.dash) for stroke in strokes}) == 20
    alone = strokes_of([Line(f"line {nth}", ends, drawn="line alone") for nth in range(20)])
    assert len({(stroke.colour, stroke.dash) for stroke in alone}) == 20
    assert {stroke.shape for stroke in alone} == {None}
    rules = strokes_of([Line(f"rule {nth}", ends, "reference") for nth in range(3)])
    assert len({stroke.colour for stroke in rules}) == 3


def test_points_of_others_lie_upon_our_line() -> None:
    picture = networks_of(samples.exercise()).losses[2]
    ours, theirs = strokes_of(picture.lines, "black")
    assert (ours.shape, ours.dash) == (None, ())
    assert (theirs.shape, theirs.dash, theirs.colour, theirs.filled) == ("circle", None, "black", False)
    # The handout's 15 points are drawn, and one more stands in the legend.
    marks = [group for group in drawn(picture).iter(f"{SVG}g") if "mark-symbol" in group.get("class", "")]
    paths = [path for group in marks for path in group.iter(f"{SVG}path")]
    assert [path.get("stroke") for path in paths].count("currentColor") == 16


def test_an_interval_of_a_share_is_drawn_and_tabled_up_to_100_percent() -> None:
    line = Line("accuracy", (Point(0, 0.98, 0.9, 1.06), Point(1, 0.5, -0.2, 0.6)))
    picture = Lines("one", "One", "", Axis("hidden layers"), Axis("accuracy", is_share=True), (line,))
    assert [row[3:] for row in table_of(picture).rows] == [(90.0, 100.0), (0.0, 60.0)]
    written = texts(drawn(picture))
    assert {"0", "1"} <= set(written)
    assert "0.5" not in written


@pytest.mark.parametrize("pixels", [HALF, NARROW])
def test_a_ranking_names_every_row_and_kind(pixels: int) -> None:
    picture = networks_of(samples.exercise()).accuracy
    root = drawn(picture, pixels=pixels)
    written = " ".join(texts(root))
    assert all(f"{result.network}, {result.brief}" in written for result in PUBLISHED)
    assert all(row.label in written for row in picture.rows)
    assert {"ours", "the handout", "plain", "committee"} <= set(texts(root))
    assert "…" not in written
    assert float(root.get("width", 0)) <= pixels
    assert {"1 %", "5 %"} <= set(texts(root))


def test_long_names_are_folded_and_not_cut() -> None:
    name = "a network of many hidden layers with a name that no legend and no margin holds in one line"
    ends = (Point(1.0, 1.0), Point(2.0, 2.0))
    lines = Lines("one", "One", "", Axis("x"), Axis("y"), (Line(name, ends), Line("b", ends)))
    forest = Forest("f", "F", "", Axis("x"), (Effect(name, "", Estimate(0.1, 0.0, 0.2)),))
    for picture in (lines, forest):
        for pixels in (WIDE, NARROW, SMALL):
            written = "".join(texts(drawn(picture, pixels=pixels))).replace(" ", "")
            assert name.replace(" ", "") in written


def test_fits_of_no_line_in_particular_look_different() -> None:
    ends = (Point(1.0, 1.0), Point(2.0, 2.0))
    roles: list[tuple[str, Role]] = [
        ("best rate", "measured"),
        ("linear law", "fitted"),
        ("root law", "fitted"),
    ]
    roles += [("rule", "reference"), ("no growth", "reference")]
    strokes = strokes_of([Line(name, ends, role) for name, role in roles])
    assert len({stroke.colour for stroke in strokes[:3]}) == 3
    assert strokes[0].dash == ()
    assert strokes[1].dash != strokes[2].dash
    assert strokes[3].dash != strokes[4].dash


def test_a_prediction_of_one_point_is_seen() -> None:
    line = Line("predicted", (Point(1.0, 1.0, 0.5, 2.0),), "predicted")
    picture = Lines("one", "One", "", Axis("x"), Axis("y"), (line,))
    (stroke,) = strokes_of([line])
    assert stroke.shape == "diamond"
    # Once in the chart, once in the legend.
    marks = [group for group in drawn(picture).iter(f"{SVG}g") if "mark-symbol" in group.get("class", "")]
    paths = [path for group in marks for path in group.iter(f"{SVG}path")]
    assert [path.get("stroke") for path in paths].count(stroke.colour) == 2
