"""How findings are told in the terminal: question, answer, what was found, tables."""

from typing import TYPE_CHECKING

from digitlab.cli.terminal import stdout

if TYPE_CHECKING:
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
    out.print()
    for found in findings.findings:
        _print_finding(found)
    for table in findings.tables:
        out.print()
        _print_table(table)


def _print_finding(found: "Finding") -> None:
    """A line of numbers, and below it what they say."""
    from rich.padding import Padding
    from rich.text import Text

    from digitlab.report.numbers import clean, estimate, interval

    line = Text(clean(found.title), style="bold")
    line.append(f": {estimate(found.estimate, found.unit)}", style="not bold")
    if found.estimate.has_interval:
        line.append(f", 95 % interval {interval(found.estimate, found.unit)}", style="not bold")
    line.append(clean(f" (n = {found.n} {found.n_of})"), style="not bold dim")
    stdout().print(line)
    stdout().print(Padding(Text(clean(found.verdict)), (0, 0, 1, 2), expand=False))


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
