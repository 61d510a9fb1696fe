"""How findings are told in the terminal: question, answer, what was found, tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from digitlab.cli.terminal import stdout

if TYPE_CHECKING:
    from rich.console import RenderableType

    from digitlab.analysis.findings import Finding, StudyFindings, Table


def print_findings(findings: "StudyFindings", *, is_brief: bool = False) -> None:
    """Print what a study says, as wide as the terminal, or 100 columns where there is none.

    is_brief: question and answer alone
    """
    from rich.padding import Padding
    from rich.text import Text

    from digitlab.report.numbers import clean

    out = stdout()
    out.print(Text(clean(findings.title), style="bold"))
    out.print(Text(clean(findings.question), style="italic"))
    out.print()
    for sentence in findings.answer:
        out.print(Padding(Text(clean(sentence)), (0, 0, 0, 2), expand=False))
    basis = f"{findings.run_count:,} runs; {findings.seeds}; scale {findings.scale}"
    out.print(Padding(Text(clean(basis), style="dim"), (0, 0, 0, 2), expand=False))
    if is_brief:
        out.print()
        return
    if findings.findings:
        out.print()
        out.print(_found(findings.findings))
    for table in findings.tables:
        out.print()
        _print_table(table)


def _found(findings: "Sequence[Finding]") -> "RenderableType":
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    from digitlab.report.numbers import clean, estimate, interval

    grid = Grid(box=box.SIMPLE, expand=False, padding=(0, 1), show_lines=True)
    grid.add_column("What", ratio=2, min_width=16)
    grid.add_column("Estimate", justify="right", min_width=8)
    grid.add_column("95 % interval", justify="right", min_width=10)
    grid.add_column("n", justify="right")
    grid.add_column("Verdict", ratio=3, min_width=22)
    for finding in findings:
        grid.add_row(
            Text(clean(finding.title)),
            Text(estimate(finding.estimate, finding.unit)),
            Text(interval(finding.estimate, finding.unit)),
            Text(clean(f"{finding.n} {finding.n_of}")),
            Text(clean(finding.verdict)),
        )
    return grid


def _print_table(table: "Table") -> None:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    from digitlab.report.numbers import clean, column

    grid = Grid(box=box.SIMPLE, padding=(0, 1))
    columns = [[row[at] for row in table.rows] for at in range(len(table.columns))]
    for name, cells in zip(table.columns, columns, strict=True):
        is_text = any(isinstance(cell, str) for cell in cells)
        grid.add_column(Text(clean(name)), justify="left" if is_text else "right")
    for row in zip(*map(column, columns), strict=True):
        grid.add_row(*map(Text, row))
    out = stdout()
    out.print(Text(clean(table.title), style="bold"))
    out.print(
        grid if table.rows else Padding(Text("nothing to show", style="dim"), (0, 0, 0, 2), expand=False)
    )
    if table.note:
        out.print(Padding(Text(clean(table.note), style="dim"), (0, 0, 0, 2), expand=False))
