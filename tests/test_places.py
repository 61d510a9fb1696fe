"""Which folders are digitlab's, whatever the user's environment says."""

import os
import pwd
from pathlib import Path

import pytest

from digitlab import places
from digitlab.data import cache, registry
from digitlab.errors import DataError, StoreError
from digitlab.store import store_place

VARIABLES = ("HOME", "DIGITLAB_DATA", "DIGITLAB_STORE", "XDG_DATA_HOME", "XDG_CACHE_HOME")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A user without an account and without variables."""

    def unknown(_user: object) -> None:
        raise KeyError("getpwuid(): uid not found")

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    return monkeypatch


@pytest.mark.parametrize("home", [None, "", "relative", "~nobody"])
def test_without_a_home_there_is_no_place(homeless: pytest.MonkeyPatch, home: str | None) -> None:
    if home is not None:
        homeless.setenv("HOME", home)
    assert (places.data_folder(), places.store_file(), places.cache_folder()) == (None, None, None)
    assert registry.names() == ["mnist", "fashion-mnist"]
    assert not registry.is_cached("mnist")
    with pytest.raises(DataError, match=r"no home folder to keep it in, .* set HOME, or .* DIGITLAB_DATA"):
        cache.folder("mnist")
    with pytest.raises(StoreError, match=r"no home folder .*; set HOME, or .* --store or DIGITLAB_STORE"):
        store_place()
    assert registry.load("mnist").train.images.shape == (60_000, 28, 28)


def test_a_tilde_without_a_home_is_not_a_folder_of_that_name(homeless: pytest.MonkeyPatch) -> None:
    homeless.setenv("DIGITLAB_DATA", "~/data")
    assert places.data_folder() is None
    with pytest.raises(StoreError, match="no home folder"):
        store_place("~/runs.db")


def test_the_variables_name_the_places(homeless: pytest.MonkeyPatch, tmp_path: Path) -> None:
    homeless.setenv("HOME", str(tmp_path))
    homeless.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    homeless.setenv("DIGITLAB_DATA", "~/data")
    homeless.setenv("DIGITLAB_STORE", "runs.db")
    assert places.data_folder() == tmp_path / "data"
    assert places.store_file() == Path.cwd() / "runs.db"
    assert places.cache_folder() == tmp_path / "cache" / "digitlab"
    assert places.expanded("~ghost/x") == Path.cwd() / "~ghost" / "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_that_may_not_be_looked_into_holds_no_data(empty_data_directory: Path) -> None:
    registry.load("mnist")
    empty_data_directory.chmod(0)
    try:
        assert not registry.is_cached("mnist")
        assert len(registry.load("mnist").train) == 60_000
    finally:
        empty_data_directory.chmod(0o755)
