"""The worksheet: its printable page is made of its text, and is a page to print and nothing else."""

import re

from tools import worksheet


def test_the_page_is_made_of_the_text_as_it_is_now() -> None:
    made = (worksheet.DOCS / "worksheet.html").read_text(encoding="utf-8")
    assert made == worksheet.page(), "run python tools/worksheet.py"


def test_the_page_prints_and_does_nothing_else() -> None:
    page = worksheet.page()
    assert not re.search(r"<script|<button|<form|<input|https?://", page)
    assert page.count("<table>") == page.count("</table>") == 6
    assert "<ol" in page
    assert "@page" in page


def test_all_four_questions_of_the_exercise_are_asked() -> None:
    text = (worksheet.DOCS / "worksheet.md").read_text(encoding="utf-8")
    for question in ("batch size and learning rate", "size of the training set", "depth", "other parameters"):
        assert re.search(rf"### How .*{question}", text)
