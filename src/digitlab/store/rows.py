"""RunResult -> rows and back: compressed, and proved by a hash."""

import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from digitlab.errors import SpecError
from digitlab.result import RunResult
from digitlab.store.interface import RunRow

Row = Mapping[str, Any]

_LEVEL = 9

_HASHED = (
    *("key", "data", "network", "batch_size", "learning_rate", "seed", "outcome"),
    *("test_accuracy", "validation_loss", "seconds", "finished", "predictions_sha256"),
)


def run_row(result: RunResult) -> dict[str, Any]:
    """The row of a result in the table of runs."""
    spec, metrics, provenance = result.spec, result.metrics, result.provenance
    packed = packed_predictions(result)
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
        "seconds": provenance.seconds,
        "finished": provenance.finished,
        "predictions_sha256": None if packed is None else hashlib.sha256(packed).hexdigest(),
        "document": zlib.compress(result.to_json().encode(), _LEVEL),
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


def is_sound(row: Row) -> bool:
    """Whether a row of runs is as it was written."""
    return bool(row["sha256"] == _run_hash(row))


def is_whole(row: Row) -> bool:
    """Whether a row of runs and the predictions in it are as they were written."""
    packed = row["predictions"]
    found = None if packed is None else hashlib.sha256(_bytes(packed)).hexdigest()
    return found == row["predictions_sha256"] and is_sound(row)


def unpack(packed: bytes) -> bytes:
    """What was packed."""
    return zlib.decompress(packed)


def read_result(row: Row) -> RunResult | None:
    """The result of a sound row, with the predictions that are in it.

    None when this version of digitlab cannot read it: its numerics are others, so its key is no longer that
    of its RunSpec.
    """
    try:
        result = RunResult.from_json(unpack(row["document"]))
    except SpecError:
        return None
    packed = row.get("predictions")
    return result if packed is None else result.model_copy(update={"predictions": unpack(packed)})


def read_row(values: Sequence[Any]) -> RunRow:
    """The figures of a run for a listing, from its values in the order of RunRow's fields."""
    row = RunRow(*values)
    return replace(row, test_accuracy=math.nan) if row.test_accuracy is None else row


def measurement_row(key: str, name: str, values: Mapping[str, float]) -> dict[str, str]:
    """The row of a measurement."""
    document = json.dumps({figure: repr(float(value)) for figure, value in values.items()})
    row = {"key": key, "name": name, "document": document}
    return row | {"sha256": _measurement_hash(row)}


def _measurement_hash(row: Row) -> str:
    columns = json.dumps([row["key"], row["name"], row["document"]], default=repr)
    return hashlib.sha256(columns.encode()).hexdigest()


def is_sound_measurement(row: Row) -> bool:
    """Whether a row of measurements is as it was written."""
    return bool(row["sha256"] == _measurement_hash(row))


def read_measurement(row: Row) -> dict[str, float]:
    """The values of a sound row of measurements."""
    return {figure: float(value) for figure, value in json.loads(row["document"]).items()}


def row_set_aside(row: Row) -> dict[str, Any]:
    """The row that keeps what is left of a changed one, whatever that is."""
    packed = row.get("predictions")
    return {
        "key": str(row["key"]),
        "sha256": str(row["sha256"]),
        "document": _bytes(row["document"]),
        "predictions": None if packed is None else _bytes(packed),
    }
