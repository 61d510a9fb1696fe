"""RunResult -> rows and back: compressed, and verified by a hash.

A hash says that a row is as it was written; whether this version of digitlab can read it is another question,
for another version, or another program, may have written it. What cannot be read is None, never an error.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from digitlab.errors import SpecError
from digitlab.result import RunResult
from digitlab.store.interface import RunRow
from digitlab.store.schema import runs

Row = Mapping[str, Any]

DOCUMENT_VERSION = 2
"""Of what a row's document holds. 1: a RunResult's JSON; 2: this number, a line feed, a RunResult's JSON."""

_LEVEL = 9
_MOST_BYTES = 1 << 26
"""Nothing that is kept is larger unpacked; a few hostile bytes could unpack to more than the memory."""

_HASHED = (
    *("key", "data", "network", "batch_size", "learning_rate", "seed", "outcome"),
    *("test_accuracy", "validation_loss", "seconds", "finished", "predictions_sha256"),
)


def run_row(result: RunResult, packed: bytes | None) -> dict[str, Any]:
    """The row of a result in the table of runs.

    packed: its predictions as they are kept
    """
    spec, metrics, provenance = result.spec, result.metrics, result.provenance
    row = {
        "key": result.key,
        "data": spec.data.name,
        "network": spec.network_name,
        "batch_size": spec.batch_size,
        "learning_rate": spec.optimiser.learning_rate,
        "seed": spec.seed,
        "outcome": result.outcome,
        "test_accuracy": _figure(metrics.test_accuracy),
        "validation_loss": _figure(metrics.validation_loss),
        "seconds": _figure(provenance.seconds),
        "finished": provenance.finished,
        "predictions_sha256": None if packed is None else hashlib.sha256(packed).hexdigest(),
        "document": zlib.compress(f"{DOCUMENT_VERSION}\n{result.to_json()}".encode(), _LEVEL),
    }
    return row | {"sha256": _run_hash(row)}


def packed_predictions(result: RunResult) -> bytes | None:
    """The predictions as they are kept: some 4.5 kB for 10,000 of ten classes."""
    return None if result.predictions is None else zlib.compress(result.predictions, _LEVEL)


def _figure(value: float | None) -> float | None:
    # SQLite has no NaN, and no -0.0 that is not 0.0.
    return None if value is None or math.isnan(value) else value + 0.0


def _run_hash(row: Row) -> str:
    """SHA-256 over a row of runs; of whatever a damaged row may hold."""
    columns = json.dumps([row[name] for name in _HASHED], default=repr)
    return hashlib.sha256(columns.encode() + b"\n" + _bytes(row["document"])).hexdigest()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else repr(value).encode()


def is_intact(row: Row) -> bool:
    """Whether a row of runs is as it was written."""
    return bool(row["sha256"] == _run_hash(row))


def is_whole(row: Row) -> bool:
    """Whether a row of runs and the predictions in it are as they were written."""
    packed = row["predictions"]
    found = None if packed is None else hashlib.sha256(_bytes(packed)).hexdigest()
    return found == row["predictions_sha256"] and is_intact(row)


def _unpack(packed: object) -> bytes | None:
    """What was packed; None when it was not packed here."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(_bytes(packed), _MOST_BYTES)
    except zlib.error:
        return None
    return content if unpacker.eof else None


def read_result(row: Row) -> RunResult | None:
    """The result of an intact row, with the predictions that are in it.

    None when this version of digitlab cannot read it: another version wrote it, whose numerics may be others
    too, so that its key is no longer that of its RunSpec.
    """
    text, predictions = _unpack(row["document"]), read_predictions(row)
    if text is None or (predictions is None and row.get("predictions") is not None):
        return None
    version, _, document = text.partition(b"\n")
    if version != str(DOCUMENT_VERSION).encode():
        document = text  # version 1, or none that can be read
    try:
        result = RunResult.from_json(document)
    except SpecError:
        return None
    if result.key != row["key"]:
        return None
    return result if predictions is None else result.model_copy(update={"predictions": predictions})


def read_predictions(row: Row) -> bytes | None:
    """The predictions in an intact row; None when there are none, or this version cannot read them."""
    packed = row.get("predictions")
    return None if packed is None else _unpack(packed)


def read_row(row: Row) -> RunRow:
    """The figures of a run for a listing."""
    figures = {name: row[name] for name in RunRow.__dataclass_fields__ if name != "is_intact"}
    if not (is_intact(row) and all(_is_of_its_type(*figure) for figure in figures.items())):
        return RunRow.damaged(str(row["key"]))
    if figures["test_accuracy"] is None:
        figures["test_accuracy"] = math.nan
    return RunRow(**figures)


def _is_of_its_type(name: str, value: object) -> bool:
    """Whether a value is what its column holds: SQLite takes values of any type into any column."""
    column = runs.c[name]
    return isinstance(value, column.type.python_type) or (value is None and bool(column.nullable))


def measurement_row(key: str, name: str, values: Mapping[str, float]) -> dict[str, str]:
    """The row of a measurement."""
    document = json.dumps({figure: repr(float(value)) for figure, value in values.items()})
    row = {"key": key, "name": name, "document": document}
    return row | {"sha256": _measurement_hash(row)}


def _measurement_hash(row: Row) -> str:
    columns = json.dumps([row["key"], row["name"], row["document"]], default=repr)
    return hashlib.sha256(columns.encode()).hexdigest()


def is_intact_measurement(row: Row) -> bool:
    """Whether a row of measurements is as it was written."""
    return bool(row["sha256"] == _measurement_hash(row))


def read_measurement(row: Row) -> dict[str, float] | None:
    """The values of an intact row of measurements; None when this version cannot read them."""
    try:
        values = json.loads(row["document"])
        return {str(figure): float(value) for figure, value in values.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def row_set_aside(row: Row) -> dict[str, Any]:
    """The row that keeps what is left of a changed one, whatever that is."""
    packed = row.get("predictions")
    return {
        "key": str(row["key"]),
        "sha256": str(row["sha256"]),
        "document": _bytes(row["document"]),
        "predictions": None if packed is None else _bytes(packed),
    }
