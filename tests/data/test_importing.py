"""Importing: known names must be what they claim, new names are checked and recorded."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitlab.data import cache, load, names, registry
from digitlab.data.catalog import FileRole
from digitlab.data.importing import import_directory
from digitlab.errors import DataError, SpecError
from tests.data.files import image_bytes, label_bytes, payloads, write_files


@pytest.mark.parametrize("packed", [True, False])
def test_a_new_data_set_is_imported_and_recorded(
    tmp_path: Path, empty_data_directory: Path, packed: bool
) -> None:
    source = write_files(tmp_path / "source", payloads(train=40, test=20), packed=packed)
    entry = import_directory("mine", source)
    assert (entry.train_images, entry.test_images, len(entry.class_names)) == (40, 20, 10)
    assert names() == ["mnist", "fashion-mnist", "mine"]
    dataset = load("mine")
    assert dataset.entry == entry
    assert dataset.train.images.tobytes() == image_bytes(40)[16:]
    assert dataset.test.labels.tolist() == [i % 10 for i in range(20)]


def test_files_named_with_a_dot_are_found(tmp_path: Path, empty_data_directory: Path) -> None:
    source = write_files(tmp_path / "source", payloads(), packed=False)
    for path in list(source.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert import_directory("mine", source).train_images == 40


def test_an_import_again_takes_the_place_of_the_old(tmp_path: Path, empty_data_directory: Path) -> None:
    import_directory("mine", write_files(tmp_path / "one", payloads(train=40)))
    before = load("mine")
    entry = import_directory("mine", write_files(tmp_path / "two", payloads(train=50)))
    assert len(load("mine").train) == 50
    assert entry.sha256 != before.entry.sha256
    assert before.train.images.tobytes() == image_bytes(40)[16:]  # its map outlives the file
    assert [path.name for path in cache.folder("mine").parent.iterdir()] == ["mine"]


def test_what_is_imported_later_changed_on_disk_is_seen(tmp_path: Path, empty_data_directory: Path) -> None:
    import_directory("mine", write_files(tmp_path / "source", payloads()))
    path = cache.folder("mine") / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"found a payload with SHA-256 .*; import it again with `digitlab data import"
    ):
        load("mine")


def test_a_known_name_must_be_what_it_claims(tmp_path: Path, empty_data_directory: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"found 40 images, expected 60,000; if it is not fashion-mnist, import it under a name of its own",
    ):
        import_directory("fashion-mnist", write_files(tmp_path / "source", payloads()))
    assert names() == ["mnist", "fashion-mnist"]
    assert not cache.folder("fashion-mnist").exists()


@pytest.mark.parametrize(
    ("role", "payload", "message"),
    [
        ("train_labels", label_bytes(39), "found 39 labels, expected 40, one for each image"),
        ("test_images", image_bytes(21), "found 20 labels, expected 21, one for each image"),
        (
            "test_images",
            image_bytes(20, rows=32, columns=32),
            "found images of 32 x 32 pixels, expected 28 x 28",
        ),
        ("train_images", b"<html>", r"found a web page \(HTML\), expected an IDX file of images"),
    ],
)
def test_a_new_name_needs_intact_files(
    tmp_path: Path, empty_data_directory: Path, role: FileRole, payload: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        import_directory("mine", write_files(tmp_path / "source", payloads() | {role: payload}))
    assert not cache.folder("mine").parent.exists()


def test_one_class_is_not_a_classification(tmp_path: Path, empty_data_directory: Path) -> None:
    with pytest.raises(DataError, match="found the label 0 alone, expected at least two classes"):
        import_directory("mine", write_files(tmp_path / "source", payloads(classes=1)))


@pytest.mark.parametrize("broken", [b"\x1f\x8b\x08 torn", b"", b"<html>"])
def test_a_broken_file_hides_no_intact_one_beside_it(
    tmp_path: Path, empty_data_directory: Path, broken: bytes
) -> None:
    source = write_files(tmp_path / "source", payloads(), packed=False)
    for path in list(source.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(broken)
    assert import_directory("mine", source).train_images == 40
    (source / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: found .*; get the file again from"):
        import_directory("mine", source)


@pytest.mark.parametrize("layout", [".", "raw", "MNIST/raw"])
def test_the_folders_above_the_files_find_them(
    tmp_path: Path, empty_data_directory: Path, layout: str
) -> None:
    write_files(tmp_path / "source" / layout, payloads(), packed=False)
    assert import_directory("mine", tmp_path / "source").train_images == 40


def test_of_several_data_sets_in_a_folder_the_one_of_this_name_is_taken(
    tmp_path: Path, empty_data_directory: Path
) -> None:
    write_files(tmp_path / "source" / "MNIST" / "raw", payloads(train=40))
    write_files(tmp_path / "source" / "KMNIST" / "raw", payloads(train=50))
    assert import_directory("kmnist", tmp_path / "source").train_images == 50
    with pytest.raises(
        DataError,
        match=r"found several data sets \(KMNIST/raw, MNIST/raw\), expected one; name the folder of",
    ):
        import_directory("mine", tmp_path / "source")


def test_the_remedy_for_an_intact_file_of_another_kind_fits_it(
    tmp_path: Path, empty_data_directory: Path
) -> None:
    def refusal(name: str, **changed: bytes) -> str:
        files: Any = payloads() | changed
        with pytest.raises(DataError) as refused:
            import_directory(name, write_files(tmp_path / "source", files))
        return refused.value.remedy

    its_own = "if it is not mnist, import it under a name of its own, by `digitlab data import NAME PATH`"
    assert refusal("mnist").startswith(its_own)
    assert refusal("mnist", train_images=image_bytes(60_000)).startswith(its_own)
    assert refusal("mine", train_images=label_bytes(40)) == (
        "it holds labels: give each file the name of what it holds"
    )
    assert refusal("mine", test_labels=image_bytes(20)) == (
        "it holds images: give each file the name of what it holds"
    )
    assert refusal("mine", train_images=image_bytes(40, rows=32, columns=32)) == (
        "digitlab takes images of 28 x 28 pixels alone; scale them to that before you import them"
    )
    assert refusal("mine", train_labels=label_bytes(39)) == (
        "take the images and their labels from one data set"
    )
    assert refusal("mine", train_images=b"<html>") == "get the file again from where you had it"


def test_files_of_a_data_set_of_the_catalogue_are_known_under_another_name(
    tmp_path: Path, empty_data_directory: Path
) -> None:
    bundled = Path(registry.__file__).parent / "bundled" / "mnist"
    with pytest.raises(DataError) as refused:
        import_directory("fashion-mnist", bundled)
    assert refused.value.remedy == "it is a file of mnist: import it by `digitlab data import mnist PATH`"
    swapped = tmp_path / "swapped"
    shutil.copytree(bundled, swapped)
    for role in ("images-idx3", "labels-idx1"):
        (swapped / f"t10k-{role}-ubyte.gz").replace(swapped / f"train-{role}-ubyte.gz")
    with pytest.raises(DataError) as refused:
        import_directory("mnist", swapped)
    assert refused.value.remedy == "it is another file of mnist: give each file the name of what it holds"


def test_a_folder_of_another_format_is_told(tmp_path: Path, empty_data_directory: Path) -> None:
    (tmp_path / "mnist.npz").touch()
    with pytest.raises(
        DataError, match=r"mnist\.npz is not in the IDX format; get the data set as IDX files, or save it"
    ):
        import_directory("mine", tmp_path)
    with pytest.raises(DataError, match=r"expected the four IDX files; name the folder that holds them"):
        import_directory("mine", tmp_path / "none")


@pytest.mark.parametrize("missing", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_told(tmp_path: Path, empty_data_directory: Path, missing: str) -> None:
    source = write_files(tmp_path / "source", payloads())
    (source / f"{missing}.gz").unlink()
    with pytest.raises(
        DataError, match=rf"found no file {missing}.gz or {missing}, expected the four IDX files"
    ):
        import_directory("mine", source)


@pytest.mark.parametrize("name", ["../x", "", ".", "a/b", "Mine", "x" * 65, "a b", "mine\n"])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, empty_data_directory: Path, name: str) -> None:
    source = write_files(tmp_path / "source", payloads())
    with pytest.raises(SpecError, match="is not a name for a data set; use up to 64 of a-z, 0-9 and -"):
        import_directory(name, source)


def test_more_than_ten_classes_are_welcome(tmp_path: Path, empty_data_directory: Path) -> None:
    entry = import_directory(
        "letters", write_files(tmp_path / "source", payloads(train=60, test=30, classes=26))
    )
    assert len(entry.class_names) == 26
    assert np.bincount(load("letters").train.labels).sum() == 60
