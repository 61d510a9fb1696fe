"""A worker process: cohorts from its standard input, trained, replies to a pipe of their own.

`python -m digitlab.execution.worker FD`: FD is the pipe's number. It is not standard output, to which
anything in this process may print. One compute thread. Pickles both ways, between processes of one user
that started one another. It ends when its input ends, even in the middle of a cohort: then whoever started it
is gone.
"""

import os
import pickle
import queue
import struct
import sys
import threading
import traceback
from typing import IO

from digitlab.data import Dataset, registry
from digitlab.engine.lockstep import train_cohort
from digitlab.errors import DigitlabError
from digitlab.models.trained import save_all
from digitlab.result import RunResult
from digitlab.spec import RunSpec

Order = tuple[str, list[str], str | None]
"""Device, the specs of a cohort as JSON, and a folder for the networks' weights."""
Reply = tuple[list[RunResult], str]
"""Results; or none, and why. The first reply of a worker, with neither, says that it is ready."""

_HEADER = struct.Struct(">8sQ")
_MAGIC = b"digitlab"


def send(reply: Reply, target: IO[bytes]) -> None:
    """Write a reply, so that `receive` can tell it from anything else."""
    content = pickle.dumps(reply)
    target.write(_HEADER.pack(_MAGIC, len(content)) + content)
    target.flush()


def receive(source: IO[bytes]) -> Reply:
    """Read a reply.

    Raises EOFError when the pipe ends before the reply does, ValueError when it is no reply.
    """
    magic, size = _HEADER.unpack(_read_exactly(source, _HEADER.size))
    if magic != _MAGIC:
        raise ValueError("it is not a reply")
    results, cause = pickle.loads(_read_exactly(source, size))  # noqa: S301
    return results, cause


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    content = source.read(size)
    if len(content) < size:
        raise EOFError
    return content


def main() -> None:
    """Serve until the input ends."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # a compiler that outlives this process must not keep it open
    replies = os.fdopen(descriptor, "wb")
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, orders), daemon=True).start()
    datasets: dict[str, Dataset] = {}
    send(([], ""), replies)
    while True:
        send(_reply(orders.get(), datasets), replies)


def _read(source: IO[bytes], orders: "queue.SimpleQueue[Order]") -> None:
    try:
        while True:
            orders.put(pickle.load(source))  # noqa: S301
    except EOFError:
        os._exit(0)
    except BaseException:  # noqa: BLE001  # else the other thread would wait for ever
        traceback.print_exc()
        os._exit(1)


def _reply(order: Order, datasets: dict[str, Dataset]) -> Reply:
    device, texts, folder = order
    specs = [RunSpec.from_json(text) for text in texts]
    name = specs[0].data.name
    try:
        if name not in datasets:
            datasets[name] = registry.load(name)  # a map of the one file that all processes share
        trained = train_cohort(specs, datasets[name], device=device)
        save_all(trained, folder)
        return [result for result, _ in trained], ""
    except DigitlabError as error:
        return [], str(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this cohort's failure and is told
        return [], f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
