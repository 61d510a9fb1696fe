"""`digitlab serve` as a program: its address, its port, its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from digitlab.errors import SpecError
from digitlab.web.serving import check_host, is_loopback, names_of
from digitlab.web.settings import Settings

SERVE = [sys.executable, "-m", "digitlab", "serve", "--no-open"]


def started(*options: str, store: Path) -> tuple["subprocess.Popen[str]", str, str]:
    process = subprocess.Popen(
        [*SERVE, "--store", str(store), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    found = re.fullmatch(r"(http://[^/]+)/\?token=([\w-]+)\n", process.stdout.readline())
    assert found
    return process, found[1], found[2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_workers(tmp_path: Path, number: int, code: int) -> None:
    process, url, token = started("--port", "0", store=tmp_path / "runs.db")
    headers = {"Authorization": f"Bearer {token}"}
    endless = {"hidden": [100], "epochs": 2_000, "evaluate_at": [1]}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        (run,) = client.post("/api/train", json={"runs": [endless]}).json()["runs"]
        end = time.monotonic() + 60
        while client.get("/api/live").json()["runs"][0]["status"] != "training":
            assert time.monotonic() < end
            time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 1
    process.send_signal(number)
    assert process.wait(30) == code
    assert process.stderr is not None
    assert process.stderr.read() == "Ctrl-C ends it.\n"
    _, alive = psutil.wait_procs(children, 10)
    assert alive == []
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    assert run["status"] == "waiting"


def test_nothing_is_left_when_it_is_killed(tmp_path: Path) -> None:
    process, url, token = started("--port", "0", store=tmp_path / "runs.db")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        endless = {"hidden": [100], "epochs": 2_000, "evaluate_at": [1]}
        client.post("/api/train", json={"runs": [endless]})
        end = time.monotonic() + 60
        while client.get("/api/live").json()["runs"][0]["status"] != "training":
            assert time.monotonic() < end
            time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, 10)
    assert alive == []
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def said(*options: str) -> tuple[int, str]:
    done = subprocess.run([*SERVE, *options], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = said("--port", str(port))
    assert code == 2
    assert words == (
        f"error: port: {port} cannot be listened at, on 127.0.0.1 (Address already in use); name another by --port, "
        "or leave it out\n"
    )


def test_a_host_beyond_this_machine_needs_a_word_more() -> None:
    code, words = said("--host", "0.0.0.0")
    assert code == 2
    assert words == (
        "error: host: '0.0.0.0' lets other machines reach this one; say --allow-remote too if they may "
        "(the token stays)\n"
    )
    check_host("0.0.0.0", allow_remote=True)
    for host in ("127.0.0.1", "localhost", "::1", "127.8.9.10"):
        assert is_loopback(host)
        check_host(host, allow_remote=False)
    for host in ("192.168.0.1", "::", "example.org", "127.0.0.1.example.org", ""):
        with pytest.raises(SpecError, match="allow-remote"):
            check_host(host, allow_remote=False)


def test_without_the_libraries_it_says_how_to_get_them(tmp_path: Path) -> None:
    program = (
        "import sys, importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'fastapi' else found(name, *a)\n"
        "from digitlab.cli.main import main; sys.argv = ['digitlab', 'serve']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: the page needs fastapi, not installed here; in digitlab's folder: pip install '.[web]'\n"
    )


def test_only_serve_loads_the_web() -> None:
    program = (
        "import sys, digitlab.cli.app, digitlab.lab, digitlab.live\n"
        "print([m for m in ('fastapi', 'uvicorn', 'starlette', 'websockets', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr


def test_it_answers_under_the_names_of_its_host_alone() -> None:
    assert names_of("127.0.0.1") == ("127.0.0.1", "localhost", "[::1]")
    assert names_of("::1")[0] == "[::1]"
    assert names_of("192.168.7.7")[0] == "192.168.7.7"
    assert socket.gethostname() in names_of("0.0.0.0")
    settings = Settings(8420, names_of("127.0.0.1"))
    assert settings.authorities == {"127.0.0.1:8420", "localhost:8420", "[::1]:8420"}
    assert settings.token not in repr(settings)
    assert settings.token != Settings(8420).token
    assert os.environ.get("DIGITLAB_STORE")
