"""Claims: who may train what, with several drivers, dead ones among them, by the database's clock."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from digitlab.store import Claims, Store, claims, open_store
from tests.postgresql import Server
from tests.store.conftest import Numbered

LEASE = 1.0
KEYS = ["a", "b", "c"]


@pytest.fixture
def store(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Store]:
    monkeypatch.setattr(claims, "LEASE_SECONDS", LEASE)
    with closing(open_store(postgresql.make_database(request.node.name))) as opened:
        yield opened


def driver(store: Store, name: str = "") -> Claims:
    found = store.claims(name)
    assert found is not None
    return found


def test_a_file_expects_no_other_driver(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "runs.db")) as store:
        assert store.claims() is None


def test_each_key_is_granted_to_one_driver(store: Store) -> None:
    ours, theirs = driver(store), driver(store)
    assert ours.claim([]) == frozenset()
    assert ours.claim(["a", "b"]) == {"a", "b"}
    assert theirs.claim(KEYS) == {"c"}
    assert ours.claim(KEYS) == {"a", "b"}  # its own again
    assert theirs.holders(KEYS).keys() == {"a", "b"}
    assert ours.holders(KEYS).keys() == {"c"}
    assert "process " in ours.holders(KEYS)["c"]
    ours.release(["a", "c"])  # the latter is not its own
    assert theirs.claim(["a", "b", "c"]) == {"a", "c"}
    ours.close()
    assert theirs.claim(["b"]) == {"b"}


def test_what_is_done_is_not_granted(store: Store, numbered: Numbered) -> None:
    done, due = numbered(1), numbered(2)
    store.add([done])
    assert driver(store).claim([done.key, due.key]) == {due.key}
    store.add_measurement(due.key, "noise", {"scale": 1.0})
    assert driver(store, "noise").claim([done.key, due.key]) == {done.key}


def test_a_claim_of_a_driver_that_is_silent_ends_and_of_one_that_beats_goes_on(store: Store) -> None:
    silent, alive, other = driver(store), driver(store), driver(store)
    silent.claim(["a"])
    alive.claim(["b"])
    end = time.monotonic() + 1.5 * LEASE
    while time.monotonic() < end:
        alive.beat()
        assert "b" not in other.claim(["b"])
        time.sleep(0.1)
    assert other.holders(["a", "b"]).keys() == {"b"}
    assert other.claim(["a", "b"]) == {"a"}
    # Who comes back too late keeps nothing, and takes nothing away.
    silent.beat()
    assert silent.claim(["a"]) == frozenset()
    silent.release(["a"])
    silent.close()
    assert other.holders(["a"]) == {}
    assert alive.holders(["a"]).keys() == {"a"}


def test_a_dead_driver_whose_heartbeat_was_removed_hides_no_run(store: Store, postgresql: Server) -> None:
    """Elsewhere, whoever tidied up after a dead worker hid the job that it had for ever."""
    dead = driver(store)
    dead.claim(["a"])
    dead.beat()
    name = "test_a_dead_driver_whose_heartbeat_was_removed_hides_no_run"
    postgresql.execute(name, "DELETE FROM heartbeats")
    time.sleep(1.1 * LEASE)
    assert driver(store).claim(["a"]) == {"a"}


def test_a_driver_that_is_started_again_keeps_none_of_its_former_claims_alive(store: Store) -> None:
    """Elsewhere, a worker that came back under its name kept the job alive that had died with its former self."""
    former, again = driver(store), driver(store)  # the same process on the same machine
    former.claim(["a"])
    again.claim(["b"])
    end = time.monotonic() + 1.2 * LEASE
    while time.monotonic() < end:
        again.beat()
        time.sleep(0.1)
    assert driver(store).claim(["a", "b"]) == {"a"}


def test_a_healthy_driver_is_not_taken_for_dead_before_its_first_heartbeat(store: Store) -> None:
    """Elsewhere, a run that had begun and not been heard of yet was declared failed."""
    healthy = driver(store)
    healthy.claim(["a"])
    assert driver(store).claim(["a"]) == frozenset()
    healthy.beat()
    time.sleep(0.6 * LEASE)
    healthy.beat()
    time.sleep(0.6 * LEASE)
    assert driver(store).claim(["a"]) == frozenset()


def test_what_nobody_asks_for_is_forgotten_after_days(store: Store, postgresql: Server) -> None:
    name = "test_what_nobody_asks_for_is_forgotten_after_days"
    driver(store).claim(["a"])
    alive = driver(store)
    alive.claim(["b"])
    alive.beat()
    postgresql.execute(name, "UPDATE claims SET until = until - interval '3 days'")
    driver(store)
    assert postgresql.execute(name, "SELECT key FROM claims") == [("b",)]


def test_a_heartbeat_that_waits_for_its_server_is_gone_with_what_is_released(
    store: Store, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after the release, when the server had been away, and stayed in the table for days."""
    only = driver(store)
    assert isinstance(only, claims.SqlClaims)
    only.claim(["a"])
    begun, may_go_on, write = threading.Event(), threading.Event(), type(only._database).write

    def slow(database: object, work: Callable[[Connection], object]) -> object:
        if threading.current_thread() is beating:
            begun.set()
            may_go_on.wait(10)
        return write(database, work)  # type: ignore[arg-type]

    monkeypatch.setattr(type(only._database), "write", slow)
    beating = threading.Thread(target=only.beat)
    beating.start()
    assert begun.wait(10)
    releasing = threading.Thread(target=only.release, args=[["a"]])
    releasing.start()
    releasing.join(0.5)  # it used to end here, before the heartbeat
    may_go_on.set()
    beating.join()
    releasing.join()
    name = "test_a_heartbeat_that_waits_for_its_server_is_gone_with_what_is_released"
    assert postgresql.execute(name[:63], "SELECT token FROM heartbeats") == []
