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

    out = stdout()
    out.print(Text(findings.title, style="bold"))
    out.print(Text(findings.question, style="italic"))
    out.print()
    for sentence in findings.answer:
        out.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))
    basis = f"{findings.run_count:,} runs; {findings.seeds}; scale {findings.scale}"
    out.print(Padding(Text(basis, style="dim"), (0, 0, 0, 2), expand=False))
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

    from digitlab.report.numbers import estimate, interval

    line = Text(found.title, style="bold")
    line.append(f": {estimate(found.estimate, found.unit)}", style="not bold")
    if found.estimate.has_interval:
        line.append(f", 95 % interval {interval(found.estimate, found.unit)}", style="not bold")
    line.append(f" (n = {found.n} {found.n_of})", style="not bold dim")
    stdout().print(line)
    stdout().print(Padding(Text(found.verdict), (0, 0, 1, 2), expand=False))


def _print_table(table: "Table") -> None:
    from rich.padding import Padding

    from digitlab.cli.tables import print_table
    from digitlab.report.numbers import column

    columns = [[row[index] for row in table.rows] for index in range(len(table.columns))]
    align = ["l" if any(isinstance(cell, str) for cell in cells) else "r" for cells in columns]
    out = stdout()
    out.print(table.title, style="bold")
    if table.rows:
        rows = list(zip(*map(column, columns), strict=True))
        print_table("".join(align), table.columns, rows, is_ruled=True)
    else:
        out.print(Padding("nothing to show", (0, 0, 0, 2), style="dim", expand=False))
    if table.note:
        out.print(Padding(table.note, (0, 0, 0, 2), style="dim", expand=False))
