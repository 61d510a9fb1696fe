"""PostgreSQL's own troubles, made for real: no server, a server that ends, wrong names, full disks."""

import itertools
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from digitlab.errors import StoreError
from digitlab.result import RunResult
from digitlab.store import Filter, Store, Verification, is_there, open_store, shown_place
from tests.postgresql import PASSWORD, Server
from tests.store.conftest import Numbered

_NUMBERS = itertools.count()


@pytest.fixture
def url(postgresql: Server) -> str:
    """An empty database."""
    return postgresql.make_database(f"own-{next(_NUMBERS)}")


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def refused(place: str, timeout_seconds: float = 0.3) -> str:
    """How the opening of a store is refused; never with a password."""
    with pytest.raises(StoreError) as raised:
        open_store(place, timeout_seconds=timeout_seconds)
    message = str(raised.value)
    assert PASSWORD not in message
    assert "cret" not in message
    return message


def test_a_place_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITLAB_STORE", "postgres://me:se%3Acret@host:5433/team?sslpassword=secret")
    assert shown_place() == "postgresql://me@host:5433/team"
    assert is_there()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (
            "mysql://me:secret@host/team",
            "mysql://me@host/team: is no place of a store; give a file, or postgresql:",
        ),
        (
            "postgresql://me:secret@host",
            "postgresql://me@host: names no database; give a file, or postgresql://",
        ),
        ("postgresql://me:secret@host:x/team", "postgresql://…: is no place of a store; give a file, or "),
    ],
)
def test_what_is_no_url_of_a_store_is_told(place: str, expected: str) -> None:
    assert refused(place).startswith(expected)


def test_many_open_a_new_database_at_once(url: str) -> None:
    start, faults = threading.Barrier(8), list[StoreError]()

    def work() -> None:
        start.wait()
        try:
            open_store(url).close()
        except StoreError as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_who_is_not_let_in_is_told(postgresql: Server, url: str) -> None:
    where = f"postgresql://digits@127.0.0.1:{postgresql.port}"
    name = name_of(url)
    message = refused(postgresql.url(name, password="wrong-secret"))
    assert message.startswith(f"{where}/{name}: does not let this user in (")
    assert "see to the user's name and password" in message
    assert f"{where}/nowhere: there is no such database (" in refused(postgresql.url("nowhere"))
    assert "make it with `createdb`" in refused(postgresql.url("nowhere"))


def test_a_server_that_is_not_there_is_told_after_a_while() -> None:
    told: list[str] = []
    with pytest.raises(
        StoreError, match=r"the server cannot be reached for more than 0\.3 s \(.*refused.*see that"
    ):
        open_store("postgresql://me@127.0.0.1:1/team", timeout_seconds=0.3, on_wait=told.append)
    assert told == ["postgresql://me@127.0.0.1:1/team: the server cannot be reached; waiting for up to 0.3 s"]


def test_a_connection_that_is_cut_is_made_again(postgresql: Server, url: str, numbered: Numbered) -> None:
    told: list[str] = []
    store = open_store(url, on_wait=told.append)
    store.add([numbered(1)])
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"  # noqa: S608
    postgresql.execute("postgres", cut)
    assert store.add([numbered(1), numbered(2)]) == 1
    assert told == [f"{shown_place(url)}: the connection to the server was lost; waiting for up to 10 s"]
    store.close()


def test_a_program_that_stood_still_and_lost_its_connection_goes_on(
    postgresql: Server, url: str, numbered: Numbered
) -> None:
    """Stopped in the middle of a transaction for longer than it would wait for a server."""
    import psycopg

    with closing(open_store(url)) as store:
        store.add([numbered(1)])
    script = (
        "import sys; from digitlab.store import Filter, open_store\n"
        "store = open_store(sys.argv[1], timeout_seconds=2); store.count(Filter())\n"
        "print('ready', flush=True); input()\n"
        "print(store.count(Filter()))"
    )
    counts = subprocess.Popen(
        [sys.executable, "-c", script, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert counts.stdin is not None
    held = f"FROM pg_stat_activity WHERE datname = '{name_of(url)}' AND wait_event_type = 'Lock'"
    with psycopg.connect(url) as connection:
        assert counts.stdout is not None
        assert counts.stdout.readline() == "ready\n"
        connection.execute("LOCK TABLE runs")
        counts.stdin.write("\n")
        counts.stdin.flush()
        while not postgresql.execute("postgres", f"SELECT 1 {held}"):
            pass
        counts.send_signal(signal.SIGSTOP)
        postgresql.execute("postgres", f"SELECT pg_terminate_backend(pid) {held}")
    time.sleep(2.5)
    counts.send_signal(signal.SIGCONT)
    assert counts.communicate()[0] == "1\n"
    assert counts.returncode == 0


def test_a_server_that_ends_and_starts_again_is_waited_for(
    postgresql: Server, url: str, numbered: Numbered
) -> None:
    store, hasty = open_store(url, timeout_seconds=60), open_store(url, timeout_seconds=0.3)
    store.add([numbered(1)])
    hasty.count(Filter())
    postgresql.stop("immediate")
    try:
        with pytest.raises(
            StoreError, match=r"for more than 0\.3 s .*; see that it runs and run it again: what was"
        ):
            hasty.count(Filter())
    finally:
        again = threading.Timer(1, postgresql.start)
        again.start()
    assert store.add([numbered(1), numbered(2)]) == 1
    again.join()
    assert store.verify() == Verification(2, ())
    store.close()
    hasty.close()


def test_a_database_that_may_not_be_written_can_be_read(
    postgresql: Server, url: str, numbered: Numbered
) -> None:
    with closing(open_store(url)) as store:
        store.add([numbered(1)])
    postgresql.execute("postgres", f'ALTER DATABASE "{name_of(url)}" SET default_transaction_read_only = on')
    with closing(open_store(url)) as store:
        assert store.known([numbered(1).key])
        with pytest.raises(
            StoreError, match=r"cannot be written \(.*read-only.*\); name a server that may be"
        ):
            store.add([numbered(2)])


def test_another_programs_database_is_left_alone(postgresql: Server, url: str) -> None:
    postgresql.execute(name_of(url), "CREATE TABLE moz_places (name text)")
    assert refused(url).endswith("is another program's database; name another place by --store")
    postgresql.execute(name_of(url), "DROP TABLE moz_places")
    open_store(url).close()
    postgresql.execute(name_of(url), "DROP TABLE runs")
    assert "its tables are not as digitlab makes them" in refused(url)
    postgresql.execute(name_of(url), "UPDATE about SET value = '9'")
    assert "was made by a newer digitlab (schema 9, this one knows 2)" in refused(url)


def test_a_changed_run_counts_as_unknown_until_it_comes_again(
    postgresql: Server, url: str, numbered: Numbered
) -> None:
    results = [numbered(number) for number in range(3)]
    bad = results[1].key
    with closing(open_store(url)) as store:
        store.add(results)
        postgresql.execute(name_of(url), f"UPDATE runs SET document = '\\x00' WHERE key = '{bad}'")  # noqa: S608
        assert bad not in store.known([bad])
        assert store.add(results) == 1
        assert postgresql.execute(name_of(url), "SELECT key FROM set_aside") == [(bad,)]
        assert list(store.get([result.key for result in results], predictions=True).values()) == results


def test_texts_are_sorted_byte_by_byte_whatever_the_language(postgresql: Server, url: str) -> None:
    assert postgresql.execute("postgres", "SELECT 'a' < 'B'") == [(True,)]  # as people sort, by default
    open_store(url).close()
    columns = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = 'public'"
    assert postgresql.execute(name_of(url), f"{columns} AND data_type = 'character varying'") == [("C",)]


def test_of_two_that_add_the_same_one_is_told_that_it_was_new(url: str, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(30)]
    stores, added = [open_store(url) for _ in range(2)], [0, 0]

    def add(which: int) -> None:
        for start in range(0, 30, 5):
            some = results[start : start + 5]
            added[which] += stores[which].add(some if which else some[::-1])

    threads = [threading.Thread(target=add, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(added) == 30
    assert stores[0].verify() == Verification(30, ())
    for store in stores:
        store.close()


def test_a_forked_child_uses_its_parents_store(url: str, numbered: Numbered) -> None:
    store = open_store(url)
    store.add([numbered(1)])
    if not (child := os.fork()):
        os._exit(store.add([numbered(2)]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert store.known([numbered(1).key, numbered(2).key]) == {numbered(1).key, numbered(2).key}
    store.close()


def test_runs_are_copied_to_a_file_and_back(
    postgresql: Server, url: str, tmp_path: Path, trained: RunResult, diverged: RunResult, numbered: Numbered
) -> None:
    results = [trained, diverged, numbered(7)]
    with closing(open_store(tmp_path / "first.db")) as first:
        first.add(results)
        first.add_measurement(trained.key, "noise", {"scale": float("nan")})
    copy(tmp_path / "first.db", url, "3 of 3 runs copied to ")
    copy(url, tmp_path / "second.db", "3 of 3 runs copied to ")
    copy(url, tmp_path / "second.db", "0 of 3 runs copied to ")
    with closing(open_store(tmp_path / "second.db")) as second:
        assert [run.to_json() for run in all_of(second)] == [run.to_json() for run in sorted_by_key(results)]
        assert repr(second.measurements([trained.key], "noise")) == repr(
            {trained.key: {"scale": float("nan")}}
        )


def copy(source: object, target: object, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "digitlab", "store", "copy", str(source), str(target)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(expected)
    assert "cret" not in done.stdout + done.stderr


def sorted_by_key(results: list[RunResult]) -> list[RunResult]:
    return sorted(results, key=lambda run: run.key)


def all_of(store: Store) -> list[RunResult]:
    return sorted_by_key(list(store.get(store.keys(Filter()), predictions=True).values()))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB that the server may write on; a database takes 8 of them."""
    disk = Path("/tmp") / f"digitlab-disk-{os.getpid()}"  # noqa: S108  # where the server's user may look
    if os.geteuid() != 0:
        pytest.skip("no disk can be mounted here")
    disk.mkdir()
    try:
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True
        ).returncode:
            pytest.skip("no disk can be mounted here")
        os.chown(disk, pwd.getpwnam("postgres").pw_uid, -1)
        yield disk
        subprocess.run(["umount", str(disk)], check=True)
    finally:
        disk.rmdir()


def test_a_full_disk_keeps_what_it_has(postgresql: Server, small_disk: Path, numbered: Numbered) -> None:
    postgresql.execute("postgres", f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    postgresql.execute("postgres", "CREATE DATABASE overfull TABLESPACE small")
    added, message = 0, ""
    try:
        with closing(open_store(postgresql.url("overfull"))) as store:
            while not message:
                try:
                    added += store.add([numbered(number) for number in range(added, added + 50)])
                except StoreError as error:
                    message = str(error)
            assert re.search(
                r"the server's disk is full \(.*\); make room and run it again: what was", message
            )
            assert store.count(Filter()) == added > 0
            assert store.verify() == Verification(added, ())
    finally:
        postgresql.execute("postgres", "DROP DATABASE overfull WITH (FORCE)")
        postgresql.execute("postgres", "DROP TABLESPACE small")
