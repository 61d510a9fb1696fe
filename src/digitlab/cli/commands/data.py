"""`digitlab data`: list, show, verify, fetch and import data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import data_sets
from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.terminal import JsonOption, print_json, stderr, stdout

if TYPE_CHECKING:
    from digitlab.data.catalog import DatasetEntry

data_app = typer.Typer(help="List, show, verify, fetch and import data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(autocompletion=data_sets, help="Name of a data set.")]


def _state(name: str) -> str:
    from digitlab.data import registry

    if registry.is_bundled(name):
        return "bundled"
    return "on this machine" if registry.is_cached(name) else "to be fetched"


@data_app.command("list")
def list_(json: JsonOption = False, output: OutputOption = None) -> None:
    """List the data sets."""
    from digitlab.cli.tables import print_table
    from digitlab.data import registry

    checked_output(output, json=json)
    entries = registry.entries()
    if json:
        print_json([_document(entry) if entry else {"name": name} for name, entry in entries.items()], output)
        return
    rows = [
        (
            name,
            entry.title,
            _state(name),
            f"{entry.train_images:,}",
            f"{entry.test_images:,}",
            str(len(entry.class_names)),
        )
        if entry
        else (name, "", "damaged: import it again", "", "", "")
        for name, entry in entries.items()
    ]
    print_table("lllrrr", ("name", "what", "state", "training", "test", "classes"), rows)


def _document(entry: "DatasetEntry") -> dict[str, object]:
    """What is known of a data set, for JSON."""
    from digitlab.data import cache, registry

    folder = str(cache.folder(entry.name)) if registry.is_cached(entry.name) else None
    return {
        **entry.model_dump(mode="json"),
        "sha256": entry.sha256,
        "is_bundled": registry.is_bundled(entry.name),
        "folder": folder,
    }


@data_app.command()
def show(name: Name, json: JsonOption = False, output: OutputOption = None) -> None:
    """Show what is known of a data set."""
    from rich.table import Table

    from digitlab.data import cache, registry

    checked_output(output, json=json)
    entry = registry.entry(name)
    if json:
        print_json(_document(entry), output)
        return
    table = Table.grid(padding=(0, 3))
    table.add_row("name", entry.name)
    table.add_row("what", entry.title)
    table.add_row("state", _state(name))
    if registry.is_cached(name):
        table.add_row("folder", str(cache.folder(name)))
    table.add_row(
        "images", f"{entry.train_images:,} for training, {entry.test_images:,} for testing, 28 x 28 pixels"
    )
    table.add_row("classes", ", ".join(entry.class_names))
    table.add_row("licence", entry.licence)
    table.add_row("cite", entry.citation)
    if entry.homepage:
        table.add_row("homepage", entry.homepage)
    for i, mirror in enumerate(entry.mirrors):
        table.add_row("" if i else "mirrors", mirror)
    table.add_row("SHA-256", f"{entry.sha256} (all)")
    for role, digest in entry.payload_sha256.items():
        table.add_row("", f"{digest} ({role.replace('_', ' ')})")
    stdout().print(table, soft_wrap=True)


@data_app.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=data_sets, help="Name of a data set.", show_default="all on this machine"
        ),
    ] = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Read every file of a data set and verify it."""
    from digitlab.data import registry
    from digitlab.errors import DataError

    checked_output(output, json=json)
    faults: list[DataError] = []
    verified: list[dict[str, object]] = []
    for each, checks in registry.verify_all(name):
        if isinstance(checks, DataError):  # of its description
            faults.append(checks)
            continue
        for check in checks:
            fault = str(check.fault) if check.fault else None
            verified.append({"name": each, "path": str(check.path), "fault": fault})
            if json:
                continue
            stdout().print(f"{'FAULT' if check.fault else 'intact'}  {check.path}", soft_wrap=True)
        faults += [check.fault for check in checks if check.fault]
    if json:
        print_json(verified, output)
    for found in faults:
        stderr().print(f"error: {found}", soft_wrap=True)
    if faults:
        raise typer.Exit(1)


@data_app.command()
def fetch(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Fetch it even if it is there and intact.")] = False,
) -> None:
    """Fetch a data set from its mirrors, and verify it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from digitlab.data import cache, registry
    from digitlab.data.download import fetch as fetch_data

    entry = registry.entry(name)
    if not force and registry.is_intact(name):
        stdout().print(f"{name} is there already and intact: {cache.folder(name)}", soft_wrap=True)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True, disable=not stderr().is_terminal) as bar:
        tasks = {}

        def show_bytes(file_name: str, received: int, total: int | None) -> None:
            if file_name not in tasks:
                tasks[file_name] = bar.add_task(file_name, total=total)
            bar.update(tasks[file_name], completed=received, total=total)

        fetch_data(entry, show_bytes)
    _print_added(entry)


@data_app.command("import")
def import_(
    name: Annotated[
        str, typer.Argument(autocompletion=data_sets, help="Its name: of the list, or a new one.")
    ],
    path: Annotated[Path, typer.Argument(help="Directory of the four IDX files, gzip or raw.")],
) -> None:
    """Import a data set from a directory, and verify it."""
    from digitlab.data.importing import import_directory

    _print_added(import_directory(name, path))


def _print_added(entry: "DatasetEntry") -> None:
    from digitlab.data import cache
    from digitlab.data.catalog import CATALOG

    sizes = f"{entry.train_images:,} training and {entry.test_images:,} test images"
    classes = f"{len(entry.class_names)} classes"
    how = (
        "verified by the catalogue's digests"
        if entry.name in CATALOG
        else "intact; their digests are recorded"
    )
    stdout().print(f"{entry.name}: {sizes}, {classes}, {how}", soft_wrap=True)
    stdout().print(str(cache.folder(entry.name)), soft_wrap=True)
