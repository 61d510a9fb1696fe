"""Rounds of faults: `python -m tests.faults --rounds 200 --seed 1`.

`--only 17` repeats the 17th round alone. Writes benchmarks/results/faults.md and faults.json with `--write`; exit
code 1 when a round breaks the invariant.
"""

import argparse
import json
import os
import platform
import secrets
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random

from digitlab.engine.device import find_device, processor_name, usable_cores
from tests.faults.databases import end_server
from tests.faults.kinds import FAULTS
from tests.faults.nodes import end_nodes
from tests.faults.rounds import Round, one_round, uninterrupted

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"


def main() -> int:
    """Do the rounds; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults, and what is left.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--only", type=int, help="the number of one round")
    parser.add_argument("--kind", default="", help="only kinds in whose name this is")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no round after so many")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/results")
    wanted = parser.parse_args()
    print(f"seed {wanted.seed}", flush=True)
    left_out = {fault.name: why for fault in FAULTS if (why := fault.why_not())}
    kinds = [fault for fault in FAULTS if fault.name not in left_out and wanted.kind in fault.name]
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")
    rounds: list[Round] = []
    start, load = time.monotonic(), os.getloadavg()[0]
    with uninterrupted() as whole, ExitStack() as stack:
        stack.callback(end_server)
        stack.callback(end_nodes)
        for number in range(wanted.rounds):
            # Every kind once before any comes again, each time in another order.
            turn, place = divmod(number, len(kinds))
            fault = Random(f"{wanted.seed} {turn}").sample(kinds, len(kinds))[place]
            if wanted.only is not None and number != wanted.only:
                continue
            if time.monotonic() - start > 60 * wanted.minutes:
                break
            rounds.append(one_round(fault, f"{wanted.seed} {number}", whole, number))
            _tell(rounds, wanted.rounds, start)
            if wanted.write:
                _write(rounds, wanted.seed, load, time.monotonic() - start, left_out)
    print("\n".join(_table(rounds)))
    return int(any(each.faults for each in rounds))


def _tell(rounds: list[Round], count: int, start: float) -> None:
    last, seconds = rounds[-1], time.monotonic() - start
    left = seconds / len(rounds) * (count - len(rounds)) / 60
    codes = ", ".join(map(str, last.codes))
    print(
        f"{last.number}: {last.kind}, exit {codes}, {last.lost} runs left, {last.seconds:.1f} s; "
        f"{left:.0f} minutes left",
        flush=True,
    )
    for fault in last.faults:
        print(f"    BROKEN: {fault}", flush=True)


def _table(rounds: list[Round]) -> list[str]:
    lines = [
        "| fault | rounds | while it ran | it went on by itself | runs left for the recovery | seconds a round | broken |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (fault.name for fault in FAULTS):
        if these := [each for each in rounds if each.kind == name]:
            alone = sum(not any(each.codes) for each in these)
            hit = sum(each.hit for each in these)
            lost = f"{min(each.lost for each in these)} to {max(each.lost for each in these)}"
            seconds = sum(each.seconds for each in these) / len(these)
            wrong = sum(bool(each.faults) for each in these)
            lines.append(f"| {name} | {len(these)} | {hit} | {alone} | {lost} | {seconds:.1f} | {wrong} |")
    return lines


def _write(rounds: list[Round], seed: int, load: float, seconds: float, left_out: dict[str, str]) -> None:
    wrong = [
        f"- round {each.number}, {each.kind}: {'; '.join(each.faults)}" for each in rounds if each.faults
    ]
    without = "".join(f" Left out: {name} ({why})." for name, why in left_out.items())
    text = f"""# One fault at a time

A real `digitlab study run` of 24 runs, one fault at a random moment, then the study once more. After each round the
store equals the uninterrupted study's to the bit (seconds, times and threads taken out), nothing is missing or done
twice, no process and no file is left. Written by `make faults`; one round again: `python -m tests.faults --seed {seed}
--rounds 200 --only N`.

Seed {seed}, {len(rounds)} rounds, {sum(bool(each.faults) for each in rounds)} broken.{without}

{chr(10).join(_table(rounds))}

{"Broken:" + chr(10) + chr(10).join(wrong) if wrong else "Nothing was broken."}

{datetime.now(UTC):%Y-%m-%d}, {processor_name(find_device("cpu", "float32"))}, {usable_cores()} cores, load {load:.1f} at the start;
{seconds / 60:.0f} minutes. Python {platform.python_version()}, digitlab {version("digitlab")}.
"""
    (RESULTS / "faults.md").write_text(text)
    document = {"seed": seed, "load": load, "seconds": round(seconds), "rounds": []}
    for each in rounds:
        told = asdict(each)
        document["rounds"].append(told | {"seconds": round(each.seconds, 1)})  # type: ignore[attr-defined]
    (RESULTS / "faults.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
