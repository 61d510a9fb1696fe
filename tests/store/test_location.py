"""Which store is meant, and which of its runs."""

from contextlib import closing
from pathlib import Path

import pytest

from digitlab.errors import StoreError
from digitlab.store import Store, full_key, is_named, is_there, open_store, usable_store
from tests.store.conftest import Numbered


def test_a_store_is_named_by_its_path_or_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITLAB_STORE")
    assert [is_named(None), is_named(tmp_path)] == [False, True]
    monkeypatch.setenv("DIGITLAB_STORE", str(tmp_path / "runs.db"))
    assert is_named(None)
    assert not is_there()
    open_store().close()
    assert is_there()
    assert not is_there(tmp_path / "other.db")


def test_who_can_do_without_is_told_why_there_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "file"
    closed.touch()
    with pytest.raises(StoreError):
        usable_store(closed / "runs.db")  # named: then it is wanted
    monkeypatch.delenv("DIGITLAB_STORE")
    monkeypatch.setenv("HOME", str(closed))
    monkeypatch.setenv("XDG_DATA_HOME", str(closed))
    assert isinstance(usable_store(), StoreError)
    store = usable_store(tmp_path / "runs.db")
    assert not isinstance(store, StoreError)
    store.close()


def test_a_key_is_found_by_the_digits_that_it_begins_with(tmp_path: Path, numbered: Numbered) -> None:
    with closing(open_store(tmp_path / "runs.db")) as store:
        results = [numbered(number) for number in range(40)]
        store.add(results)
        key = results[0].key
        assert full_key(store, key) == full_key(store, key[:12]) == key
        with pytest.raises(StoreError, match=r"^xyz: no run's key begins with that; "):
            full_key(store, "xyz")
        several = _prefix_of_several(store, [result.key for result in results])
        with pytest.raises(
            StoreError, match=rf"^{several}: \d+ runs' keys begin with that \([0-9a-f]{{12}}, "
        ):
            full_key(store, several)


def _prefix_of_several(store: Store, keys: list[str]) -> str:
    """A digit with which several keys begin: of 40 keys and 16 digits there is one."""
    return next(digit for digit in "0123456789abcdef" if sum(key.startswith(digit) for key in keys) > 1)
