"""The page's own files: what is vendored, how large the scripts are, where the texts stand."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitlab.web.pages import FOLDER, static_files, without_comments

VENDOR = FOLDER / "vendor"
TEXTS = FOLDER / "texts" / "en.js"
OWN = sorted(path for path in FOLDER.rglob("*.js") if VENDOR not in path.parents)
MANIFEST = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))["files"]
TOOLS = Path(__file__).parents[2] / "tools" / "web"

SCRIPT_BUDGET = 60_000
"""Bytes of script that a visit of a view takes, as they are sent: each file packed by itself."""
WHOLE_BUDGET = 100_000
"""Of all views together: docs/design.md says why it is more."""


@pytest.mark.parametrize("name", MANIFEST)
def test_vendored_files_are_what_the_manifest_says_and_carry_their_licence(name: str) -> None:
    entry = MANIFEST[name]
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == entry["sha256"]
    for licence in entry["licence_files"]:
        text = (VENDOR / licence).read_text(encoding="utf-8")
        assert "Apache License" in text or "MIT License" in text


def test_nothing_vendored_is_missing_from_the_manifest() -> None:
    licences = {licence for entry in MANIFEST.values() for licence in entry["licence_files"]}
    types = {"preact-htm.d.ts"}  # our own, of the file beside them
    assert {path.name for path in VENDOR.iterdir()} == {*MANIFEST, *licences, *types, "manifest.json"}


def imported(path: Path) -> set[Path]:
    """A script and all that it imports at once, and what these import."""
    found, ahead = set(), [path]
    while ahead:
        script = ahead.pop()
        if script not in found:
            found.add(script)
            source = script.read_text(encoding="utf-8")
            ahead += [(script.parent / name).resolve() for name in re.findall(r'\bfrom "(\.[^"]+)"', source)]
    return found


def sent_bytes(script: Path) -> int:
    file = static_files()[script.relative_to(FOLDER).as_posix()]
    return len(file.packed or file.content)


VIEWS = re.findall(r'(\w+): \(\) => import\("(.+?)"\)', (FOLDER / "views.js").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("view", "module"), VIEWS)
def test_a_visit_of_a_view_takes_little_script(view: str, module: str) -> None:
    scripts = imported(FOLDER / "main.js") | imported((FOLDER / module).resolve())
    sizes = {script.name: sent_bytes(script) for script in scripts}
    assert sum(sizes.values()) <= SCRIPT_BUDGET, sizes


def test_all_views_together_take_no_more_script_than_is_said() -> None:
    assert sum(map(sent_bytes, FOLDER.rglob("*.js"))) <= WHOLE_BUDGET


def test_comments_are_not_sent_and_lines_keep_their_numbers() -> None:
    script = '// What it is.\nlet a = "// no"; // why\n  /**\n   * @type {b}\n   */\nlet c = (/** @type {d} */ (e));\n'
    assert without_comments(script) == '\nlet a = "// no"; // why\n\n\n\nlet c = (/** @type {d} */ (e));\n'
    for path in OWN:  # what looks like a comment is one: no text and no markup has such a line
        source = path.read_text(encoding="utf-8")
        assert not any(re.search(r"^\s*(//|/\*\*)", markup, re.MULTILINE) for markup in templates(source)), (
            path
        )


def test_the_page_has_no_inline_script_and_no_inline_style() -> None:
    index = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", index) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", index) == []
    for path in OWN:
        source = path.read_text(encoding="utf-8")
        assert re.findall(r'\bstyle="|innerHTML|document\.write|\beval\(|new Function', source) == [], path


@pytest.mark.parametrize(
    "path", [path for path in FOLDER.rglob("*") if path.suffix in {".js", ".css", ".html", ".svg"}]
)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    if VENDOR in path.parents:
        return
    urls = set(re.findall(r"https?://[^\"'\s)]+", path.read_text(encoding="utf-8")))
    assert urls <= {"http://www.w3.org/2000/svg"}


def templates(source: str) -> Iterator[str]:
    """The markup of every html`…`, without what is computed in it."""
    for start in re.finditer(r"html`", source):
        yield _markup(source, start.end())[0]


def _markup(source: str, at: int) -> tuple[str, int]:
    """The text of a template from here to its end, its holes left out."""
    kept = []
    while source[at] != "`":
        if source.startswith("${", at):
            at = _hole(source, at + 2)
            kept.append("\0")
        else:
            kept.append(source[at])
            at += 1
    return "".join(kept), at + 1


def _hole(source: str, at: int) -> int:
    """Where the hole ends that begins here."""
    depth = 1
    while depth:
        if source[at] == "`":
            _, at = _markup(source, at + 1)
            continue
        if source[at] in "\"'":
            at = source.index(source[at], at + 1)
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        at += 1
    return at


NO_WORDS = {"784", "10", "digitlab"}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_every_text_stands_in_the_file_of_texts(path: Path) -> None:
    for markup in templates(path.read_text(encoding="utf-8")):
        assert re.findall(r'(?:aria-label|title|placeholder|alt)="[^"\0]*[A-Za-z]{2}[^"\0]*"', markup) == []
        shown = re.sub(r"<[^>]*>", "\n", markup.replace("=>", ""))
        words = [word for word in re.findall(r"[A-Za-z]{2,}", shown) if word not in NO_WORDS]
        assert words == [], markup


def test_every_text_that_is_used_is_there_and_every_other_is_gone() -> None:
    texts = TEXTS.read_text(encoding="utf-8")
    names = set(re.findall(r"[\s{,]([a-zA-Z_]\w*)(?=:)", texts))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in OWN if path != TEXTS)
    used = {
        name
        for chain in re.findall(r"\b(?:texts|said)((?:\.[a-zA-Z_]\w*)+)", sources)
        for name in chain.split(".")
        if name
    }
    built_in = {"js", "length", "map"}
    assert used - names - built_in == set()


@pytest.mark.skipif(
    not (TOOLS / "node_modules").is_dir() or shutil.which("node") is None, reason="make lint-page has not run"
)
def test_the_types_of_the_scripts_hold() -> None:
    checked = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=TOOLS, capture_output=True, text=True, timeout=120
    )
    assert (checked.returncode, checked.stdout) == (0, "")
