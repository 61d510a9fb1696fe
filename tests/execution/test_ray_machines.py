"""Two machines with a cable between them: namespaces of this one, each with its own network, processes and name.

    DIGITLAB_TEST_LONG=1 python -m pytest tests/execution/test_ray_machines.py

Needs root, as in `make test-long`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.execution.test_ray_driver import STUDY, command, contents
from tests.lengths import length

FIRST, SECOND = "192.0.2.7", "192.0.2.8"  # of addresses that are kept for examples
PORT = 6379
RAY = Path(sys.executable).parent / "ray"
TOKEN = "t" * 64
SETTINGS = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
HEAD = f"{RAY} start --head --port={PORT} --include-dashboard=false --node-ip-address={FIRST} --num-cpus=1"
NODE = f"for i in $(seq 60); do {RAY} start --address={FIRST}:{PORT} --num-cpus=1 --block; sleep 1; done"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="root makes networks, by `ip`"),
    pytest.mark.skipif(length(1, 0) == 1, reason="takes minutes"),
]


class Machines:
    """Both; what is started there ends with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = {name: f"dl{os.getpid()}{name}" for name in ("first", "second")}
        self._started: list[subprocess.Popen[str]] = []
        first, second = self.names.values()
        for name in self.names.values():
            _ip("netns", "add", name)
        _ip("link", "add", "va", "netns", first, "type", "veth", "peer", "name", "vb", "netns", second)
        for name, card, address in ((first, "va", FIRST), (second, "vb", SECOND)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", card)
            for each in (card, "lo"):
                _ip("-n", name, "link", "set", each, "up")

    def start(self, name: str, script: str) -> "subprocess.Popen[str]":
        """Start a shell there; it has a home with the token of the cluster."""
        home = self.folder / name
        (home / ".ray").mkdir(parents=True, mode=0o700)
        (home / ".ray" / "auth_token").write_text(TOKEN)
        own = f"hostname {name}; mkdir -p /tmp/ray; mount -t tmpfs none /tmp/ray; mount -t tmpfs none /dev/shm; "
        kinds = ("--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc")
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[name], "unshare", *kinds, "bash", "-c", own + script],
            env=os.environ | SETTINGS | {"HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if name == "first" else subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def cut(self) -> None:
        """Cut the cable."""
        _ip("-n", self.names["first"], "link", "set", "va", "down")

    def close(self) -> None:
        """End both."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for name in self.names.values():
            _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_cut", [False, True], ids=["joined", "cut"])
def test_two_machines_give_the_bits_of_one(
    machines: Machines, tmp_path: Path, data_directory: Path, *, is_cut: bool
) -> None:
    """Also when the cable is cut while both train: the first does the rest."""
    study, store = tmp_path / "tiny.toml", tmp_path / "two.db"
    study.write_text(
        STUDY.replace("train_size = 4000", "train_size = 20_000").replace("epochs = 3", "epochs = 8")
    )
    machines.start("second", NODE)
    join = " ".join(command(study, store, "--on", "auto"))
    driver = machines.start("first", f"{HEAD} > /dev/null 2>&1; sleep 30; {join}")  # until both are there
    if is_cut:
        while not store.exists() or len(contents(store)) < 3:
            assert driver.poll() is None
            time.sleep(0.5)
        machines.cut()
    said = driver.communicate()[1]
    assert driver.returncode == 0, said
    assert "Ray: 2 workers on" in said
    assert "first (1)" in said
    assert "second (1)" in said
    assert ("node second was lost" in said) == is_cut
    subprocess.run(command(study, tmp_path / "one.db"), check=True, capture_output=True)
    assert contents(store) == contents(tmp_path / "one.db")
