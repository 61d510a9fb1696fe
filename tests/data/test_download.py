"""Fetching, from real servers on this machine that behave and misbehave."""

import contextlib
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitlab.data import cache
from digitlab.data.catalog import CATALOG, FILE_NAMES, WRITER_FILES, DatasetEntry
from digitlab.data.download import fetch, fetch_writers
from digitlab.errors import DataError
from tests.data.files import entry_of, entry_with_writers, extended_bytes, payloads, writer_payloads

PAYLOADS = payloads()
PACKED = {f"{FILE_NAMES[role]}.gz": gzip.compress(payload) for role, payload in PAYLOADS.items()}
WRITERS = writer_payloads()
# As QMNIST publishes it: the file of test labels goes on after the images that are known.
LONGER = WRITERS["test"][:4] + (22).to_bytes(4, "big") + WRITERS["test"][8:] + extended_bytes(2)[12:]
PACKED_WRITERS = {
    f"{WRITER_FILES['train']}.gz": gzip.compress(WRITERS["train"]),
    f"{WRITER_FILES['test']}.gz": gzip.compress(LONGER),
}
HTML = b"<!DOCTYPE html><html><title>Sign in</title></html>"


class _Mirrors(http.server.BaseHTTPRequestHandler):
    """One server whose folders are mirrors, each with a way of its own."""

    requests: list[str]

    def do_GET(self) -> None:
        _, behaviour, name = self.path.split("/")
        self.requests.append(self.path)
        content = (PACKED | PACKED_WRITERS)[name]
        if behaviour == "missing":
            return self.send_error(404)
        if behaviour == "html":
            content = HTML
        if behaviour == "truncated":  # an intact answer that holds half a file
            content = content[: len(content) // 2]
        if behaviour == "other":
            content = gzip.compress(PAYLOADS["train_images"][:-1] + b"\0")
        if behaviour == "endless":
            content += bytes(10_000_000)
        self.send_response(200)
        # "broken": the connection ends before the promised length.
        self.send_header("Content-Length", str(len(content) + (1000 if behaviour == "broken" else 0)))
        if behaviour == "encoded":  # servers that take a .gz for a packed text
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Address of the server, and the requests that it got."""
    requests: list[str] = []
    handler = type("Handler", (_Mirrors,), {"requests": requests})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", requests
        httpd.shutdown()
        thread.join()


def entry(address: str, *mirrors: str) -> DatasetEntry:
    return entry_of(PAYLOADS, tuple(f"{address}/{mirror}/" for mirror in mirrors))


def test_four_files_are_fetched_verified_and_kept(
    server: tuple[str, list[str]], empty_data_directory: Path
) -> None:
    address, requests = server
    reported: list[tuple[str, int, int | None]] = []
    fetch(entry(address, "good"), lambda *progress: reported.append(progress))
    kept = {path.name: path.read_bytes() for path in cache.folder("small").iterdir()}
    assert kept == {FILE_NAMES[role]: payload for role, payload in PAYLOADS.items()}
    assert requests == [f"/good/{name}" for name in PACKED]
    assert reported[-1] == ("t10k-labels-idx1-ubyte.gz", *[len(PACKED["t10k-labels-idx1-ubyte.gz"])] * 2)


@pytest.mark.parametrize("bad", ["missing", "html", "truncated", "broken", "other", "endless"])
def test_a_bad_mirror_is_passed_over(
    server: tuple[str, list[str]], empty_data_directory: Path, bad: str
) -> None:
    address, requests = server
    fetch(entry(address, bad, "good"))
    assert (cache.folder("small") / "t10k-labels-idx1-ubyte").read_bytes() == PAYLOADS["test_labels"]
    assert requests[:2] == [f"/{bad}/train-images-idx3-ubyte.gz", "/good/train-images-idx3-ubyte.gz"]


def test_a_server_that_calls_the_file_a_packed_text_is_understood(
    server: tuple[str, list[str]], empty_data_directory: Path
) -> None:
    fetch(entry(server[0], "encoded"))
    assert (cache.folder("small") / "train-images-idx3-ubyte").read_bytes() == PAYLOADS["train_images"]


def test_when_all_fail_each_answer_is_told_and_nothing_is_left(
    server: tuple[str, list[str]], empty_data_directory: Path
) -> None:
    address, _ = server
    bad = ("missing", "html", "truncated", "broken", "other", "endless")
    dead = DatasetEntry.model_validate(
        entry(address, *bad).model_dump()
        | {"mirrors": [*entry(address, *bad).mirrors, "http://127.0.0.1:9/x/"]}
    )
    with pytest.raises(DataError) as caught:
        fetch(dead)
    lines = str(caught.value).splitlines()
    name = "train-images-idx3-ubyte.gz"
    assert lines[0] == f"{name} of small: found no mirror that has it; they answered"
    assert lines[1] == f"  {address}/missing/{name}: HTTP status 404 Not Found"
    assert lines[2] == f"  {address}/html/{name}: found a web page (HTML), expected an IDX file of images"
    assert lines[3].startswith(f"  {address}/truncated/{name}: found a gzip stream that ends too early")
    assert lines[4].startswith(f"  {address}/broken/{name}: IncompleteRead")
    assert lines[5].startswith(f"  {address}/other/{name}: found a payload with SHA-256")
    assert lines[6].startswith(f"  {address}/endless/{name}: more than ")
    assert lines[7].startswith(f"  http://127.0.0.1:9/x/{name}: ")
    assert "Connection refused" in lines[7]
    assert "digitlab data import small PATH" in lines[8]
    assert list(cache.folder("small").parent.iterdir()) == []


def test_a_failed_fetch_leaves_the_old_data_as_they_were(
    server: tuple[str, list[str]], empty_data_directory: Path
) -> None:
    address, _ = server
    fetch(entry(address, "good"))
    before = {path: path.stat().st_mtime_ns for path in cache.folder("small").iterdir()}
    with pytest.raises(DataError):
        fetch(entry(address, "html"))
    assert {path: path.stat().st_mtime_ns for path in cache.folder("small").iterdir()} == before


def test_without_a_place_to_write_it_says_so(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DIGITLAB_DATA", str(tmp_path / "file"))
    with pytest.raises(
        DataError, match=r"found that it cannot be written .*environment variable DIGITLAB_DATA"
    ):
        fetch(entry(server[0], "good"))


def test_without_mirrors_it_says_how_else(empty_data_directory: Path) -> None:
    with pytest.raises(DataError, match=r"found no mirrors, .*`digitlab data import small PATH`"):
        fetch(entry_of(PAYLOADS))


def test_an_interrupted_fetch_leaves_nothing(
    server: tuple[str, list[str]], empty_data_directory: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry(server[0], "good"), interrupt)
    assert list(cache.folder("small").parent.iterdir()) == []


def test_two_at_once_end_with_one_intact_copy(
    server: tuple[str, list[str]], empty_data_directory: Path
) -> None:
    threads = [threading.Thread(target=fetch, args=(entry(server[0], "good"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {path.name: path.read_bytes() for path in cache.folder("small").iterdir()}
    assert kept == {FILE_NAMES[role]: payload for role, payload in PAYLOADS.items()}
    assert [path.name for path in cache.folder("small").parent.iterdir()] == ["small"]


# --- who wrote the images ---


def writers_entry(monkeypatch: pytest.MonkeyPatch, address: str, *mirrors: str) -> DatasetEntry:
    found = entry_with_writers(WRITERS, tuple(f"{address}/{mirror}/" for mirror in mirrors))
    monkeypatch.setitem(CATALOG, "small", found)
    return found


@pytest.mark.parametrize("bad", [(), ("missing",), ("html",), ("truncated",), ("other",), ("endless",)])
def test_label_files_are_fetched_verified_and_cut_to_the_images(
    server: tuple[str, list[str]],
    empty_data_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: tuple[str, ...],
) -> None:
    address, requests = server
    fetch_writers(writers_entry(monkeypatch, address, *bad, "good"))
    kept = {path.name: path.read_bytes() for path in cache.folder("small.writers").iterdir()}
    assert kept == {WRITER_FILES["train"]: WRITERS["train"], WRITER_FILES["test"]: WRITERS["test"]}
    assert requests == [f"/{mirror}/{name}" for name in PACKED_WRITERS for mirror in (*bad, "good")]
    assert not cache.is_there("small")  # the images are another matter


def test_label_files_that_no_mirror_has_leave_nothing(
    server: tuple[str, list[str]], empty_data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = server
    with pytest.raises(DataError) as caught:
        fetch_writers(writers_entry(monkeypatch, address, "missing", "other"))
    lines = str(caught.value).splitlines()
    name = f"{WRITER_FILES['train']}.gz"
    assert lines[0] == f"{name} of the writers of small: found no mirror that has it; they answered"
    assert lines[1] == f"  {address}/missing/{name}: HTTP status 404 Not Found"
    assert lines[2].startswith(
        f"  {address}/other/{name}: found magic number 0x00000803, expected 0x00000c02"
    )
    assert "`digitlab data import small PATH --writers`" in lines[3]
    assert list(cache.folder("small").parent.iterdir()) == []
