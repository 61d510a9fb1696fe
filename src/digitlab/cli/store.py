"""`digitlab store`: verify what the store holds, and merge stores."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.stores import SHORT_KEY, StoreOption, opened
from digitlab.cli.terminal import JsonOption, print_json, stderr, stdout

if TYPE_CHECKING:
    from digitlab.result import RunResult
    from digitlab.store import Store

_DIFFERS = "DIFFERS"

store_app = typer.Typer(help="Verify the store, and merge stores.", no_args_is_help=True)


@store_app.command()
def verify(
    recompute: Annotated[
        int, typer.Option("--recompute", metavar="K", min=0, help="Train K runs, drawn at random, again.")
    ] = 0,
    json: JsonOption = False,
    output: OutputOption = None,
    store: StoreOption = None,
) -> None:
    """Read every run and verify it; one that was changed is set aside, to be computed again."""
    checked_output(output, json=json)
    with opened(store, must_exist=True) as place:
        found = place.verify()
        if not json:
            stdout().print(f"{found.checked:,} runs read, {len(found.set_aside):,} set aside")
        for key in found.set_aside:
            stderr().print(f"error: {key[:SHORT_KEY]}: is not as it was written", soft_wrap=True)
        for key in found.unreadable:
            stderr().print(
                f"{key[:SHORT_KEY]}: cannot be read by this version of digitlab: another one wrote it; it "
                "counts as unknown, and is computed again when it is needed",
                soft_wrap=True,
            )
        verdicts: dict[str, str] = {}
        for key, verdict in _recompute(place, recompute):
            verdicts[key] = verdict
            if not json:
                stdout().print(f"{key[:SHORT_KEY]}  {verdict}", soft_wrap=True)
    if json:
        print_json(
            {
                "checked": found.checked,
                "set_aside": found.set_aside,
                "unreadable": found.unreadable,
                "recomputed": verdicts,
            },
            output,
        )
    if found.set_aside or _DIFFERS in verdicts.values():
        raise typer.Exit(1)


def _recompute(store: "Store", count: int) -> Iterator[tuple[str, str]]:
    """Train some of the runs again; the key of each and how it came out."""
    from digitlab import lab
    from digitlab.store import Filter

    keys = store.keys(Filter()) if count else []
    results = store.get(random.sample(keys, min(count, len(keys))), predictions=True).values()
    for result in results:
        again, _ = lab.run(result.spec)
        others = result.provenance.fingerprint.differences(again.provenance.fingerprint)
        if _bits(result) == _bits(again):
            verdict = "the same to the last bit"
        elif others:
            verdict = f"not compared: {', '.join(others)}"
        else:
            verdict = _DIFFERS
        yield result.key, verdict


def _bits(result: "RunResult") -> tuple[str, bytes | None]:
    """All of a result that two computations of it have in common."""
    return result.model_dump_json(exclude={"provenance"}), result.predictions


@store_app.command()
def merge(
    other: Annotated[Path, typer.Argument(help="The store to take runs from; it stays as it is.")],
    store: StoreOption = None,
) -> None:
    """Take over the runs of another store that this one does not hold."""
    from digitlab.store import Filter

    with opened(other, must_exist=True) as source, opened(store) as place:
        count, added = source.count(Filter()), place.merge(source)
    stdout().print(f"{added:,} of {count:,} runs taken over")
