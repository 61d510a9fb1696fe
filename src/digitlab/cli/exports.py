"""Runs as files: JSON as it is, or a table of one flat row a run as CSV or Parquet."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from digitlab.cli.outputs import output_file
from digitlab.cli.streams import clean
from digitlab.cli.terminal import escaped
from digitlab.errors import Fault, SpecError, StoreError

if TYPE_CHECKING:
    from digitlab.result import RunResult
    from digitlab.store import Store

Exporter = Callable[["Store", Sequence[str]], int]
"""Writes the runs of these keys; how many that were."""

_CHUNK = 500
_COLUMNS = ("key", "outcome", "provenance.finished")
"""Those that even an empty table has."""


def exporter(form: str, output: Path | None) -> Exporter:
    """What writes runs in a format, to a file or to stdout.

    Raises SpecError when there is no such format, StoreError when its library is missing.
    """
    if form == "parquet":
        return _parquet_exporter(output)
    write = {"json": _write_json, "csv": _write_csv}.get(form)
    if write is None:
        raise SpecError([Fault("format", form, "is not known; use one of json, csv, parquet")])

    def export(store: "Store", keys: Sequence[str]) -> int:
        with _opened(output) as file:
            return write(file, _results(store, keys))

    return export


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested document as one level, names joined by dots; lists are written as JSON."""
    row: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{prefix}{name}.")
        else:
            row[f"{prefix}{name}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return row


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


def _results(store: "Store", keys: Sequence[str]) -> Iterator["RunResult"]:
    for start in range(0, len(keys), _CHUNK):
        yield from store.get(keys[start : start + _CHUNK]).values()


def _write_json(file: IO[str], results: Iterator["RunResult"]) -> int:
    count = 0
    file.write("[")
    for count, result in enumerate(results, start=1):
        file.write(f"{',' if count > 1 else ''}\n{escaped(result.to_json())}")
    file.write("\n]\n")
    return count


def _rows(results: Iterator["RunResult"]) -> tuple[list[dict[str, Any]], list[str]]:
    """The table's rows, and the names of all columns that any of them has."""
    fields: Any = {"key": True, "outcome": True, "spec": True, "metrics": True, "provenance": {"finished"}}
    rows = [flat(result.model_dump(include=fields)) for result in results]
    return rows, list(dict.fromkeys([*_COLUMNS, *(name for row in rows for name in row)]))


def _write_csv(file: IO[str], results: Iterator["RunResult"]) -> int:
    rows, columns = _rows(results)
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return len(rows)


def _parquet_exporter(output: Path | None) -> Exporter:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError:
        raise StoreError("format parquet: pyarrow is missing; pip install 'digitlab[parquet]'") from None
    if output is None:
        raise SpecError(
            [Fault("output", None, "names no file; Parquet is not for stdout: give --output FILE")]
        )

    def export(store: "Store", keys: Sequence[str]) -> int:
        rows, columns = _rows(_results(store, keys))
        table = pa.table({name: [row.get(name) for row in rows] for name in columns})
        with output_file(output) as file:
            parquet.write_table(table, file)
        return len(rows)

    return export
