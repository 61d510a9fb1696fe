"""Runs as files: JSON as it is, or a table of one flat row a run as CSV or Parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, BinaryIO

from digitlab.errors import StoreError, with_extra
from digitlab.result import RunResult
from digitlab.store.interface import Store

_CHUNK = 500
_COLUMNS = ("key", "outcome", "provenance.finished")
"""Those that even an empty table has."""


def results_of(store: Store, keys: Sequence[str]) -> Iterator[RunResult]:
    """The runs of these keys, a few at a time; what cannot be read is left out."""
    for start in range(0, len(keys), _CHUNK):
        yield from store.get(keys[start : start + _CHUNK]).values()


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested document as one level, names joined by dots; lists are written as JSON."""
    row: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{prefix}{name}.")
        else:
            row[f"{prefix}{name}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return row


def write_json(
    file: IO[str], results: Iterable[RunResult], written: Callable[[RunResult], str] = RunResult.to_json
) -> int:
    """Write runs as a list of their JSON, all that is known of them but predictions; how many there were.

    written: the JSON of one
    """
    count = 0
    file.write("[")
    for count, result in enumerate(results, start=1):
        file.write(f"{',' if count > 1 else ''}\n{written(result)}")
    file.write("\n]\n")
    return count


def write_csv(file: IO[str], results: Iterable[RunResult]) -> int:
    """Write runs as a table, one a row; how many there were."""
    rows, columns = table_of(results)
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return len(rows)


def parquet_writer() -> Callable[[BinaryIO, Iterable[RunResult]], int]:
    """The same table as Parquet. Raises StoreError when its library is missing."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError:
        raise StoreError(f"format parquet: pyarrow is missing; {with_extra('parquet')}") from None

    def write_parquet(file: BinaryIO, results: Iterable[RunResult]) -> int:
        rows, columns = table_of(results)
        table = pa.table({name: [row.get(name) for row in rows] for name in columns})
        parquet.write_table(table, file)
        return len(rows)

    return write_parquet


def table_of(results: Iterable[RunResult]) -> tuple[list[dict[str, Any]], list[str]]:
    """Runs as rows of a table, and the names of all columns that any of them has."""
    fields: Any = {"key": True, "outcome": True, "spec": True, "metrics": True, "provenance": {"finished"}}
    rows = [flat(result.model_dump(include=fields)) for result in results]
    return rows, list(dict.fromkeys([*_COLUMNS, *(name for row in rows for name in row)]))
