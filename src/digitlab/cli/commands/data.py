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
WritersOption = Annotated[
    bool, typer.Option("--writers", help="Instead of the images: who wrote each, QMNIST's two label files.")
]


def _state(name: str) -> str:
    from digitlab.data import registry

    if registry.is_bundled(name):
        return "bundled"
    return "on this machine" if registry.is_cached(name) else "to be fetched"


def _writers_state(entry: "DatasetEntry") -> str:
    """Whether it is known here who wrote the images; "" where nobody knows."""
    from digitlab.data import writers

    if entry.writers is None:
        return ""
    return "on this machine" if writers.is_there(entry.name) else "to be fetched"


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
            _writers_state(entry),
        )
        if entry
        else (name, "", "damaged: import it again", "", "", "", "")
        for name, entry in entries.items()
    ]
    print_table("lllrrrl", ("name", "what", "state", "training", "test", "classes", "writers"), rows)


def _document(entry: "DatasetEntry") -> dict[str, object]:
    """What is known of a data set, for JSON."""
    from digitlab.data import cache, registry, writers

    folder = str(cache.folder(entry.name)) if registry.is_cached(entry.name) else None
    has_writers = entry.writers is not None and writers.is_there(entry.name)
    return {
        **entry.model_dump(mode="json"),
        "sha256": entry.sha256,
        "is_bundled": registry.is_bundled(entry.name),
        "folder": folder,
        "writers_folder": str(cache.folder(writers.cache_name(entry.name))) if has_writers else None,
    }


@data_app.command()
def show(name: Name, json: JsonOption = False, output: OutputOption = None) -> None:
    """Show what is known of a data set."""
    from rich.table import Table

    from digitlab.data import cache, registry, writers

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
    if labels := entry.writers:
        is_here = writers.is_there(name)
        remedy = "" if is_here else f": `digitlab data fetch {name} --writers`"
        table.add_row("writers", f"{labels.title}, {_writers_state(entry)}{remedy}")
        if is_here:
            table.add_row("", str(cache.folder(writers.cache_name(name))))
        table.add_row("", f"{labels.licence}; cite {labels.citation}")
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
    writers: WritersOption = False,
) -> None:
    """Fetch a data set from its mirrors, or who wrote it, and verify it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from digitlab.data import cache, download, registry
    from digitlab.data.writers import cache_name

    entry = registry.entry(name)
    is_intact = registry.are_writers_intact if writers else registry.is_intact
    if not force and is_intact(name):
        what, place = (f"the writers of {name} are", cache_name(name)) if writers else (f"{name} is", name)
        stdout().print(f"{what} there already and intact: {cache.folder(place)}", soft_wrap=True)
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

        (download.fetch_writers if writers else download.fetch)(entry, show_bytes)
    (_print_writers if writers else _print_added)(entry)


@data_app.command("import")
def import_(
    name: Annotated[
        str, typer.Argument(autocompletion=data_sets, help="Its name: of the list, or a new one.")
    ],
    path: Annotated[Path, typer.Argument(help="Directory of the IDX files, gzip or raw.")],
    writers: WritersOption = False,
) -> None:
    """Import a data set from a directory, or who wrote it, and verify it."""
    from digitlab.data.importing import import_directory
    from digitlab.data.importing_writers import import_writers

    if writers:
        _print_writers(import_writers(name, path))
        return
    _print_added(import_directory(name, path))


def _print_writers(entry: "DatasetEntry") -> None:
    from digitlab.data import cache
    from digitlab.data.writers import cache_name, load_writers

    found = load_writers(entry.name)
    counts = (len(set(writer.tolist())) for writer in (found.train_writer, found.test_writer))
    train, test = counts
    how = "verified by the catalogue's digests"
    stdout().print(
        f"{entry.name}: {train} writers of training and {test} of test images, {how}", soft_wrap=True
    )
    stdout().print(str(cache.folder(cache_name(entry.name))), soft_wrap=True)


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
