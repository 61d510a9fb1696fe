"""The page: self-contained, well-formed, and deaf to markup in names."""

import base64
import re
import struct
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from digitlab.errors import RunError
from digitlab.handout import handout_runs
from digitlab.report import html, images
from digitlab.report.document import Report
from digitlab.report.examples import mistakes
from digitlab.report.figures import write_figures
from digitlab.report.opening import architecture
from digitlab.report.published import PUBLISHED
from tests.report import samples

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """What is in a page: its elements, and whether they close as they open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def good() -> str:
    return html.render(samples.report())


@pytest.fixture(scope="module")
def hostile() -> str:
    return html.render(samples.hostile_report())


@pytest.mark.parametrize("which", ["good", "hostile"])
def test_a_page_needs_nothing_else(which: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(which)
    page = Page(text)
    assert not page.open
    tags = Counter(tag for tag, _ in page.elements)
    assert not tags.keys() & {"script", "link", "iframe", "object", "embed", "base", "form", "foreignobject"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
        if tag != "title":
            for name, value in attributes.items():
                targets = re.findall(r"url\(([^)]*)", value)
                assert name in {"aria-label", "alt"} or all(target.startswith("#") for target in targets)
    assert "@import" not in text
    assert "url(" not in text[text.index("<style>") : text.index("</style>")]
    assert len(text.encode()) < 3_000_000


@pytest.mark.parametrize("which", ["good", "hostile"])
def test_ids_are_unique_and_links_lead_somewhere(which: str, request: pytest.FixtureRequest) -> None:
    page = Page(request.getfixturevalue(which))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_names_stay_text(hostile: str) -> None:
    assert "<script" not in hostile
    assert "\x1b" not in hostile
    assert "\x00" not in hostile
    assert "{{ 7*7 }}" in hostile
    assert "Größe 数字 ∞" in hostile


def test_everything_is_on_the_page(good: str) -> None:
    page, report = Page(good), samples.report()
    words = "".join(page.words).replace("\u00a0", " ")
    for study in report.studies:
        texts = [
            study.question,
            *study.answer,
            *study.methods,
            *(f.verdict for f in study.findings),
            *(f.method for f in study.findings),
        ]
        texts += [picture.caption for picture in study.pictures] + [table.note for table in study.tables]
        assert all(text in words for text in texts)
    assert all(
        text in words
        for text in (*report.introduction, *report.commands, report.mixture, report.examples[0].key)
    )
    tags = Counter(tag for tag, _ in page.elements)
    # Four of the networks and six in chapters have their numbers below them; three stand beside answers.
    assert tags["details"] == 4 + 6
    assert tags["figure"] == tags["details"] + 3
    assert tags["img"] == 20 + 32 + 2
    assert tags["svg"] == 2 * tags["figure"]
    assert all(attributes["role"] == "img" for tag, attributes in page.elements if tag == "svg")
    assert all(attributes["alt"] for tag, attributes in page.elements if tag == "img")


def test_a_fragment_is_a_study_with_its_style() -> None:
    fragment = html.fragment(samples.study(samples.few_lines()))
    page = Page(fragment)
    assert not page.open
    assert page.elements[0] == ("div", {"class": "digitlab"})
    said = "The best rate grows in proportion to the batch up to about 128"
    assert fragment.index(said) < fragment.index("<h2>Batch size and learning rate")
    assert "Between the square-root rule (0.5)" in fragment


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, good: str) -> None:
    html.write(samples.report(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == good
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    bare = Report("", (), (), (), (), ())
    for path, why in (
        (tmp_path / "none" / "r.html", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "report.html" / "r.html", "Not a directory"),
    ):
        with pytest.raises(RunError) as error:
            html.write(bare, path)
        assert str(error.value) == (
            f"{path}: the report cannot be written ({why}); name a file in a folder that is there and that you may write to"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_answers_come_first_and_lead_to_their_chapters(good: str) -> None:
    page, report = Page(good), samples.report()
    assert report.opening.networks is not None
    order = [
        good.index(f"<h1>{report.title}</h1>"),
        good.index('id="network-1"'),
        good.index('id="network-3"'),
        good.index('id="accuracy"'),
        *(good.index(f'href="#study-{nth}"') for nth in (1, 2, 3)),
        good.index('aria-label="Contents"'),
        good.index('id="study-1"'),
    ]
    assert order == sorted(order)
    words = "".join(page.words).replace("\u00a0", " ")
    first = words[: words.index("Contents")]
    assert report.opening.networks.verdict in first
    for answer in report.opening.answers:
        assert answer.sentence in first
        assert answer.how_sure in first
    headings = [attributes for tag, attributes in page.elements if tag == "section"]
    assert headings[0]["id"] == "opening"


def test_the_numbers_behind_the_networks_are_on_the_page(good: str) -> None:
    words = "".join(Page(good).words).replace("\u00a0", " ")
    for run in handout_runs():
        block = words[words.index(architecture(run.hidden)[1:]) :]
        assert all(f"{loss:.3f}" in block for loss in run.training_loss)
    for result in PUBLISHED:
        assert f"{result.network}, {result.brief}" in words


def test_a_report_without_networks_opens_with_answers_alone(hostile: str) -> None:
    page = Page(hostile)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert "opening" in ids
    assert not ids & {"networks", "accuracy", "network-1"}
    bare = html.render(Report("", (), (), (), (), ()))
    assert 'id="opening"' not in bare


def test_the_whole_exercise_as_a_fragment_has_the_page_s_order() -> None:
    report = samples.report()
    fragment = html.opening_fragment(report.opening, report.studies)
    page = Page(fragment)
    assert not page.open
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert links == {"#study-1", "#study-2", "#study-3"}
    assert {link.removeprefix("#") for link in links} <= set(ids)
    order = [fragment.index(f'id="{name}"') for name in ("network-1", "accuracy", "study-1", "study-3")]
    assert order == sorted(order)
    assert report.opening.networks is not None
    assert report.opening.networks.verdict.split("'")[0] in fragment


# --- images ---


def decoded(uri: str) -> tuple[int, int, list[list[int]], bytes]:
    """A PNG read by hand: width, height, values, palette."""
    raw = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(raw):
        (size,), kind = struct.unpack(">I", raw[at : at + 4]), raw[at + 4 : at + 8]
        data = raw[at + 8 : at + 8 + size]
        assert struct.unpack(">I", raw[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + data)
        chunks[kind], at = data, at + 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = zlib.decompress(chunks[b"IDAT"])
    values = [list(rows[y * (width + 1) + 1 : (y + 1) * (width + 1)]) for y in range(height)]
    return width, height, values, chunks.get(b"PLTE", b"")


def test_a_digit_is_black_on_white() -> None:
    digit = samples.example().misclassified[0]
    width, height, values, palette = decoded(images.grey(digit.image))
    assert (width, height, palette) == (28, 28, b"")
    assert values == [[255 - value for value in row] for row in digit.image]


def test_weights_share_a_scale_around_white() -> None:
    limit = images.largest([[[0.5, -2.0, float("nan")]]])
    assert limit == 2.0
    _, _, values, palette = decoded(images.diverging([[0.0, 2.0, -2.0, 1.0, float("nan"), 9.0]], limit))
    assert values == [[127, 254, 0, 191, 127, 254]]
    assert [tuple(palette[3 * step : 3 * step + 3]) for step in (0, 127, 254)] == [
        (33, 102, 172),
        (247, 247, 247),
        (178, 24, 43),
    ]
    assert images.largest([]) == images.largest([[[0.0]]]) == 1.0


def test_a_mistake_shows_the_likeliest_classes_and_its_own() -> None:
    example = samples.example()
    for digit, mistake in zip(example.misclassified, mistakes(example), strict=True):
        likeliest = sorted(range(10), key=lambda index: -digit.probabilities[index])[:3]
        assert [bar.name for bar in mistake.bars[:3]] == [str(index) for index in likeliest]
        assert mistake.predicted == str(likeliest[0])
        assert [bar.name for bar in mistake.bars if bar.is_label] == [str(digit.label)]
        assert mistake.bars[0].words == f"{100 * digit.probabilities[likeliest[0]]:.1f} %"


# --- files ---


def test_figures_of_every_picture(tmp_path: Path) -> None:
    hostile = samples.study(samples.few_lines(), samples.few_lines(), name="../../x <b>")
    paths = write_figures([hostile], tmp_path / "figures")
    assert [path.name for path in paths] == [
        "x-b-accuracy.svg",
        "x-b-accuracy.png",
        "x-b-accuracy-2.svg",
        "x-b-accuracy-2.png",
    ]
    assert all(path.parent == tmp_path / "figures" and path.stat().st_size > 1000 for path in paths)
    report = Report("", (), (), (), (samples.example(),), ())
    assert [path.name for path in write_figures(report, tmp_path)] == [
        "confusion-3f9c2d41b7a8.svg",
        "confusion-3f9c2d41b7a8.png",
    ]
