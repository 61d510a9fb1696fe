"""Where exported runs go: into a file, or to stdout."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from digitlab.cli.outputs import output_file
from digitlab.cli.streams import clean
from digitlab.cli.terminal import escaped
from digitlab.errors import Fault, SpecError

if TYPE_CHECKING:
    from digitlab.store import Store

Exporter = Callable[["Store", Sequence[str]], int]
"""Writes the runs of these keys; how many that were."""


def exporter(form: str, output: Path | None) -> Exporter:
    """What writes runs in a format, to a file or to stdout.

    Raises SpecError when there is no such format, StoreError when its library is missing.
    """
    from digitlab.store import export

    if form == "parquet":
        return _parquet_exporter(output)
    if form not in {"json", "csv"}:
        raise SpecError([Fault("format", form, "is not known; use one of json, csv, parquet")])

    def write(store: "Store", keys: Sequence[str]) -> int:
        results = export.results_of(store, keys)
        with _opened(output) as file:
            if form == "csv":
                return export.write_csv(file, results)
            return export.write_json(file, results, lambda result: escaped(result.to_json()))

    return write


def _parquet_exporter(output: Path | None) -> Exporter:
    from digitlab.store.export import parquet_writer, results_of

    write_parquet = parquet_writer()
    if output is None:
        raise SpecError(
            [Fault("output", None, "names no file; Parquet is not for stdout: give --output FILE")]
        )

    def write(store: "Store", keys: Sequence[str]) -> int:
        with output_file(output) as file:
            return write_parquet(file, results_of(store, keys))

    return write


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    if output is None and sys.stdout.isatty():
        shown = io.StringIO()
        yield shown
        sys.stdout.write(clean(shown.getvalue()))
        return
    if output is None:
        yield sys.stdout
        return
    with output_file(output) as raw:
        file = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        yield file
        file.detach()  # flushed; the writer closes it
