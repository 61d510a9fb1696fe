"""SQLite's own troubles, made for real: damage, full disks, locks, kills, other versions."""

import json
import os
import pickle
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from digitlab.errors import StoreError
from digitlab.result import Provenance, RunResult
from digitlab.store import (
    Filter,
    RunRow,
    Store,
    Verification,
    migrations,
    open_store,
    rows,
    schema,
    store_place,
)
from tests.store.conftest import Numbered, rewrite, with_a_later_field

BYTES_PER_RUN = 15_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def execute(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# --- the file ---


def test_a_run_takes_little_room(path: Path, numbered: Numbered) -> None:
    assert len(numbered(0).curve.step) == 30
    assert len(set(numbered(0).predictions or b"")) == 10
    store = open_store(path)
    store.add([numbered(number) for number in range(100)])
    before = path.stat().st_size
    store.add([numbered(number) for number in range(100, 400)])
    assert (path.stat().st_size - before) / 300 < BYTES_PER_RUN


def test_where_the_store_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("DIGITLAB_STORE", raising=False)
    assert Path(str(store_place())).parts[-2:] == ("digitlab", "digitlab.db")
    monkeypatch.setenv("DIGITLAB_STORE", str(tmp_path / "mine.db"))
    assert store_place() == tmp_path / "mine.db"
    assert store_place("~/a b%?.db") == tmp_path / "a b%?.db"
    assert store_place(tmp_path / "c.db") == tmp_path / "c.db"


def test_its_folders_are_made_and_any_name_will_do(tmp_path: Path, trained: RunResult) -> None:
    for name in ("a b%3F?#.db", ":memory:", "ü.db"):
        file = tmp_path / "x" / "y" / name
        assert open_store(file).add([trained]) == 1
        assert file.stat().st_size
        assert open_store(file, must_exist=True).known([trained.key])


def test_a_file_of_no_bytes_is_a_fresh_store(path: Path, trained: RunResult) -> None:
    path.touch()
    assert open_store(path, must_exist=True).add([trained]) == 1


def test_the_store_is_one_durable_file(path: Path, trained: RunResult) -> None:
    open_store(path).add([trained])
    execute(path, "PRAGMA journal_mode=WAL")
    open_store(path).count(Filter())
    assert query(path, "PRAGMA journal_mode") == [("delete",)]
    assert list(path.parent.iterdir()) == [path]


def test_no_store_where_one_must_be(path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"runs\.db: there is no store; .* name it by --store or DIGITLAB_STORE"
    ):
        open_store(path, must_exist=True)
    assert not path.exists()


def test_a_folder_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r": is a folder; name a file in it, such as .*digitlab\.db"):
        open_store(tmp_path)


@pytest.mark.parametrize("name", ["file/x.db", "a\0b", "x" * 300])
def test_a_place_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"no store can be made there .*; name another place by --store"):
        open_store(tmp_path / name)


def test_a_store_that_is_moved_away_is_not_made_anew(path: Path, trained: RunResult) -> None:
    store = open_store(path)
    path.unlink()
    with pytest.raises(StoreError, match=r"cannot be opened or written .*; see that the file is there"):
        store.add([trained])
    assert not path.exists()


# --- versions ---


def test_a_newer_schema_is_refused(path: Path) -> None:
    open_store(path)
    execute(path, "UPDATE about SET value = '3' WHERE name = 'schema'")
    expected = r"was made by a newer digitlab \(schema 3, this one knows 2\); upgrade digitlab or use another --store"
    with pytest.raises(StoreError, match=expected):
        open_store(path)


def test_an_older_schema_is_upgraded(path: Path, trained: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(path).add([trained])
    steps: list[int] = []
    upgrades = {2: lambda _: steps.append(2), 3: lambda _: steps.append(3)}
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 4)
    monkeypatch.setattr(migrations, "UPGRADES", upgrades)
    assert open_store(path).known([trained.key])
    assert steps == [2, 3]
    assert query(path, "SELECT value FROM about WHERE name = 'schema'") == [("4",)]
    open_store(path)
    assert steps == [2, 3]


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(path)

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("DROP TABLE runs")
        connection.exec_driver_sql("SELECT * FROM nowhere")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "SCHEMA_VERSION", 3)
        patched.setattr(migrations, "UPGRADES", {2: fail})
        with pytest.raises(StoreError, match="no such table: nowhere"):
            open_store(path)
    assert open_store(path).count(Filter()) == 0


@pytest.mark.parametrize("name", ["moz_places", "about"])
def test_another_programs_database_is_left_alone(path: Path, name: str) -> None:
    execute(path, f"CREATE TABLE {name} (name TEXT, value TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is another program's database; name another place by --store"):
        open_store(path)
    assert path.read_bytes() == before


# --- damage ---


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]


def flip_document(path: Path, key: str) -> None:
    ((document,),) = query(path, f"SELECT document FROM runs WHERE key = '{key}'")  # noqa: S608
    assert isinstance(document, bytes)
    execute(path, "UPDATE runs SET document = ? WHERE key = ?", flipped(document), key)


def change(statement: str) -> Callable[[Path, str], None]:
    return lambda path, key: execute(path, statement, key)


CHANGES = {
    "a bit of the document": flip_document,
    "a document of another kind": change("UPDATE runs SET document = 7 WHERE key = ?"),
    "no document": change("UPDATE runs SET document = '' WHERE key = ?"),
    "a figure": change("UPDATE runs SET test_accuracy = 0.99 WHERE key = ?"),
    "a text that is none": change("UPDATE runs SET network = CAST(x'ff00' AS TEXT) WHERE key = ?"),
    "a number as text": change("UPDATE runs SET seed = 'one' WHERE key = ?"),
    "the hash": change("UPDATE runs SET sha256 = 'x' || sha256 WHERE key = ?"),
}


@pytest.mark.parametrize("damage", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_run_counts_as_unknown_until_it_comes_again(
    path: Path, numbered: Numbered, damage: Callable[[Path, str], None]
) -> None:
    store, results = open_store(path), [numbered(number) for number in range(3)]
    store.add(results)
    bad, keys = results[1].key, [result.key for result in results]
    damage(path, bad)
    assert store.known(keys) == store.get(keys).keys() == store.predictions(keys).keys() == {keys[0], keys[2]}
    assert store.add(results) == 1
    assert list(store.get(keys, predictions=True).values()) == results
    assert query(path, "SELECT key FROM set_aside") == [(bad,)]


@pytest.mark.parametrize("damage", CHANGES.values(), ids=CHANGES.keys())
def test_verification_sets_changed_runs_aside(
    path: Path, numbered: Numbered, damage: Callable[[Path, str], None]
) -> None:
    store, results = open_store(path), [numbered(number) for number in range(3)]
    store.add(results)
    assert store.verify() == Verification(3, ())
    damage(path, results[1].key)
    assert store.verify() == Verification(3, (results[1].key,))
    assert store.verify() == Verification(2, ())
    assert store.count(Filter()) == 2
    assert query(path, "SELECT count(*) FROM predictions") == [(2,)]
    assert store.add(results) == 1


def test_changed_predictions_are_not_given_out_and_found_by_verification(
    path: Path, numbered: Numbered
) -> None:
    store, (first, second) = open_store(path), (numbered(1), numbered(2))
    store.add([first, second])
    other = zlib.compress(bytes(10_000))
    execute(path, "UPDATE predictions SET predictions = ? WHERE key = ?", other, first.key)
    execute(path, "DELETE FROM predictions WHERE key = ?", second.key)
    keys = [first.key, second.key]
    assert not store.predictions(keys)
    assert not store.get(keys, predictions=True)
    assert store.known(keys) == set(keys)
    assert open_store(path.with_name("other.db")).merge(store) == 0
    assert store.verify() == Verification(2, tuple(sorted(keys)))
    assert store.known(keys) == frozenset()


def test_a_changed_measurement_is_not_given_out(path: Path) -> None:
    store = open_store(path)
    for name in ("noise", "sharpness"):
        store.add_measurement("a", name, {"scale": 1.0})
    execute(path, "UPDATE measurements SET document = ? WHERE name = 'noise'", json.dumps({"scale": "9.0"}))
    assert store.measurements(["a"], "noise") == {}
    assert store.measured() == {("a", "sharpness")}
    assert store.verify() == Verification(0, ("a",))
    store.add_measurement("a", "noise", {"scale": 1.0})
    assert store.measurements(["a"], "noise") == {"a": {"scale": 1.0}}
    assert store.verify() == Verification(0, ())


@pytest.mark.parametrize("damage", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_run_is_listed_by_its_key_alone(
    path: Path, numbered: Numbered, damage: Callable[[Path, str], None]
) -> None:
    store, results = open_store(path), [numbered(number) for number in range(2)]
    store.add(results)
    damage(path, results[0].key)
    by_key = {row.key: row for row in store.list(Filter())}
    assert repr(by_key[results[0].key]) == repr(RunRow.damaged(results[0].key))
    assert by_key[results[1].key].is_intact


# --- what another version wrote ---

LATER_FIELDS = Provenance.LEFT_OUT_AT_DEFAULT

UNREADABLE = {
    "a field more": lambda path, result: rewrite(path, result.key, with_a_later_field(result)),
    "a later form": lambda path, result: rewrite(path, result.key, b"3\n" + result.to_json().encode()),
    "no result": lambda path, result: rewrite(path, result.key, b"[]"),
    "nothing": lambda path, result: rewrite(path, result.key, b""),
}


def packed_otherwise(document: object) -> Callable[[Path, RunResult], None]:
    """A row with a right hash, whose document is stored as it is."""

    def write(path: Path, result: RunResult) -> None:
        rewrite(path, result.key)
        execute(path, "UPDATE runs SET document = ? WHERE key = ?", document, result.key)
        rewrite(path, result.key)

    return write


UNREADABLE |= {
    "not packed": packed_otherwise(b"{}"),
    "packed without its end": packed_otherwise(zlib.compress(b"{}" * 99)[:-9]),
    "a text": packed_otherwise("{}"),
    "a number": packed_otherwise(7),
    "more than there is memory": packed_otherwise(zlib.compress(bytes(1 << 27))),
}


@pytest.mark.parametrize("write", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_this_version_cannot_read_is_unknown_told_and_replaced(
    path: Path, numbered: Numbered, write: Callable[[Path, RunResult], None]
) -> None:
    store, results = open_store(path), [numbered(number) for number in range(3)]
    store.add(results)
    write(path, results[1])
    keys = [result.key for result in results]
    assert store.known(keys) == store.get(keys).keys() == {keys[0], keys[2]}
    assert open_store(path.with_name("other.db")).merge(store) == 2
    # It may be intact for the version that wrote it, so it stays until it is replaced.
    assert store.verify() == store.verify() == Verification(3, (), (keys[1],))
    assert store.add(results) == 1
    assert list(store.get(keys, predictions=True).values()) == results
    assert store.verify() == Verification(3, ())
    assert query(path, "SELECT key FROM set_aside") == [(keys[1],)]


def test_a_run_under_another_runs_key_is_not_given_out(path: Path, numbered: Numbered) -> None:
    store, (result, other) = open_store(path), (numbered(1), numbered(2))
    store.add([result])
    rewrite(path, result.key, other.to_json().encode())
    assert not store.get([result.key])
    assert store.verify() == Verification(1, (), (result.key,))


def test_runs_of_the_first_form_are_read_and_kept_as_they_are(path: Path, numbered: Numbered) -> None:
    store, result = open_store(path), numbered(1)
    store.add([result])
    before = json.loads(result.to_json())
    for name in LATER_FIELDS:
        before["provenance"].pop(name, None)
    rewrite(path, result.key, json.dumps(before).encode())
    (found,) = store.get([result.key]).values()
    assert json.loads(found.to_json()) == before
    assert store.add([result]) == 0
    assert store.verify() == Verification(1, ())


@pytest.mark.parametrize("document", ["[1]", "{", '{"scale": "x"}', '{"scale": []}', "[" * 100_000])
def test_a_measurement_that_cannot_be_read_is_unknown_and_replaced(path: Path, document: str) -> None:
    store = open_store(path)
    row = {"key": "a", "name": "noise", "document": document}
    values = (*row.values(), rows._measurement_hash(row))
    execute(path, "INSERT INTO measurements VALUES (?, ?, ?, ?)", *values)
    assert (store.measurements(["a"], "noise"), store.measured()) == ({}, frozenset())
    assert open_store(path.with_name("other.db")).merge(store) == 0
    assert store.verify() == Verification(0, (), ("a",))
    store.add_measurement("a", "noise", {"scale": 1.0})
    assert store.measurements(["a"], "noise") == {"a": {"scale": 1.0}}


# --- tables and types that are others ---

COLUMNS = ["key", "data", "network", "batch_size", "learning_rate", "seed", "outcome", "test_accuracy"]
COLUMNS += ["validation_loss", "seconds", "finished", "predictions_sha256", "sha256", "document"]
STRANGE = [7, -1.5, "text", b"\xff\x00", 2**62, float("inf"), "", "\x1b[31m"]


def all_of(path: Path, results: list[RunResult]) -> None:
    """Everything that a store can be asked; what it gives out is what was put in."""
    store, keys = open_store(path), [result.key for result in results]
    expected = {result.key: result for result in results}
    store.list(Filter())
    store.list(Filter(), 1)
    store.count(Filter(outcome="completed"))
    assert all(isinstance(key, str) for key in store.keys(Filter()))
    assert store.get(keys, predictions=True).items() <= expected.items()
    assert store.known(keys) <= expected.keys()
    assert (
        store.predictions(keys).items()
        <= {key: result.predictions for key, result in expected.items()}.items()
    )
    store.measured()
    store.measurements(["a"], "noise")
    open_store(path.with_name("taker.db")).merge(store)
    store.verify()
    store.add_measurement("a", "noise", {"scale": 1.0})
    store.add(results)
    assert store.get(keys, predictions=True) == expected
    store.delete(keys)
    store.close()


@pytest.mark.parametrize("column", COLUMNS)
def test_a_value_of_another_type_is_not_an_error(path: Path, numbered: Numbered, column: str) -> None:
    statement = f"UPDATE runs SET {column} = ? WHERE key = ?"  # noqa: S608
    results = [numbered(number) for number in range(2 * len(STRANGE))]
    open_store(path).add(results)
    changes = [
        (value, is_hashed) for value in STRANGE for is_hashed in (False, column not in ("key", "sha256"))
    ]
    for (value, is_hashed), result in zip(changes, results, strict=True):
        written = value if column != "key" else f"{value!r}{result.spec.seed}".encode()
        execute(path, statement, written, result.key)
        if is_hashed:
            rewrite(path, result.key)
    all_of(path, results)


@pytest.mark.parametrize("column", ["key", "name", "document", "sha256"])
def test_a_measurement_of_another_type_is_not_an_error(path: Path, numbered: Numbered, column: str) -> None:
    statement = f"UPDATE measurements SET {column} = ? WHERE key = ?"  # noqa: S608
    for i, value in enumerate(STRANGE):
        open_store(path).add_measurement(str(i), "noise", {"scale": 1.0})
        execute(path, statement, value, str(i))
    all_of(path, [numbered(1)])


NOT_OURS = (
    r"runs\.db: its tables are not as digitlab makes them \(.*\); bring back a copy of it, or move it away"
)
OTHERS = r"runs\.db: is another program's database; name another place by --store"
HOSTILE = {
    **{
        f"no {table}": (f"DROP TABLE {table}", NOT_OURS)
        for table in ("runs", "predictions", "measurements", "set_aside")
    },
    "no about": ("DROP TABLE about", OTHERS),
    "nothing in about": ("DELETE FROM about", OTHERS),
    **{
        f"schema {value}": (f"UPDATE about SET value = {value}", expected)  # noqa: S608
        for value, expected in (
            *(("'0'", NOT_OURS), ("'-1'", NOT_OURS), ("0", NOT_OURS), ("x'00ff'", OTHERS)),
            *(("NULL", OTHERS), ("9e999", OTHERS), ("'one'", OTHERS), ("'1.5'", OTHERS), ("''", OTHERS)),
            ("'99'", "was made by a newer digitlab"),
        )
    },
    "a table that is not text": ("CREATE TABLE named (x)", None),
    "a column less": ("ALTER TABLE measurements DROP COLUMN document", NOT_OURS),
    "another column": ("ALTER TABLE runs RENAME COLUMN document TO papers", NOT_OURS),
    "a column that is not text": ("ALTER TABLE predictions ADD COLUMN named", None),
    "a column more": ("ALTER TABLE runs ADD COLUMN more TEXT NOT NULL DEFAULT 'x'", None),
    "a view": (
        "ALTER TABLE measurements RENAME TO old; CREATE VIEW measurements AS SELECT * FROM old",
        NOT_OURS,
    ),
    "a rule": ("CREATE TRIGGER no BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no'); END", NOT_OURS),
    "a table without a key": (
        "ALTER TABLE runs RENAME TO old; CREATE TABLE runs AS SELECT * FROM old; DROP TABLE old",
        None,
    ),
}


@pytest.mark.parametrize(("script", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_tables_that_are_others_are_told_with_a_remedy(
    path: Path, numbered: Numbered, script: str, expected: str | None
) -> None:
    results = [numbered(number) for number in range(2)]
    open_store(path).add(results[:1])
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
    connection.close()
    path.write_bytes(path.read_bytes().replace(b"named", b"na\xff\xfed"))
    if expected is None:
        all_of(path, results)
        return
    with pytest.raises(StoreError, match=expected) as raised:
        all_of(path, results)
    assert "store verify" not in str(raised.value)


def test_a_schema_whose_words_are_not_text_is_told(path: Path, numbered: Numbered) -> None:
    store = full_of_runs(path, numbered)
    store.close()
    intact = path.read_bytes()
    for word in (
        b"CREATE TABLE runs",
        b"CREATE TABLE about",
        b"CREATE INDEX runs_by_time",
        b"learning_rate DOUBLE",
    ):
        assert word in intact
        path.write_bytes(intact.replace(word, b"\xff\xfe" + word[2:]))
        with pytest.raises(StoreError, match=r"runs\.db: .*; .*"):
            all_of(path, [numbered(1)])


@pytest.mark.parametrize("value", [2**70, "\udcff"])
def test_what_no_database_can_be_asked_is_told(path: Path, value: Any) -> None:
    store = open_store(path)
    with pytest.raises(StoreError, match=r"cannot be asked for that \(.*\); give another number or text"):
        store.count(Filter(seed=value))


@pytest.mark.parametrize("suffix", ["", "-journal"])
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
@pytest.mark.parametrize("must_exist", [False, True])
def test_what_is_not_a_regular_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, kind: str, must_exist: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("a.db").close()
    file = Path(f"a.db{suffix}")
    file.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "socket":
            server.bind(str(file))
        expected = (
            r"a\.db: is a folder" if (kind, suffix) == ("folder", "") else rf"{file}: is not a regular file; "
        )
        with pytest.raises(StoreError, match=expected):
            open_store("a.db", must_exist=must_exist)


def full_of_runs(path: Path, numbered: Numbered) -> Store:
    store = open_store(path)
    store.add([numbered(number) for number in range(60)])
    return store


DAMAGED = r"runs\.db: is damaged, or no store .*; move it away, .* `.recover` may save rows"


def test_a_truncated_file_is_told(path: Path, numbered: Numbered) -> None:
    store = full_of_runs(path, numbered)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreError, match=DAMAGED):
        store.verify()


@pytest.mark.parametrize("content", [os.urandom(20_000), b"<!DOCTYPE html>" * 100, b"xy"])
def test_what_is_not_a_database_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match=DAMAGED):
        open_store(path)
    assert path.read_bytes() == content


def test_damage_anywhere_in_the_file_is_told_or_found(path: Path, numbered: Numbered) -> None:
    results = {numbered(number).key: numbered(number) for number in range(60)}
    full_of_runs(path, numbered)
    intact = path.read_bytes()
    for page in range(0, len(intact) // 4096, 7):
        torn = bytearray(intact)
        torn[page * 4096 + 1000 : page * 4096 + 1400] = os.urandom(400)
        path.write_bytes(torn)
        try:
            store = open_store(path)
            # Whatever is given out is what was put in.
            assert store.get(results, predictions=True).items() <= results.items()
            store.verify()
            assert store.get(results, predictions=True).items() <= results.items()
        except StoreError as error:
            assert str(path) in str(error)  # noqa: PT017  # either ending will do


# --- no room, no right to write ---

FILL_LIMITED = """
import resource, sys, pickle
from digitlab.errors import StoreError
from digitlab.store import open_store
path, limit = sys.argv[1], int(sys.argv[2])
results = pickle.load(sys.stdin.buffer)
store = open_store(path)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
added = 0
try:
    for result in results:
        added += store.add([result])
except StoreError as error:
    print(added, error)
"""


def fill(path: Path, results: list[RunResult], limit: int = 0) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", FILL_LIMITED, str(path), str(limit)],
        input=pickle.dumps(results),
        capture_output=True,
        check=True,
    )
    added, _, message = done.stdout.decode().partition(" ")
    return int(added), message


def test_a_file_that_may_not_grow_keeps_what_it_has(path: Path, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(60)]
    added, message = fill(path, results, limit=150_000)
    assert 0 < added < 60
    assert "the disk failed (disk I/O error); see that it is intact and has room" in message
    store = open_store(path)
    assert store.known(result.key for result in results) == {result.key for result in results[:added]}
    assert store.verify() == Verification(added, ())
    assert store.add(results) == 60 - added


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_what_it_has(small_disk: Path, numbered: Numbered) -> None:
    path, results = small_disk / "runs.db", [numbered(number) for number in range(60)]
    added, message = fill(path, results)
    assert 0 < added < 60
    assert "the disk is full (database or disk is full); make room and run it again" in message
    store = open_store(path)
    assert store.known(result.key for result in results) == {result.key for result in results[:added]}
    assert store.verify() == Verification(added, ())


def test_a_read_only_disk_can_be_read(small_disk: Path, numbered: Numbered) -> None:
    path, result = small_disk / "runs.db", numbered(1)
    open_store(path).add([result])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    store = open_store(path)
    assert store.get([result.key], predictions=True) == {result.key: result}
    assert store.verify() == Verification(1, ())
    with pytest.raises(StoreError, match=r"cannot be .*written .*, or name another place by --store"):
        store.add([numbered(2)])
    with pytest.raises(StoreError, match=r"no store can be made there \(Read-only file system\)"):
        open_store(small_disk / "other.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_what_may_not_be_written_can_be_read(path: Path, numbered: Numbered) -> None:
    result = numbered(1)
    open_store(path).add([result])
    for locked, usual, mode in ((path, 0o644, 0o444), (path.parent, 0o755, 0o555)):
        locked.chmod(mode)
        try:
            store = open_store(path)
            assert store.known([result.key])
            with pytest.raises(StoreError, match=r"cannot be .*written .*, or name another place by --store"):
                store.add([numbered(2)])
        finally:
            locked.chmod(usual)


# --- several at once ---

ADD_ALL = """
import pickle, sys
from digitlab.store import open_store
results = pickle.load(sys.stdin.buffer)
print("ready", flush=True)
sys.stdin.buffer.close()
store = open_store(sys.argv[1])
for result in results:
    store.add([result])
    print(result.key, flush=True)
"""


def adding(path: Path, results: list[RunResult]) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", ADD_ALL, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(pickle.dumps(results))
    process.stdin.close()
    assert process.stdout.readline() == b"ready\n"
    return process


def test_two_processes_make_and_fill_one_store(path: Path, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(60)]
    processes = [adding(path, results[:40]), adding(path, results[20:])]
    for process in processes:
        assert process.stdout
        process.stdout.read()
        process.stdout.close()
        assert process.wait() == 0
    store = open_store(path)
    assert store.get([result.key for result in results], predictions=True) == {
        result.key: result for result in results
    }
    assert store.verify() == Verification(60, ())


def test_what_was_added_before_a_kill_is_there(path: Path, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(2_000)]
    added: set[str] = set()
    for attempt in range(4):
        process = adding(path, results[attempt * 500 :])
        assert process.stdout
        for _ in range(7 + attempt):
            added.add(process.stdout.readline().decode().strip())
        time.sleep(attempt / 1_000)
        process.send_signal(signal.SIGKILL)
        added |= {line.decode().strip() for line in process.stdout if line.endswith(b"\n")}
        process.wait()
        process.stdout.close()
        store = open_store(path)
        assert len(added) >= 7 * (attempt + 1)
        assert store.known(added) == added
        assert store.verify().set_aside == ()


def hold(path: Path) -> sqlite3.Connection:
    """What another process does that writes for long."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_a_store_that_is_held_for_too_long(path: Path, trained: RunResult) -> None:
    messages: list[str] = []
    store = open_store(path, timeout_seconds=0.3, on_wait=messages.append)
    other = hold(path)
    expected = r"runs\.db: another digitlab holds the store, for more than 0\.3 s; try again when it is done"
    for attempt in (
        lambda: store.add([trained]),
        lambda: store.known([trained.key]),
        lambda: open_store(path, timeout_seconds=0.3),
    ):
        with pytest.raises(StoreError, match=expected):
            attempt()
    other.execute("ROLLBACK")
    other.close()
    assert store.add([trained]) == 1


def test_a_store_that_is_held_for_a_while_is_waited_for(path: Path, trained: RunResult) -> None:
    messages: list[str] = []
    store = open_store(path, on_wait=messages.append)
    other = hold(path)

    def let_go() -> None:
        other.execute("ROLLBACK")
        other.close()

    timer = threading.Timer(3, let_go)
    timer.start()
    assert store.add([trained]) == 1
    timer.join()
    assert messages == [f"{path}: another digitlab holds the store; waiting for up to 10 s"]


def test_torch_is_not_needed(path: Path) -> None:
    script = (
        f"import sys; from digitlab.store import open_store; open_store({str(path)!r}); "
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
