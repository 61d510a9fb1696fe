"""Writes docs/worksheet.html, for printing, from docs/worksheet.md: `python tools/worksheet.py`."""

from pathlib import Path

from markdown_it import MarkdownIt

from digitlab.files import write_whole

DOCS = Path(__file__).parent.parent / "docs"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Worksheet: handwritten digits with neural networks</title>
<style>
body {{ font: 11pt/1.45 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5em; }}
h2 {{ font-size: 1.2em; margin-top: 2em; }}
h3 {{ font-size: 1em; margin-top: 1.6em; }}
h2, h3, p:has(+ table), p:has(+ pre) {{ break-after: avoid; }}
table {{ border-collapse: collapse; width: 100%; margin: 0.8em 0; break-inside: avoid; }}
th, td {{ border: 1px solid #777; padding: 0.35em 0.5em; text-align: left; vertical-align: top; }}
td:empty {{ min-width: 4.5rem; height: 2.1em; }}
pre {{ border-left: 3px solid #bbb; padding-left: 0.8em; white-space: pre-wrap; break-inside: avoid; }}
li {{ margin-bottom: 3.2em; break-inside: avoid; }}
li pre {{ margin-top: 0.6em; }}
ul li {{ margin-bottom: 0.3em; }}
@page {{ size: A4; margin: 18mm; }}
@media print {{ body {{ margin: 0; max-width: none; padding: 0; }} }}
</style>
</head>
<body>
{content}</body>
</html>
"""


def page() -> str:
    """The worksheet as a page without scripts, with room to write below each question."""
    markdown = (DOCS / "worksheet.md").read_text(encoding="utf-8")
    return PAGE.format(content=MarkdownIt("commonmark").enable("table").render(markdown))


if __name__ == "__main__":
    write_whole(DOCS / "worksheet.html", page().encode())
