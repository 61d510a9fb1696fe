"""Servers for tests: real ones, in processes of their own, and a raw way to ask them."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_PROGRAM = """
import sys
from digitlab.store import open_store
from digitlab.web.limits import Limits
from digitlab.web.serving import serve

def tell(addresses):
    print(addresses.own, addresses.of_class or "-", flush=True)

serve(open_store(sys.argv[1]), port=0, classroom=True, limits=Limits(**eval(sys.argv[2])), on_ready=tell)
"""


@dataclass(frozen=True)
class Server:
    """A server that runs.

    port, token, class_token: what it printed
    """

    port: int
    token: str
    class_token: str
    process: "subprocess.Popen[str]"

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"digitlab-{self.port}={self.token}"

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=f"http://{self.authority}", headers=headers, timeout=60)

    @contextmanager
    def visitor(self, address: str = "127.0.0.1") -> Iterator[httpx.Client]:
        """A member of the class, as a browser is one: by cookies.

        address: from which they come
        """
        origin = f"http://{self.authority}"
        way = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=origin, headers={"Origin": origin}, transport=way, timeout=60) as client:
            assert client.get("/", params={"token": self.class_token}).status_code == 303
            yield client

    @contextmanager
    def training(self, visitors: int) -> Iterator[None]:
        """Visitors from 127.0.0.1 who all have as many runs train or wait as one may."""
        for number in range(visitors):
            with self.visitor() as client:
                assert client.post("/api/train", json=endless(number)).status_code == 202
        try:
            yield
        finally:
            with self.client() as teacher:
                keys = [run["key"] for run in _live(teacher)]
                teacher.post("/api/train/cancel", json={"keys": keys})
                while any(run["status"] in ("waiting", "training") for run in _live(teacher)):
                    time.sleep(0.1)
                teacher.post("/api/train/clear", json={"keys": keys})

    def send(self, *parts: bytes, seconds: float = 20.0) -> bytes:
        """Send bytes as they are; all that comes back until the server closes, or has answered."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            try:
                for part in parts:
                    connection.sendall(part)
            except OSError:
                pass  # it has answered already, and closed
            return receive(connection)

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"", host: str | None = None) -> bytes:
        """A request with these headers and no others."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.authority if host is None else host}", *headers]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def endless(number: int, count: int = 8) -> dict[str, Any]:
    """A request of training that does not end soon, another one for each number."""
    options = {"hidden": [8], "train_size": 1_000, "batch_size": 10, "epochs": 10_000, "evaluate_at": [1]}
    return {"runs": [{**options, "seed": 50_000 + 100 * number + i} for i in range(count)]}


def _live(client: httpx.Client) -> Any:
    return client.get("/api/live").json()["runs"]


def receive(connection: socket.socket) -> bytes:
    """What comes: a whole answer with its length, or all until the connection is closed."""
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
            head, _, body = found.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            if length and len(body) >= int(length[1]):
                break
    except OSError:
        pass
    return found


def status(answer: bytes) -> int:
    """The status of an answer; 0: there was none."""
    found = re.match(rb"HTTP/1.1 (\d+)", answer)
    return int(found[1]) if found else 0


def document(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@contextmanager
def server_with(store: Path, **limits: float) -> Iterator[Server]:
    """A server whose limits are others, with a class."""
    command = [sys.executable, "-c", _PROGRAM, str(store), repr(limits)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    own, of_class = process.stdout.readline().split()
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]+)", own)
    assert found
    try:
        yield Server(int(found[1]), found[2], of_class.partition("token=")[2], process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.wait(30)
