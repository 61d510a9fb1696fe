"""How findings are told in the terminal: in a sentence, and with all that was found."""

from typing import TYPE_CHECKING

from digitlab.cli.terminal import stdout

if TYPE_CHECKING:
    from digitlab.analysis.findings import Finding, StudyFindings, Table
    from digitlab.report.opening import Answer


def print_answer(answer: "Answer") -> None:
    """Print a study's answer in a sentence, and how sure it is."""
    from rich.padding import Padding
    from rich.text import Text

    out = stdout()
    out.print(Text(answer.title, style="bold").append(f": {answer.question}", style="not bold italic"))
    out.print(Padding(Text(answer.sentence), (0, 0, 0, 2), expand=False))
    out.print(Padding(Text(answer.how_sure, style="dim"), (0, 0, 1, 2), expand=False))


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
        print_table_of(table)


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


def print_table_of(table: "Table") -> None:
    """Print a table under its title, with its note below."""
    from rich.padding import Padding

    from digitlab.cli.tables import print_table
    from digitlab.report.cells import written

    shown = written(table)
    out = stdout()
    out.print(table.title, style="bold")
    if shown.rows:
        align = "".join("l" if head.kind == "text" else "r" for head in shown.heads)
        print_table(align, [head.name for head in shown.heads], shown.rows, is_ruled=True)
    else:
        out.print(Padding("nothing to show", (0, 0, 0, 2), style="dim", expand=False))
    if shown.note:
        out.print(Padding(shown.note, (0, 0, 0, 2), style="dim", expand=False))
