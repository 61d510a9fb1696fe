"""Whose handwriting: label files as they are, cut, named otherwise, damaged and missing."""

import gzip
import shutil
import struct
from pathlib import Path

import pytest

from digitlab.data import Dataset, cache, load_writers, registry
from digitlab.data.catalog import CATALOG, WRITER_FILES, DatasetEntry
from digitlab.data.importing_writers import import_writers
from digitlab.data.writers import PUPILS, is_there
from digitlab.errors import DataError, SpecError
from tests.data.files import entry_with_writers, extended_bytes, writer_payloads

FILES = writer_payloads()
REMEDY = (
    "run `digitlab data fetch mnist --writers`, or import files you have with `digitlab data import mnist PATH "
    "--writers`"
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, empty_data_directory: Path) -> DatasetEntry:
    """A small data set of the catalogue, of which it is known who wrote it."""
    found = entry_with_writers(FILES)
    monkeypatch.setitem(CATALOG, "small", found)
    return found


def folder_of(tmp_path: Path, **contents: bytes) -> Path:
    """A folder of label files: by part, its bytes."""
    folder = tmp_path / "source"
    folder.mkdir(exist_ok=True)
    for part, content in contents.items():
        (folder / WRITER_FILES[part]).write_bytes(content)  # type: ignore[index]
    return folder


# --- the real files ---


def test_the_real_files_say_who_wrote_mnist(with_writers: Path, qmnist_files: Path, mnist: Dataset) -> None:
    found = load_writers("mnist")
    assert (len(found.train_writer), len(found.test_writer)) == (60_000, 10_000)
    # Yadav & Bottou 2019, section 2: MNIST's writers are 539 and 297, and none wrote for both parts.
    train, test = set(found.train_writer.tolist()), set(found.test_writer.tolist())
    assert (len(train), len(test), len(train & test)) == (539, 297, 0)
    # The first half of the test images is by pupils, but for one image the second by the Census Bureau's staff.
    pupils = found.test_series == PUPILS
    assert pupils[:5_000].all()
    assert pupils[5_000:].sum() == 1
    assert set(found.train_series.tolist()) == {0, PUPILS}
    # Nobody is of two series.
    assert len(set(zip(found.train_writer.tolist(), found.train_series.tolist(), strict=True))) == 539
    assert len(set(zip(found.test_writer.tolist(), found.test_series.tolist(), strict=True))) == 297
    for array in (found.train_writer, found.test_writer, found.train_series, found.test_series):
        assert not array.flags.writeable
    # The rows are those of MNIST's images: their classes agree, read without this project's reader.
    for name, images in (("train", mnist.train), ("t10k", mnist.test)):
        (path,) = qmnist_files.glob(f"*{name}*labels-idx2-int.gz")
        payload = gzip.decompress(path.read_bytes())
        numbers = struct.unpack(f">{8 * len(images)}i", payload[12:])
        assert list(numbers[::8]) == images.labels.tolist()
        writer = found.train_writer if name == "train" else found.test_writer
        assert list(numbers[2::8]) == writer.tolist()


# --- importing ---


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("inside", [".", "raw", "QMNIST/raw"])
def test_files_are_imported_whatever_they_are_called(
    tmp_path: Path, small: DatasetEntry, pack: type[bytes], inside: str
) -> None:
    folder = tmp_path / inside
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a-labels-idx2-int").write_bytes(pack(FILES["test"]))
    (folder / "b-labels-idx2-int.gz").write_bytes(pack(FILES["train"]))
    assert import_writers("small", tmp_path) == small
    found = load_writers("small")
    assert found.train_writer.tolist() == [100 + i % 5 for i in range(40)]
    assert found.test_writer.tolist() == [100 + i % 3 for i in range(20)]
    assert found.test_series.tolist() == [4 * (i % 3 % 2) for i in range(20)]


def test_a_longer_file_is_cut_to_the_images(tmp_path: Path, small: DatasetEntry) -> None:
    longer = extended_bytes(60, writers=3)
    assert longer[12 : 12 + 20 * 32] == FILES["test"][12:]
    import_writers("small", folder_of(tmp_path, train=FILES["train"], test=longer))
    assert (cache.folder("small.writers") / WRITER_FILES["test"]).read_bytes() == FILES["test"]
    assert len(load_writers("small").test_writer) == 20


def test_what_is_no_such_file_is_refused(tmp_path: Path, small: DatasetEntry) -> None:
    def refused(**contents: bytes) -> str:
        with pytest.raises(DataError) as caught:
            import_writers("small", folder_of(tmp_path, **contents))
        return str(caught.value)

    remedy = "name a folder that holds QMNIST's label files of the training and of the test images"
    assert refused() == (
        f"{tmp_path / 'source'}: found no file {WRITER_FILES['train']}.gz, expected QMNIST's two label files; "
        f"{remedy}"
    )
    only_train = refused(train=FILES["train"])
    assert "found extended labels of which the first 20 have the SHA-256" in only_train
    assert only_train.endswith(f"for the test images of small; {remedy}")
    changed = bytearray(FILES["test"])
    changed[-1] ^= 1
    assert f"{WRITER_FILES['test']}: found extended labels of which" in refused(test=bytes(changed))
    assert "found 7 extended labels, expected at least 20" in refused(test=extended_bytes(7))
    assert "found a web page (HTML)" in refused(test=b"<html>")
    assert not is_there("small")
    with pytest.raises(DataError, match="expected QMNIST's two label files"):
        import_writers("small", tmp_path / ("x" * 300))


def test_of_other_data_sets_nobody_knows_the_writers(tmp_path: Path, empty_data_directory: Path) -> None:
    for name in ("fashion-mnist", "mine", "../x"):
        for ask in (load_writers, lambda name: import_writers(name, tmp_path)):
            with pytest.raises(SpecError) as caught:
                ask(name)
            assert str(caught.value) == (
                f"data: {name!r} has no files that say who wrote its images; use mnist"
            )


# --- what lies in the cache ---


def test_missing_files_are_told_with_their_remedy(empty_data_directory: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_writers()
    assert str(caught.value) == (
        "the writers of mnist: found no label files that say it on this machine, expected the two of QMNIST; "
        f"{REMEDY}"
    )


def test_damaged_files_are_told_and_verified_apart_from_the_images(
    tmp_path: Path, small: DatasetEntry
) -> None:
    assert registry.verify_writers("small") == []
    assert not registry.are_writers_intact("small")
    import_writers("small", folder_of(tmp_path, **FILES))
    assert [check.fault for check in registry.verify_writers("small")] == [None, None]
    assert registry.are_writers_intact("small")
    path = cache.folder("small.writers") / WRITER_FILES["train"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        DataError, match=r"found 1,291 bytes, expected 1,292 .*; run `digitlab data fetch small"
    ):
        load_writers("small")
    train, test = registry.verify_writers("small")
    assert "found 1,291 bytes" in str(train.fault)
    assert test.fault is None
    path.unlink()
    with pytest.raises(DataError, match="found no such file, expected an IDX file of extended labels"):
        load_writers("small")


def test_the_folder_is_that_of_no_data_set(tmp_path: Path, small: DatasetEntry) -> None:
    import_writers("small", folder_of(tmp_path, **FILES))
    assert registry.names() == ["mnist", "fashion-mnist", "small"]
    shutil.rmtree(cache.folder("small.writers"))
    assert not is_there("small")


def test_nothing_of_the_data_set_s_identity_depends_on_who_wrote_it(small: DatasetEntry) -> None:
    without = small.model_copy(update={"writers": None})
    assert without.sha256 == small.sha256
    assert without.data_spec == small.data_spec
    assert "writers" not in without.model_dump()
    assert CATALOG["mnist"].sha256 == "ac89dbc26b7b0b5f68ff586bc0579a0c16e78b3436b0c71ccdd0169cbebf9ff7"
    assert DatasetEntry.from_json(small.model_dump_json()) == small
