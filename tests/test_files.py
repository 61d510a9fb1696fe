"""Files are written whole or not at all, on a disk that is really full too."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.files import write_whole, written_whole
from digitlab.store import open_store


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def half_written(path: Path) -> None:
    with written_whole(path) as file:
        file.write(b"half of the")
        raise ZeroDivisionError


def written_beside_another(path: Path) -> None:
    with written_whole(path, is_new=True) as file:
        path.write_text("another's")
        file.write(b"new")


def test_a_file_takes_the_place_of_the_old_one_in_one_move(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with written_whole(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_what_raises_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(ZeroDivisionError):
        half_written(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


def test_a_file_that_is_replaced_hands_on_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o640)
    write_whole(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    for content in (b"first", b"second"):  # a link that leads to nothing, then to a file
        write_whole(tmp_path / "link", content)
        assert (tmp_path / "folder" / "file").read_bytes() == content
    assert (tmp_path / "link").is_symlink()


def test_a_new_file_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old", is_new=True)
    with pytest.raises(FileExistsError):
        write_whole(path, "new", is_new=True)
    with pytest.raises(FileExistsError):
        written_beside_another(tmp_path / "late")
    assert (path.read_text(), (tmp_path / "late").read_text()) == ("old", "another's")
    assert sorted(names(tmp_path)) == ["file", "late"]


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    for path, number in [
        (tmp_path, errno.EISDIR),
        (tmp_path / "none" / "file", errno.ENOENT),
        (tmp_path / ("x" * 300), errno.ENAMETOOLONG),
    ]:
        with pytest.raises(OSError) as refused:  # noqa: PT011
            write_whole(path, b"")
        assert (refused.value.errno, refused.value.filename) == (number, str(path))


def test_a_stream_is_written_to_directly(tmp_path: Path) -> None:
    program = (
        "from digitlab.files import write_whole; print('a', flush=True); write_whole('/dev/stdout', 'b')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"a\nb"


# A file system of two pages: one holds the old file, the other one the filler.
_FULL = """
set -e
mount -t tmpfs -o size=8k tmpfs "$1"
printf old > "$1/file"
printf '%5000s' '' | head -c 4096 > "$1/filler"
set +e
shift
"$@"
code=$?
cat file
ls -A | tr '\\n' ' '
exit $code
"""


def on_a_full_disk(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where `file` holds "old" and nothing more fits; say `file`'s content and all names."""
    unshare = shutil.which("unshare")
    flags = "-m" if os.geteuid() == 0 else "-Urm"
    if unshare is None or subprocess.run([unshare, flags, "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    script = _FULL.replace("shift\n", 'cd "$1"; shift\n')
    return subprocess.run(
        [unshare, flags, "sh", "-c", script, "sh", str(folder), *command], capture_output=True, text=True
    )


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    program = "from digitlab.files import write_whole; write_whole('file', b'new' * 1000)"
    done = on_a_full_disk(tmp_path, sys.executable, "-c", program)
    assert "OSError: [Errno 28] No space left on device: 'file'" in done.stderr
    assert done.stdout == "oldfile filler "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["study", "new", "mine.toml"],
            "error: mine.toml: cannot be written (No space left on device); make",
        ),
        (
            ["train", "--steps", "1", "--json", "--output", "file"],
            "error: file: cannot be written (No space left on device); make room there",
        ),
        (
            ["train", "--steps", "1", "--save", "file"],
            "error: file: cannot be written: No space left on device; name a file",
        ),
    ],
    ids=["study new", "--json --output", "--save"],
)
def test_commands_on_a_full_disk_leave_the_old_file_and_say_so(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    digitlab = Path(sys.executable).with_name("digitlab")
    done = on_a_full_disk(tmp_path, str(digitlab), *arguments)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.endswith("oldfile filler ")
    assert done.returncode == 1


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_an_export_to_a_full_disk_leaves_the_old_file(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, mnist: Dataset, form: str
) -> None:
    digitlab, path = Path(sys.executable).with_name("digitlab"), tmp_path_factory.mktemp("store") / "runs.db"
    with closing(open_store(path)) as store:
        for seed in range(3):
            store.add([lab.train(steps=2, train_size=100, seed=seed)])
    arguments = ["runs", "export", "--store", str(path), "--format", form, "--output", "file"]
    done = on_a_full_disk(tmp_path, str(digitlab), *arguments)
    assert done.stderr.startswith("error: file: cannot be written (No space left on device); make room there")
    assert (done.stdout, done.returncode) == ("oldfile filler ", 1)
