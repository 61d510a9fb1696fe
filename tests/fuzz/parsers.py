"""The parsers that strangers' input meets, with intact examples to start from."""

import atexit
import faulthandler
import gzip
import json
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from digitlab import lab
from digitlab.cli.fields import given_fields
from digitlab.data.catalog import CATALOG, DatasetEntry
from digitlab.data.idx import IdxFile, Kind
from digitlab.models import trained
from digitlab.options import Options, make_spec, read_document
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Filter, open_store
from digitlab.studies import Study, built_in_names, built_in_text, read_study
from digitlab.studies.expansion import run_count
from digitlab.validation import parse_toml
from digitlab.vision import decode, read_digits
from tests.data.files import extended_bytes, image_bytes, label_bytes
from tests.fuzz.harness import Parser, Tally, fuzz
from tests.fuzz.mutations import (
    IDX_TOKENS,
    SQLITE_TOKENS,
    TEXT_TOKENS,
    WEIGHT_TOKENS,
    changed_bytes,
    changed_document,
    odd_value,
    to_json,
    to_toml,
)
from tests.fuzz.pictures import pictures

SPEC: dict[str, Any] = {
    "scaling": "unit",
    "validation_size": 1_000,
    "train_size": 5_000,
    "hidden": [16, 8],
    "optimiser": {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "schedule": {"kind": "warmup-cosine", "warmup_steps": 5},
    "batch_size": 100,
    "budget": {"steps": 60},
    "evaluate_at": [10, 20, 60],
    "seed": 3,
}


HANG_SECONDS = 3_600


def parsers(folder: Path) -> list[Parser]:
    """All of them; files are written into the folder."""
    result, weights = _trained(folder)
    full = {**SPEC, "data": CATALOG["mnist"].data_spec.model_dump()}
    studies = [parse_toml(built_in_text(name)) for name in built_in_names()]
    entry = json.loads(CATALOG["mnist"].model_dump_json())
    images, labels, extended = image_bytes(3), label_bytes(5), extended_bytes(3)
    return [
        Parser("RunSpec, TOML", _documents([SPEC], to_toml), _from_file(folder / "spec.toml", _read_spec)),
        Parser("RunSpec, JSON", _documents([full], to_json), _read_spec_json),
        Parser("RunResult, JSON", _documents([json.loads(result.to_json())], to_json), _read_result),
        Parser("study, TOML", _documents(studies, to_toml), _from_file(folder / "study.toml", _read_study)),
        Parser("study, values", lambda rng: changed_document(rng, rng.choice(studies), _NAMES), _make_study),
        Parser("dataset.json", _documents([entry], to_json), _read_entry),
        Parser("IDX", _bytes([images, labels, extended], IDX_TOKENS, 24), _from_file(folder / "idx", _read_idx)),
        Parser("IDX, gzip", _packed([images, labels, extended]), _from_file(folder / "idx.gz", _read_idx)),
        Parser("weights", _bytes([weights], WEIGHT_TOKENS, 1_500), _from_file(folder / "weights", _read_weights)),
        Parser("store", _stores(folder, result), _from_file(folder / "store.db", _read_store)),
        Parser("options", _options, lambda options: make_spec(None, **options).key),
        Parser("option texts", _option_text, _read_options),
        Parser("picture", pictures(), _read_picture),
    ]  # fmt: skip


@cache
def _parsers_of_this_process() -> dict[str, Parser]:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    os.environ["DIGITLAB_DATA"] = folder.name
    return {parser.name: parser for parser in parsers(Path(folder.name))}


def fuzzed(name: str, numbers: range) -> Tally:
    """What becomes of these inputs of a parser, in a folder of its own; for a process of its own."""
    parser = _parsers_of_this_process()[name]
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    tally = fuzz(parser, numbers)
    faulthandler.cancel_dump_traceback_later()
    return tally


_NAMES = sorted(
    {
        *Options.__annotations__, *Study.model_fields, *RunSpec.model_fields, *RunResult.model_fields, *DatasetEntry.model_fields,
        "kind", "label", "group", "tune", "values", "levels", "range", "from", "to", "factor", "also", "extend", "quick",
    }
)  # fmt: skip


def _documents(examples: list[Any], write: Callable[[Any], bytes]) -> Callable[[Random], bytes]:
    """Documents with odd values, and documents with odd bytes."""
    texts = [write(example) for example in examples]

    def make(rng: Random) -> bytes:
        if rng.random() < 0.6:
            return write(changed_document(rng, rng.choice(examples), _NAMES))
        return changed_bytes(rng, rng.choice(texts), TEXT_TOKENS)

    return make


def _bytes(examples: list[bytes], tokens: tuple[bytes, ...], head: int) -> Callable[[Random], bytes]:
    def make(rng: Random) -> bytes:
        return changed_bytes(rng, rng.choice(examples), tokens, head if rng.random() < 0.8 else None)

    return make


def _packed(examples: list[bytes]) -> Callable[[Random], bytes]:
    """Changed before they are packed, or afterwards."""
    packed = [gzip.compress(example, mtime=0) for example in examples]

    def make(rng: Random) -> bytes:
        if rng.random() < 0.4:
            return gzip.compress(changed_bytes(rng, rng.choice(examples), IDX_TOKENS, 24), 1, mtime=0)
        return changed_bytes(rng, rng.choice(packed), IDX_TOKENS, 24 if rng.random() < 0.3 else None)

    return make


def _from_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def from_bytes(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return from_bytes


def _read_spec(path: Path) -> object:
    spec = make_spec(read_document(path))
    return spec.key, spec.network_name, len(spec.evaluation_steps)


def _read_spec_json(content: bytes) -> object:
    spec = RunSpec.from_json(content)
    return spec.key, spec.network_name, len(spec.evaluation_steps)


def _read_result(content: bytes) -> object:
    return RunResult.from_json(content).to_json()


def _read_study(path: Path) -> object:
    return _look_at(read_study(path))


def _make_study(document: Any) -> object:
    return _look_at(Study.model_validate(document))


def _look_at(study: Study) -> object:
    return [run_count(study.at(scale)) for scale in study.scales or ["full"]]


def _read_entry(content: bytes) -> object:
    entry = DatasetEntry.from_json(content)
    return entry.sha256, entry.data_spec


def _read_idx(path: Path) -> object:
    content = path.read_bytes()
    kind: Kind = "labels" if len(content) < 100 else "images"
    if b"\x0c\x02" in content[:4] or zlib.crc32(content) % 8 == 0:
        kind = "extended labels"
    file = IdxFile(path, kind, "get it again")
    if kind == "extended labels":
        payload = file.read()
        return file.parse_extended(payload), file.parse_extended(file.first(payload, 1))
    array = file.parse(file.read())
    if kind == "labels":
        file.check_labels(array, 10)
    return array


def _read_weights(path: Path) -> object:
    with np.errstate(all="ignore"):
        return trained.load(path).predict(np.zeros((1, 28, 28), np.uint8))


def _read_picture(content: bytes) -> object:
    with np.errstate(all="raise", under="ignore"):
        return read_digits(decode(content)).images


def _read_store(path: Path) -> object:
    with closing(open_store(path, must_exist=True, timeout_seconds=0.1)) as store:
        keys = [row.key for row in store.list(Filter())]
        requested = [*keys, "0" * 64]
        known = store.known(requested)
        found = store.get(requested, predictions=True)
        store.count(Filter(outcome="completed"))
        store.measurements(keys, "noise scale")
        store.measured()
        if zlib.crc32(path.read_bytes()) % 4 == 0:  # it sets rows aside, and waits for the disk
            store.verify()
        return known, found


def _options(rng: Random) -> dict[str, Any]:
    intact: dict[str, Any] = {"hidden": (4,), "learning_rate": 0.1, "steps": 10}
    names = rng.sample([*Options.__annotations__, "lr", "momentun"], rng.randint(1, 4))
    return intact | {name: odd_value(rng) for name in names}


def _option_text(rng: Random) -> str:
    pieces = [
        "1",
        "10",
        "100,50",
        ",",
        ",,",
        " ",
        "-1",
        "1.5",
        "x",
        "",
        "epoch",
        "9" * 5_000,
        "٣",
        "²",
        "1_0",
        "\x1b",
        "0",
    ]
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, 8)))


def _read_options(text: str) -> object:
    return make_spec(None, **given_fields({"hidden": text, "evaluate_at": text})).key


def _trained(folder: Path) -> tuple[RunResult, bytes]:
    result, network = lab.run(make_spec(SPEC, hidden=()))
    network.save(folder / "weights")
    return result, (folder / "weights").read_bytes()


def _stores(folder: Path, result: RunResult) -> Callable[[Random], bytes]:
    """A small store of three runs: with bytes changed, or by way of SQL, rows and tables."""
    path = folder / "intact.db"
    with closing(open_store(path)) as store:
        for seed in range(3):
            spec = result.spec.model_copy(update={"seed": seed})
            store.add([result.model_copy(update={"spec": spec, "key": spec.key})])
        store.add_measurement(result.key, "noise scale", {"value": 1.0})
    intact = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        columns = {
            table: [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for (table,) in named
        }

    def make(rng: Random) -> bytes:
        if rng.random() < 0.6:
            return changed_bytes(rng, intact, SQLITE_TOKENS, rng.choice([100, 4_096, None]))
        changed = folder / "changed.db"
        changed.write_bytes(intact)
        with closing(sqlite3.connect(changed, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=OFF")
            for _ in range(rng.randint(1, 2)):
                with suppress(sqlite3.Error, UnicodeEncodeError):
                    connection.execute(*_statement(rng, columns))
        return changed.read_bytes()

    return make


def _statement(rng: Random, columns: dict[str, list[str]]) -> tuple[str, tuple[Any, ...]]:
    table = rng.choice(list(columns))
    column = rng.choice(columns[table])
    kind = rng.randrange(8)
    if kind == 0:
        return f"PRAGMA user_version = {rng.choice([-1, 0, 1, 2, 99])}", ()
    if kind == 1:
        return f'DROP TABLE "{table}"', ()
    if kind == 2:
        return f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "other"', ()
    if kind == 3:
        return f'ALTER TABLE "{table}" RENAME TO "other"', ()
    value = odd_value(rng)
    if not isinstance(value, int | float | str | None) or (isinstance(value, int) and abs(value) > 2**62):
        value = rng.randbytes(8)
    return f'UPDATE "{table}" SET "{column}" = ?', (value,)  # noqa: S608
