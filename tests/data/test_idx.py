"""The IDX reader: what it reads, and every way in which a file can be wrong."""

import gzip
import hashlib
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from digitlab.data import registry
from digitlab.data.idx import ITEM_LIMIT, IdxFile, Kind
from digitlab.errors import DataError
from tests.data.files import extended_bytes, image_bytes, label_bytes


def idx(path: Path, kind: Kind = "images", count: int | None = None) -> IdxFile:
    return IdxFile(path, kind, "fetch it again", count)


def write(directory: Path, content: bytes, name: str = "file.gz") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_images_and_labels_are_read_gzip_or_raw(tmp_path: Path, pack: type[bytes]) -> None:
    images = idx(write(tmp_path, pack(image_bytes(7))), count=7)
    array = images.parse(images.read())
    assert array.shape == (7, 28, 28)
    assert array.tobytes() == image_bytes(7)[16:]
    assert not array.flags.writeable
    labels = idx(write(tmp_path, pack(label_bytes(12))), "labels")
    assert labels.parse(labels.read()).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_extended_labels_are_read_as_integers_of_four_bytes(tmp_path: Path, pack: type[bytes]) -> None:
    by_hand = [1, 4, 0x01020304, -2, 49, 5, 0, 0]
    payload = bytes.fromhex("00000c02 00000001 00000008") + struct.pack(">8i", *by_hand)
    file = idx(write(tmp_path, pack(payload)), "extended labels", count=1)
    assert file.parse_extended(file.read()).tolist() == [by_hand]
    assert file.payload_bytes(1) == len(payload)


def test_the_first_items_of_a_file_are_a_file_of_their_own(tmp_path: Path) -> None:
    for kind, make in (("images", image_bytes), ("labels", label_bytes), ("extended labels", extended_bytes)):
        file = idx(write(tmp_path, make(6)), kind)  # type: ignore[arg-type]
        first = file.first(file.read(), 4)
        assert first[:8] == make(4)[:8]
        assert first == make(6)[:4] + (4).to_bytes(4, "big") + make(6)[8 : file.payload_bytes(4)]
        assert idx(write(tmp_path, first, "first"), kind, count=4).read() == first  # type: ignore[arg-type]


def test_real_mnist_by_another_reader() -> None:
    # Read without this project's reader: by hand, from the format's definition.
    path = Path(registry.__file__).parent / "bundled" / "mnist" / "t10k-images-idx3-ubyte.gz"
    payload = gzip.decompress(path.read_bytes())
    by_hand = np.array(struct.unpack(f">{28 * 28}B", payload[16 : 16 + 784])).reshape(28, 28)
    assert idx(path).parse(idx(path).read())[0].tolist() == by_hand.tolist()
    assert (
        hashlib.sha256(payload).hexdigest()
        == "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    )


IMAGES, LABELS = image_bytes(5), label_bytes(5)
PACKED = gzip.compress(IMAGES)
HTML = b"<!DOCTYPE html><html><body>Sign in to download</body></html>"

BAD_FILES: dict[str, tuple[bytes, Kind, str]] = {
    "empty": (b"", "images", "found 0 bytes in all, expected a header of 16 bytes"),
    "empty, packed": (gzip.compress(b""), "images", "found 0 bytes in all, expected a header of 16 bytes"),
    "a part of a header": (IMAGES[:9], "images", "found 9 bytes in all, expected a header of 16 bytes"),
    "a part of a header, labels": (
        LABELS[:7],
        "labels",
        "found 7 bytes in all, expected a header of 8 bytes",
    ),
    "a header alone": (IMAGES[:16], "images", "found 16 bytes, expected 3,936 as its header promises"),
    "too short": (IMAGES[:-1], "images", "found 3,935 bytes, expected 3,936 as its header promises"),
    "too short, packed": (gzip.compress(IMAGES[:-1]), "images", "found 3,935 bytes, expected 3,936"),
    "too short, labels": (LABELS[:-1], "labels", "found 12 bytes, expected 13 as its header promises"),
    "trailing bytes": (IMAGES + b"\0", "images", "found more bytes than its header promises, expected 3,936"),
    "trailing bytes, packed": (gzip.compress(IMAGES + b"\0"), "images", "found more bytes than its header"),
    "trailing bytes, labels": (
        LABELS + b"\0",
        "labels",
        "found more bytes than its header promises, expected 13",
    ),
    "labels for images": (LABELS + bytes(99), "images", "found magic number 0x00000801, expected 0x00000803"),
    "images for labels": (IMAGES, "labels", "found magic number 0x00000803, expected 0x00000801 for labels"),
    "labels for extended labels": (LABELS + bytes(9), "extended labels", "expected 0x00000c02 for extended"),
    "no columns": (
        extended_bytes(0, columns=0) + bytes(9),
        "extended labels",
        "found extended labels of 0 columns, expected 8",
    ),
    "seven columns": (extended_bytes(3, columns=7), "extended labels", "found extended labels of 7 columns"),
    "too short, extended labels": (
        extended_bytes(3)[:-1],
        "extended labels",
        "found 107 bytes, expected 108 as its header promises",
    ),
    "trailing bytes, extended labels": (
        extended_bytes(3) + bytes(4),
        "extended labels",
        "found more bytes than its header promises, expected 108",
    ),
    "2^32 - 1 extended labels": (
        struct.pack(">III", 0xC02, 2**32 - 1, 8),
        "extended labels",
        "found 4,294,967,295 extended labels, expected 1 to 100,000,000",
    ),
    "little-endian": (
        struct.pack("<IIII", 0x803, 5, 28, 28) + IMAGES[16:],
        "images",
        "magic number 0x03080000",
    ),
    "another type of numbers": (image_bytes(5, magic=0xD03), "images", "found magic number 0x00000d03"),
    "noise": (bytes(range(255, 0, -1)) * 20, "images", "found magic number 0xfffefdfc"),
    "a web page": (HTML, "images", "found a web page (HTML), expected an IDX file of images"),
    "a web page, packed": (
        gzip.compress(HTML),
        "labels",
        "found a web page (HTML), expected an IDX file of labels",
    ),
    "no images": (image_bytes(0), "images", "found 0 images, expected 1 to 100,000,000"),
    "no labels": (label_bytes(0), "labels", "found 0 labels, expected 1 to 100,000,000"),
    "2^31 images": (struct.pack(">IIII", 0x803, 2**31, 28, 28), "images", "found 2,147,483,648 images"),
    "2^32 - 1 labels": (struct.pack(">II", 0x801, 2**32 - 1), "labels", "found 4,294,967,295 labels"),
    "2^31 rows": (
        struct.pack(">IIII", 0x803, 5, 2**31, 28),
        "images",
        "found images of 2147483648 x 28 pixels",
    ),
    "32 x 32": (
        image_bytes(5, rows=32, columns=32),
        "images",
        "found images of 32 x 32 pixels, expected 28 x 28",
    ),
    "no pixels": (image_bytes(5, rows=0), "images", "found images of 0 x 28 pixels, expected 28 x 28"),
    "truncated": (PACKED[:-12], "images", "found a gzip stream that ends too early, expected a whole one"),
    "truncated checksum": (
        PACKED[:-3],
        "images",
        "found a gzip stream that ends too early, expected a whole one",
    ),
    "gzip's magic alone": (PACKED[:2], "images", "found a gzip stream that ends too early"),
    "a flipped byte": (
        PACKED[:2000] + bytes([PACKED[2000] ^ 1]) + PACKED[2001:],
        "images",
        "a damaged gzip stream",
    ),
    "a wrong checksum": (
        PACKED[:-8] + bytes(4) + PACKED[-4:],
        "images",
        "a damaged gzip stream (CRC check failed",
    ),
    "a wrong method": (
        PACKED[:2] + b"\7" + PACKED[3:],
        "images",
        "a damaged gzip stream (Unknown compression",
    ),
    "noise after gzip": (PACKED + b"noise", "images", "a damaged gzip stream (Not a gzipped file"),
    "gzip of gzip": (gzip.compress(PACKED), "images", "found magic number 0x1f8b"),
    "zlib": (zlib.compress(IMAGES), "images", "found magic number 0x789c"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    content, kind, message = BAD_FILES[name]
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        idx(path, kind).read()
    assert str(caught.value).startswith(f"{path}: found ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; fetch it again")


def test_a_count_other_than_the_known_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found 5 images, expected 60,000; fetch it again"):
        idx(write(tmp_path, PACKED), count=60_000).read()


def test_a_label_beyond_the_classes_is_refused(tmp_path: Path) -> None:
    file = idx(write(tmp_path, label_bytes(30, classes=11)), "labels")
    labels = file.parse(file.read())
    file.check_labels(labels, 11)
    with pytest.raises(
        DataError, match=r"found label 10 at position 10, expected labels 0 to 9; fetch it again"
    ):
        file.check_labels(labels, 10)


def test_what_is_not_a_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such file, expected an IDX file of images"):
        idx(tmp_path / "nothing").read()
    with pytest.raises(DataError, match="found something that is not a file"):
        idx(tmp_path).read()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="found something that is not a file"):
        idx(tmp_path / "pipe").read()


def test_a_bomb_stops_at_the_expected_size(tmp_path: Path) -> None:
    # 2 GiB of zeros in 2 MB, behind a header that promises 5 images.
    packer = zlib.compressobj(9, wbits=31)
    bomb = (
        packer.compress(IMAGES)
        + b"".join(packer.compress(bytes(1 << 24)) for _ in range(128))
        + packer.flush()
    )
    path = write(tmp_path, bomb)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"found more bytes than its header promises, expected 3,936"):
        idx(path).read()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000


def test_a_header_that_promises_much_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path, struct.pack(">IIII", 0x803, ITEM_LIMIT, 28, 28) + bytes(100))
    tracemalloc.start()
    with pytest.raises(DataError, match="found 116 bytes, expected 78,400,000,016"):
        idx(path).read()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.builds(  # a good file with something done to it
            lambda start, end, middle: IMAGES[:start] + middle + IMAGES[end:],
            st.integers(0, 40),
            st.integers(0, 4000),
            st.binary(max_size=20),
        ),
        st.builds(
            lambda dimensions, rest: struct.pack(">IIII", *dimensions) + rest,
            st.tuples(
                st.sampled_from([0x801, 0x803, 0xC02]),
                st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1)),
                *[st.one_of(st.just(8), st.integers(0, 2**32 - 1))] * 2,
            ),
            st.binary(max_size=50),
        ),
    ),
    packed=st.booleans(),
    cut=st.integers(0, 30),
    kind=st.sampled_from(["images", "labels", "extended labels"]),
)
@example(content=IMAGES, packed=True, cut=0, kind="images")
@example(content=extended_bytes(2), packed=True, cut=0, kind="extended labels")
def test_fuzz_nothing_but_data_errors(
    tmp_path: Path, content: bytes, packed: bool, cut: int, kind: Kind
) -> None:
    if packed:
        content = gzip.compress(content, 1)
    file = idx(write(tmp_path, content[: len(content) - cut]), kind)
    try:
        payload = file.read()
    except DataError:
        return
    parsed = file.parse_extended(payload) if kind == "extended labels" else file.parse(payload)
    assert len(parsed) >= 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(position=st.integers(0, len(PACKED) - 1), bit=st.integers(0, 7))
def test_fuzz_a_flipped_bit_is_seen_or_harmless(tmp_path: Path, position: int, bit: int) -> None:
    flipped = bytearray(PACKED)
    flipped[position] ^= 1 << bit
    file = idx(write(tmp_path, bytes(flipped)))
    try:
        payload = file.read()
    except DataError:
        return
    assert payload == IMAGES  # such as a bit of gzip's time stamp
