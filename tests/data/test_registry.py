"""The library: the bundled MNIST, the cache, and what happens to a cache that was damaged."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitlab.data import Dataset, cache, load, names, registry
from digitlab.data.catalog import CATALOG, FILE_NAMES
from digitlab.errors import DataError, SpecError
from tests.data.files import entry_of, payloads

CANONICAL_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def test_the_bundled_files_are_the_canonical_ones() -> None:
    bundled = Path(registry.__file__).parent / "bundled" / "mnist"
    digests = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in bundled.glob("*.gz")}  # noqa: S324
    assert digests == CANONICAL_MD5
    assert "CC BY-SA 3.0" in (bundled / "LICENSE.md").read_text()


def test_mnist_is_what_it_is_known_to_be(mnist: Dataset) -> None:
    assert mnist.train.images.shape == (60_000, 28, 28)
    assert mnist.test.images.shape == (10_000, 28, 28)
    assert mnist.train.images.dtype == np.uint8
    # Known of MNIST: how often each digit occurs, the first labels, the mean pixel 0.1307 of 255.
    assert np.bincount(mnist.train.labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert len(mnist.train) == 60_000


def test_the_second_load_is_a_memory_map_of_the_same(empty_data_directory: Path) -> None:
    first, second = load("mnist"), load("mnist")
    for part in ("train", "test"):
        before, after = getattr(first, part), getattr(second, part)
        assert np.array_equal(before.images, after.images)
        assert np.array_equal(before.labels, after.labels)
        assert not after.images.flags.writeable
    folder = empty_data_directory / "datasets" / "mnist"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILE_NAMES.values())
    assert "mmap" in repr(type(_base(second.train.images)))


def _base(array: np.ndarray) -> object:
    """What owns the memory that an array looks into."""
    base: object = array
    while getattr(base, "base", None) is not None or isinstance(base, memoryview):
        base = base.obj if isinstance(base, memoryview) else base.base  # type: ignore[attr-defined]
        if type(base).__name__ == "mmap":
            break
    return base


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_cache_of_bundled_data_mends_itself(empty_data_directory: Path, damage: str) -> None:
    load("mnist")
    path = cache.folder("mnist") / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[1_000_000] ^= 1
    if damage == "flip":
        path.write_bytes(content)
    elif damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:5_000] if damage == "truncate" else b"")
    (fault,) = [check.fault for check in registry.verify("mnist") if check.fault]
    assert str(fault).startswith(str(path))
    assert np.bincount(load("mnist").train.labels)[0] == 5923
    assert not any(check.fault for check in registry.verify("mnist"))
    assert not list(cache.folder("mnist").parent.glob(".*"))


def test_damage_that_cannot_mend_itself_is_told(empty_data_directory: Path, mnist: Dataset) -> None:
    # Fashion-MNIST's place, filled with MNIST.
    load("mnist")
    shutil.copytree(cache.folder("mnist"), cache.folder("fashion-mnist"))
    with pytest.raises(
        DataError, match=r"found a payload with SHA-256 ba89.*, expected c59f.* for fashion-mnist"
    ):
        load("fashion-mnist")
    checks = registry.verify("fashion-mnist")
    assert len(checks) == 4
    assert all("`digitlab data fetch fashion-mnist`" in str(check.fault) for check in checks)


def test_data_that_is_not_here_is_told(empty_data_directory: Path) -> None:
    with pytest.raises(
        DataError, match=r"data set fashion-mnist: found nothing on this machine.*data fetch fashion"
    ):
        load("fashion-mnist")
    assert registry.verify("fashion-mnist") == []


@pytest.mark.parametrize("name", ["minst", "", "../mnist", "/etc", "Mnist"])
def test_an_unknown_name_is_told(empty_data_directory: Path, name: str) -> None:
    with pytest.raises(
        SpecError,
        match=r"is not the name of a data set; (use mnist, fashion-mnist, or add|did you mean mnist\?)",
    ):
        load(name)


ENTRY = entry_of(payloads(), name="mine").model_dump_json().encode()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b'{"name": "x"}', b"[" * 100_000, b"\xff"),
        ENTRY.replace(b'"train_labels":', b'"labels":'),
        ENTRY.replace(b"a small one", b"a \\u001b[31mred one"),
        ENTRY.replace(b'"train_images":40', b'"train_images":-1'),
    ],
)
def test_a_damaged_description_of_an_import_is_told(empty_data_directory: Path, content: bytes) -> None:
    folder = empty_data_directory / "datasets" / "mine"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_bytes(content)
    assert names() == ["mnist", "fashion-mnist", "mine"]
    with pytest.raises(
        DataError, match=r"(?s)dataset.json: found no valid description.*`digitlab data import mine PATH`"
    ):
        load("mine")


def test_a_description_under_another_name_is_told(empty_data_directory: Path) -> None:
    folder = empty_data_directory / "datasets" / "other"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_bytes(ENTRY)
    with pytest.raises(DataError, match=r"found the description of 'mine', expected that of 'other'"):
        load("other")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps rights otherwise")
def test_without_a_place_to_write_the_bundled_data_is_used_from_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    script = "from digitlab.data import load; print(load('mnist').train.images.sum())"
    environment = os.environ | {"DIGITLAB_DATA": str(tmp_path / "file" / "data")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1567298545\n"


def test_what_killed_processes_left_is_removed(empty_data_directory: Path) -> None:
    old, young = (cache.folder("mnist").with_name(f".mnist.partial-{age}") for age in ("old", "young"))
    for leftover in (old, young):
        leftover.mkdir(parents=True)
        (leftover / "train-images-idx3-ubyte").write_bytes(b"half")
    os.utime(old, (0, 0))
    load("mnist")
    assert not old.exists()
    assert young.exists()


def test_a_place_that_cannot_be_taken_is_given_up(
    empty_data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever the system answers, there is an end to it: here as when another process is always faster.
    def rename(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    stage, target = empty_data_directory / "stage", empty_data_directory / "target"
    stage.mkdir(parents=True)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="Directory not empty"):
        cache._replace(stage, target)


def test_every_entry_of_the_catalogue_is_complete() -> None:
    for name, entry in CATALOG.items():
        assert entry.name == name
        assert entry.licence
        assert entry.citation
        assert len(entry.mirrors) >= 2
        assert entry.data_spec.classes == len(entry.class_names)


def test_a_users_array_is_never_a_trap(empty_data_directory: Path) -> None:
    """A write past NumPy's flag is the user's own: it ends neither this process nor the truth of the files."""
    code = """if True:
        import warnings
        import torch
        from digitlab.data import load
        warnings.simplefilter("ignore")  # torch warns that the array is read-only
        load("mnist")  # into the cache
        first, second = load("mnist"), load("mnist")
        for array in (first.train.images, first.train.labels, first.test.images, first.test.labels):
            assert not array.flags.writeable
            torch.from_numpy(array)[...] = 9
            assert (array == 9).all()
        assert second.train.images.max() == 255
        assert load("mnist").train.images.max() == 255
        print("alive")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr


def test_all_data_sets_are_verified_though_one_description_is_damaged(empty_data_directory: Path) -> None:
    folder = empty_data_directory / "datasets" / "mine"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("{")
    assert registry.entries() == {**CATALOG, "mine": None}
    assert not registry.is_intact("mnist")  # bundled, and not in the cache yet
    load("mnist")
    assert registry.is_intact("mnist")
    checks = dict(registry.verify_all())
    assert list(checks) == [*CATALOG, "mine"]
    assert isinstance(checks["mine"], DataError)
    assert isinstance(checks["mnist"], list)
    assert [check.fault for check in checks["mnist"]] == [None] * 8
    assert list(registry.verify_all("mnist")) == [("mnist", registry.verify("mnist"))]
    (cache.folder("mnist") / "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
    assert not registry.is_intact("mnist")


def test_a_data_set_that_is_not_here_cannot_be_verified(empty_data_directory: Path) -> None:
    with pytest.raises(DataError, match=r"nothing on this machine.*digitlab data fetch fashion-mnist"):
        list(registry.verify_all("fashion-mnist"))
