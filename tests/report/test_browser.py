"""The page in a real browser: as wide as the screen, on screen and on paper."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from digitlab.report import html
from tests.report import samples

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# A page measures itself and tells the page around it.
PROBE = """<script>addEventListener("load", () => {
  const root = document.documentElement, wide = root.clientWidth;
  const cut = [...document.querySelectorAll("svg, img, h1, h2, h3, p, figcaption")].filter(
    (e) => e.getBoundingClientRect().right > wide + 1 && !e.closest(".scroll"));
  const charts = [...document.querySelectorAll("svg")].filter((e) => e.getBoundingClientRect().width);
  const small = charts.filter((e) => e.getBoundingClientRect().width < 0.9 * e.viewBox.baseVal.width);
  const paper = getComputedStyle(document.body).backgroundColor;
  const found = [innerWidth, root.scrollWidth - wide, cut.length, charts.length, small.length, paper];
  parent.postMessage(found.join(" | "), "*");
})</script>"""
# In a frame, since a window without a head is at least 500 pixels wide.
FRAME = """<!DOCTYPE html><iframe src="probed.html" width="{width}" height="900"></iframe>
<script>addEventListener("message", (e) => {{ document.body.dataset.found = e.data; }})</script>"""


def browse(page: Path, tmp_path: Path, *options: str) -> str:
    quiet = [
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    run = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()],
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.decode()


@pytest.fixture(scope="module", params=["good", "hostile"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = samples.report() if request.param == "good" else samples.hostile_report()
    path = tmp_path_factory.mktemp(request.param) / "report.html"
    html.write(report, path)
    return path


def measured(page: Path, width: int, tmp_path: Path, *options: str) -> list[str]:
    """What the page says of itself in a frame of this width."""
    probed = page.read_text(encoding="utf-8").replace("</head>", f"{PROBE}</head>", 1)
    (tmp_path / "probed.html").write_text(probed, encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    dumped = browse(frame, tmp_path, "--virtual-time-budget=5000", *options, "--dump-dom")
    found = re.search(r'data-found="([^"]*)"', dumped)
    assert found, dumped
    return found[1].split(" | ")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(page: Path, width: int, tmp_path: Path) -> None:
    shown, excess, cut, charts, small, _ = measured(page, width, tmp_path)
    assert int(shown) == width
    assert (excess, cut) == ("0", "0")
    # Of each pair, the one that fits is shown, about as large as it was drawn.
    assert int(charts) == page.read_text(encoding="utf-8").count("<figure")
    assert small == "0"


def test_light_and_dark(page: Path, tmp_path: Path) -> None:
    papers = [
        measured(page, 1000, tmp_path, f"--blink-settings=preferredColorScheme={scheme}")[-1]
        for scheme in (1, 0)
    ]
    assert papers == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_screenshot_and_print(page: Path, tmp_path: Path) -> None:
    shot, paper = tmp_path / "shot.png", tmp_path / "page.pdf"
    browse(page, tmp_path, "--window-size=1280,2000", f"--screenshot={shot}")
    browse(page, tmp_path, f"--print-to-pdf={paper}")
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert paper.read_bytes().startswith(b"%PDF")


# 176 mm of an A4 page lie between its margins.
PAPER_PIXELS = 665


def test_on_paper_nothing_is_cut(page: Path, tmp_path: Path) -> None:
    """The page's own rules for paper, held on a screen as wide as an A4 page between its margins."""
    text = page.read_text(encoding="utf-8").replace("@media print", "@media all")
    text = text.replace("@media screen and", "@media speech and")
    on_paper = tmp_path / "paper.html"
    on_paper.write_text(text, encoding="utf-8")
    _, excess, cut, charts, *_ = measured(on_paper, PAPER_PIXELS, tmp_path)
    assert (excess, cut) == ("0", "0")
    assert int(charts) == text.count("<figure")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
def test_the_first_sheet_answers_the_exercise(tmp_path: Path) -> None:
    path, paper = tmp_path / "report.html", tmp_path / "page.pdf"
    html.write(samples.report(), path)
    browse(path, tmp_path, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    told = subprocess.run(["pdftotext", "-l", "1", str(paper), "-"], capture_output=True, timeout=60)
    words = " ".join(told.stdout.decode().split())
    assert "All 48 of the handout's figures" in words
    assert "2 hidden layers of 100, MNIST" in words
