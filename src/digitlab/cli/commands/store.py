"""`digitlab store`: verify what the store holds, merge and copy stores."""

from typing import Annotated

import typer

from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import JsonOption, print_json, stderr, stdout

store_app = typer.Typer(help="Verify the store, merge and copy stores.", no_args_is_help=True)


@store_app.command()
def verify(
    recompute: Annotated[
        int, typer.Option("--recompute", metavar="K", min=0, help="Train K runs, drawn at random, again.")
    ] = 0,
    json: JsonOption = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """Read every run and verify it; one that was changed is set aside, to be computed again."""
    from digitlab.recomputation import recomputed
    from digitlab.store import SHORT_KEY

    checked_output(output, json=json)
    with opened(store_file, must_exist=True) as store:
        found = store.verify()
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
        verdicts, differs = {}, False
        for recomputed_run in recomputed(store, recompute):
            verdicts[recomputed_run.key] = recomputed_run.verdict
            differs |= recomputed_run.differs
            if not json:
                stdout().print(f"{recomputed_run.key[:SHORT_KEY]}  {recomputed_run.verdict}", soft_wrap=True)
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
    if found.set_aside or differs:
        raise typer.Exit(1)


@store_app.command()
def merge(
    other: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="The store to take runs from; it stays as it is.")
    ],
    store_file: StoreOption = None,
) -> None:
    """Take over the runs of another store that this one does not hold."""
    from digitlab.store import Filter

    with opened(other, must_exist=True) as source, opened(store_file) as store:
        count, added = source.count(Filter()), store.merge(source)
    stdout().print(f"{added:,} of {count:,} runs taken over")


@store_app.command()
def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="The store to copy, a file or a URL; it stays as it is.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="The store to copy it into; what that holds stays as it is.")
    ],
) -> None:
    """Copy all runs and measurements of one store into another: a file, or a PostgreSQL database."""
    from digitlab.store import Filter, shown_place

    with opened(source, must_exist=True) as old, opened(target) as new:
        count, added = old.count(Filter()), new.merge(old)
    stdout().print(f"{added:,} of {count:,} runs copied to {shown_place(target)}", soft_wrap=True)
