"""What the store's tests share: real results, and the backends that the contract is held against."""

import itertools
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.result import RunResult
from digitlab.store import Store, open_store, rows
from tests.postgresql import Server

MakeStore = Callable[[str], Store]
"""A new, empty store of this name."""

Numbered = Callable[[int], RunResult]

_NUMBERS = itertools.count()
"""No two databases of one server have one name."""


@pytest.fixture(scope="session")
def trained(mnist: Dataset) -> RunResult:
    """A real result with a curve of 30 points; the network has learned enough to see all ten classes."""
    return lab.train(
        hidden=(16,),
        steps=150,
        evaluate_at=range(5, 151, 5),
        validation_size=1_000,
        train_size=5_000,
        learning_rate=0.5,
    )


@pytest.fixture(scope="session")
def diverged(mnist: Dataset) -> RunResult:
    return lab.train(hidden=(8,), steps=20, train_size=200, optimiser="sgd", learning_rate=1e18)


@pytest.fixture(scope="session")
def numbered(trained: RunResult) -> Numbered:
    """The real result under another seed: another run as far as a store can tell; each ends a second later."""

    def make(number: int) -> RunResult:
        spec = trained.spec.model_copy(update={"seed": number})
        finished = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}+00:00"
        provenance = trained.provenance.model_copy(update={"finished": finished})
        return trained.model_copy(update={"spec": spec, "key": spec.key, "provenance": provenance})

    return make


def rewrite(path: Path, key: str, document: bytes | None = None, **columns: object) -> None:
    """Change a stored run and hash it anew, as another version of digitlab would have written it.

    document: unpacked
    """
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    with connection:
        row = dict(connection.execute("SELECT * FROM runs WHERE key = ?", (key,)).fetchone()) | columns
        if document is not None:
            row["document"] = zlib.compress(document)
        row["sha256"] = rows._run_hash(row)
        sets = ", ".join(f"{name} = :{name}" for name in row)
        connection.execute(f"UPDATE runs SET {sets} WHERE key = :old", {**row, "old": key})  # noqa: S608
    connection.close()


def with_a_later_field(result: RunResult) -> bytes:
    """The document of a result that a later digitlab wrote: its provenance has a field more."""
    document = json.loads(result.to_json())
    document["provenance"]["weather"] = "fine"
    return f"{rows.DOCUMENT_VERSION}\n{json.dumps(document)}".encode()


@pytest.fixture(params=["sqlite", "postgresql"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Stores of one backend. A further backend is a further parameter and its way to make one."""
    made: list[Store] = []

    def place(name: str) -> Path | str:
        if request.param == "sqlite":
            return tmp_path / f"{name}.db"
        server: Server = request.getfixturevalue("postgresql")
        return server.make_database(f"{name}-{next(_NUMBERS)}")

    def make(name: str) -> Store:
        made.append(open_store(place(name)))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store("store")
