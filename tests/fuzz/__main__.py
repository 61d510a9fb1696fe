"""Fuzz every parser and write the table: `make fuzz`.

    FUZZ_INPUTS=100000 python -m tests.fuzz [PARSER…]

Writes benchmarks/results/fuzz.md when all parsers ran; exit code 1 when anything but a DigitlabError came.
"""

import os
import platform
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from digitlab.engine.device import usable_cores
from tests.fuzz.harness import SEED, Tally
from tests.fuzz.parsers import fuzzed, parsers

AT_ONCE = 2_500
"""Inputs that a process gets at once."""
TABLE = Path(__file__).parent.parent.parent / "benchmarks" / "results" / "fuzz.md"


def main() -> int:
    """Run it, a process for each core; the exit code."""
    inputs, wanted = int(os.environ.get("FUZZ_INPUTS", "100000")), sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        names = [parser.name for parser in parsers(Path(folder)) if not wanted or parser.name in wanted]
    tallies = {name: Tally(name) for name in names}
    with ProcessPoolExecutor(usable_cores(), get_context("spawn")) as pool:
        running = {
            pool.submit(fuzzed, name, range(first, min(first + AT_ONCE, inputs))): name
            for name in names
            for first in range(0, inputs, AT_ONCE)
        }
        for each in as_completed(running):
            tally = tallies[running.pop(each)]
            tally.add(each.result())
            if tally.name not in running.values():
                print(row(tally), flush=True)
    for tally in tallies.values():
        for failure in tally.failures:
            print(failure, file=sys.stderr)
    if not wanted:
        TABLE.write_text(table(list(tallies.values())))
    return int(any(tally.failures for tally in tallies.values()))


def row(tally: Tally) -> str:
    """A parser's line of the table."""
    return (
        f"| {tally.name} | {tally.inputs:,} | {tally.refused:,} | {tally.accepted:,} | {len(tally.failures)} | "
        f"{tally.seconds:.0f} |"
    )


def table(tallies: list[Tally]) -> str:
    """The whole page."""
    libraries = ", ".join(
        f"{name} {version(name)}"
        for name in ("numpy", "torch", "pydantic", "safetensors", "sqlalchemy", "pillow")
    )
    rows = "\n".join(map(row, tallies))
    return f"""# Random inputs for every parser

Intact examples changed at random, in their bytes and in their values. A parser may take an input or refuse it
with a DigitlabError; anything else (another exception, a crash, more than 10 s for one input) is a failure.
Seconds of one core. Written by `make fuzz`; seed {SEED}.

| parser | inputs | refused | accepted | failures | seconds |
|---|---|---|---|---|---|
{rows}

Python {platform.python_version()}, digitlab {version("digitlab")}, {libraries}.
"""


if __name__ == "__main__":
    sys.exit(main())
