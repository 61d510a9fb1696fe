"""The kernel's making: built once, verified before it is loaded, and torch with one line wherever it cannot be had.

The faults are real ones: compilers that are scripts, files that are cut, mounts without exec.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.engine.lockstep.c import build
from digitlab.engine.lockstep.c.build import built_by, kernel
from digitlab.execution.events import Finished
from digitlab.result import RunResult
from tests.execution.trainings import ended_runs, in_workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
Script = Callable[[str], Path]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """An empty cache and an empty temporary folder; call it to forget what this process has decided."""
    if kernel("float32") is None:
        pytest.skip("no C compiler on this machine")

    def forget() -> None:
        build._decide.cache_clear()
        build._told.clear()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    forget()
    yield forget
    forget()


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A compiler that is a script, chosen by CC."""

    def write(text: str) -> Path:
        path = tmp_path / "bin" / "fakecc"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return path

    return write


def kept(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "digitlab" / "kernels").iterdir()
    return path


def test_a_kernel_is_built_once_and_kept_for_this_user_alone(
    tmp_path: Path, fresh: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = os.umask(0)
    try:
        assert kernel("float32") is not None
    finally:
        os.umask(before)
    path = kept(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stem.endswith(hashlib.sha256(path.read_bytes()).hexdigest())
    inode = path.stat().st_ino
    fresh()
    assert kernel("float32") is not None
    assert kept(tmp_path).stat().st_ino == inode
    assert not list((tmp_path / "tmp").iterdir())
    assert not caplog.messages


def test_the_kernel_tells_which_compiler_built_it(
    fresh: object, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script('#!/bin/sh\n[ "$1" = --version ] && echo \'my "own" \\\\ cc\' && exit\nexec cc "$@"\n')
    assert built_by("float32") == 'my "own" \\ cc'
    monkeypatch.setenv("DIGITLAB_KERNEL", "torch")
    assert built_by("float32") is None


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_kernel_is_not_loaded_but_built_again(
    tmp_path: Path, fresh: Callable[[], None], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    assert kernel("float32") is not None
    path = kept(tmp_path)
    whole = path.read_bytes()
    changed = whole[:9_000] + bytes([whole[9_000] ^ 1]) + whole[9_001:]
    path.unlink()  # what this process has loaded is to stay whole
    path.write_bytes({"cut": whole[:9_000], "changed": changed, "emptied": b""}[damage])
    path.chmod(0o600)
    fresh()
    assert kernel("float32") is not None
    assert kept(tmp_path).read_bytes() == whole
    assert not caplog.messages


def test_another_version_of_the_compiler_builds_its_own(
    tmp_path: Path, fresh: Callable[[], None], script: Script
) -> None:
    for version in ("cc 1.0", "cc 2.0"):
        script(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\nexec cc "$@"\n')
        fresh()
        assert built_by("float32") == version
    assert len(list((tmp_path / "cache" / "digitlab" / "kernels").iterdir())) == 2


def test_a_kept_kernel_serves_a_machine_without_a_compiler(
    tmp_path: Path,
    fresh: Callable[[], None],
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = built_by("float32")
    fresh()
    script("no program\n")
    assert built_by("float32") == name
    fresh()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert built_by("float32") == name
    assert not caplog.messages
    assert kernel("float64") is None  # that one was not built
    assert "no C compiler was found; install gcc or clang" in caplog.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/true\n", "fakecc wrote no library"),
        ("#!/bin/false\n", "fakecc ended with exit code 1 (no reason given)"),
        ("#!/bin/sh\necho 'x.c: error: \033[31mno' >&2; exit 3\n", "exit code 3 (x.c: error:  [31mno)"),
        ("no program\n", "fakecc cannot be run (Exec format error)"),
        ("#!/no/such/program\n", "fakecc cannot be run (No such file or directory)"),
        (
            '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && echo rubbish > "$2"; shift; done\n',
            "the library cannot be loaded (",
        ),
        (
            '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done\n'
            '[ -n "$out" ] && echo "int lanes;" | cc -shared -x c - -o "$out"\n',
            "the library has no function 'built_by'",
        ),
    ],
)
def test_a_compiler_at_fault_ends_in_torch_and_one_line(
    tmp_path: Path,
    fresh: object,
    script: Script,
    caplog: pytest.LogCaptureFixture,
    text: str,
    reason: str,
) -> None:
    script(text)
    assert kernel("float32") is None
    assert kernel("float64") is None
    (line,) = caplog.messages
    assert "the compiled kernel cannot be used, so torch computes" in line
    assert reason in line
    assert line.isprintable()
    assert not list((tmp_path / "cache" / "digitlab" / "kernels").iterdir())


def has_ended(state: Path) -> bool:
    """Whether a process is gone, or waits only to be asked how it ended."""
    try:
        return state.read_text().rsplit(")")[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path,
    fresh: object,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(build, "_BUILD_SECONDS", 0.5)
    script(f'#!/bin/sh\n[ "$1" = --version ] && exit\nsleep 1000 & echo $! >> {tmp_path}/started\nwait\n')
    assert kernel("float32") is None
    assert "fakecc did not end within 0.5 seconds" in caplog.text
    for process in (tmp_path / "started").read_text().split():
        for _ in range(100):  # on a busy machine it takes a while until a killed process is gone
            if has_ended(Path(f"/proc/{process}/stat")):
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"process {process} still runs")


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_may_write_is_refused(
    tmp_path: Path, fresh: Callable[[], None], caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    assert kernel("float32") is not None
    path = kept(tmp_path)
    path.parent.chmod(mode)
    fresh()
    assert kernel("float32") is not None  # another one, built for this process
    (line,) = caplog.messages
    assert f"cannot be kept, so each program builds it again: other users may write to {path.parent}" in line
    assert f"`chmod go-w {path.parent}` ends that" in line
    with pytest.raises(build._NoKernelError, match="other users may write to"):
        build._load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_what_belongs_to_another_user_is_refused(
    tmp_path: Path, fresh: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    assert kernel("float32") is not None
    path = kept(tmp_path)
    os.chown(path, 12345, 12345)
    with pytest.raises(build._NoKernelError, match="belongs to another user"):
        build._load(path)
    fresh()
    assert kernel("float32") is not None
    assert kept(tmp_path).stat().st_uid == 0  # built again in its place
    os.chown(path.parent, 12345, 12345)
    fresh()
    assert kernel("float32") is not None
    assert f"{path.parent} belongs to another user" in caplog.text


def test_a_link_or_a_pipe_is_not_a_kernel(tmp_path: Path, fresh: Callable[[], None]) -> None:
    assert kernel("float32") is not None
    path = kept(tmp_path)
    os.mkfifo(path.with_name(f"fifo-{path.name}"), 0o600)
    path.with_name(f"link-{path.name}").symlink_to(path)
    for other in ("fifo", "link"):
        with pytest.raises(build._NoKernelError):
            build._load(path.with_name(f"{other}-{path.name}"))


def test_where_nothing_can_be_kept_a_kernel_is_built_for_the_program_and_its_workers(
    tmp_path: Path, fresh: Callable[[], None], caplog: pytest.LogCaptureFixture, script: Script
) -> None:
    script(f'#!/bin/sh\necho x >> {tmp_path}/calls\nexec cc "$@"\n')
    (tmp_path / "cache").touch()  # a cache that cannot be made
    specs = [lab.make_spec(hidden=(5,), steps=3, seed=seed) for seed in range(4)]
    ended = ended_runs([[spec] for spec in specs], workers=2)
    assert all(isinstance(run, RunResult) and run.provenance.arithmetic == "compiled kernel" for run in ended)
    assert len(ended) == 4
    assert (tmp_path / "calls").read_text() == "x\nx\n"  # --version, and one build
    (line,) = caplog.messages
    assert "cannot be kept" in line


def test_workers_do_not_look_for_a_kernel_again(tmp_path: Path, fresh: object, script: Script) -> None:
    script(f"#!/bin/sh\necho x >> {tmp_path}/calls\n")
    specs = [lab.make_spec(hidden=(5,), steps=3, seed=seed) for seed in range(4)]
    calls = None
    with in_workers([[spec] for spec in specs], workers=2) as training:
        for event in training:
            calls = calls or (tmp_path / "calls").read_text()
            assert not isinstance(event, Finished) or event.result.provenance.arithmetic == "torch"
    assert calls
    assert (tmp_path / "calls").read_text() == calls


def test_no_temporary_folder_is_told(
    fresh: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert kernel("float32") is None
    (line,) = caplog.messages
    assert "there is no temporary folder that can be written; TMPDIR can name one" in line


def test_what_a_killed_build_leaves_goes_with_a_later_build(
    tmp_path: Path, fresh: Callable[[], None], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler's own temporary files too: they lie in the folder of the build."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script(
        f'#!/bin/sh\n[ "$1" = --version ] && exit\ntouch "$TMPDIR/ccXYZ.s"; echo $$ > {pipe}; exec sleep 1000\n'
    )
    ask = "from digitlab.engine.lockstep.c.build import kernel; kernel('float32')"
    with subprocess.Popen([sys.executable, "-c", ask]) as process:
        compiling = int(pipe.read_text())  # when it has come so far
        process.kill()
        os.kill(compiling, signal.SIGKILL)
    folder = kept(tmp_path)
    assert (folder / "ccXYZ.s").exists()
    monkeypatch.delenv("CC")
    assert kernel("float32") is not None
    assert folder.exists()  # it might be a running build's
    long_ago = time.time() - 2 * build._STALE_SECONDS
    os.utime(folder, (long_ago, long_ago))
    assert kernel("float64") is not None
    assert not folder.exists()


MOUNTS: dict[str, tuple[str, str, str]] = {
    "noexec": ("noexec", "noexec", "is mounted noexec; TMPDIR or XDG_CACHE_HOME can name a folder"),
    "full": ("nr_inodes=2", "nr_inodes=2", "No space left on device"),
    "noexec cache": ("noexec", "", "cannot be kept, so each program builds it again"),
    "full cache": ("size=8k", "", "No space left on device"),
    "read-only cache": ("ro", "", "Read-only file system"),
}


def _on_mounts(tmp_path: Path, kind: str, program: list[str]) -> tuple[str, str]:
    """What a program says whose cache and temporary folder are such file systems: stdout and its line of stderr."""
    cache, temporary, reason = MOUNTS[kind]
    mounts = []
    for folder, options in (("cache", cache), ("tmp", temporary)):
        (tmp_path / folder).mkdir()
        if options:
            mounts.append(f"mount -t tmpfs -o {options} none {tmp_path / folder}")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", "\n".join([*mounts, 'exec "$@"']), "sh", *program],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "tmp")},
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("digitlab: the compiled kernel cannot be ")
    assert reason in line
    return done.stdout, line


ASK = "from digitlab.engine.lockstep.c.build import kernel; print(kernel('float32') is not None)"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems, in a namespace of its own")


@as_root
@pytest.mark.parametrize("kind", MOUNTS)
def test_a_strange_machine_gets_a_kernel_or_torch_and_one_line(tmp_path: Path, kind: str) -> None:
    output, _ = _on_mounts(tmp_path, kind, [sys.executable, "-c", ASK])
    assert output.strip() == str("cache" in kind)


@as_root
def test_the_command_trains_with_torch_and_says_so_in_one_line(tmp_path: Path) -> None:
    train = [sys.executable, "-m", "digitlab", "train", "--hidden", "5", "--steps", "3", "--json"]
    result, line = _on_mounts(tmp_path, "noexec", train)
    assert json.loads(result)["provenance"]["arithmetic"] == "torch"
    assert "so torch computes" in line


def test_the_kernel_compiles_without_a_warning(tmp_path: Path, fresh: object) -> None:
    source = Path(build.__file__).with_name("kernel.c")
    strict = ["-Wall", "-Wextra", "-Wvla", "-Werror", "-march=native"]
    for real in ("float", "double"):
        command = ["cc", *build._FLAGS, *strict, f"-DREAL={real}", str(source), "-o", str(tmp_path / real)]
        done = subprocess.run([*command, "-lm"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_what_is_not_wanted_is_not_told(
    fresh: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DIGITLAB_KERNEL", "torch")
    assert kernel("float32") is None
    assert not caplog.messages


def test_what_built_the_kernel_is_recorded_with_each_result() -> None:
    result = lab.train(steps=1, train_size=100)
    assert result.provenance.compiler == built_by("float32")
    assert result.provenance.fingerprint.compiler == built_by("float32")
