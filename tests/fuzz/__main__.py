"""Fuzz every parser and write the table: `make fuzz`.

    FUZZ_INPUTS=100000 python -m tests.fuzz [PARSER…]

Writes benchmarks/results/fuzz.md when all parsers ran; exit code 1 when anything but a DigitlabError came.
"""

import faulthandler
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.fuzz.harness import SEED, Tally, fuzz
from tests.fuzz.parsers import parsers

TABLE = Path(__file__).parent.parent.parent / "benchmarks" / "results" / "fuzz.md"
HANG_SECONDS = 3_600


def main() -> int:
    """Run it; the exit code."""
    inputs, wanted = int(os.environ.get("FUZZ_INPUTS", "100000")), sys.argv[1:]
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DIGITLAB_DATA"] = folder
        for parser in parsers(Path(folder)):
            if wanted and parser.name not in wanted:
                continue
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            tally = tallies[parser.name] = fuzz(parser, inputs)
            faulthandler.cancel_dump_traceback_later()
            print(row(parser.name, tally), flush=True)
            for failure in tally.failures:
                print(failure, file=sys.stderr, flush=True)
    if not wanted:
        TABLE.write_text(table(tallies))
    return int(any(tally.failures for tally in tallies.values()))


def row(name: str, tally: Tally) -> str:
    """A parser's line of the table."""
    return (
        f"| {name} | {tally.inputs:,} | {tally.refused:,} | {tally.accepted:,} | {len(tally.failures)} | "
        f"{tally.seconds:.0f} |"
    )


def table(tallies: dict[str, Tally]) -> str:
    """The whole page."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "torch", "pydantic", "safetensors", "sqlalchemy")
    )
    rows = "\n".join(row(name, tally) for name, tally in tallies.items())
    return f"""# Random inputs for every parser

Sound examples changed at random, in their bytes and in their values. A parser may take an input or refuse it
with a DigitlabError; anything else (another exception, a crash, more than 10 s for one input) is a failure. A
failure ends a parser's run after five of them. Written by `make fuzz`; seed {SEED}.

| parser | inputs | refused | accepted | failures | seconds |
|---|---|---|---|---|---|
{rows}

Python {platform.python_version()}, digitlab {version("digitlab")}, {libraries}.
"""


if __name__ == "__main__":
    sys.exit(main())
