"""A worker process: cohorts from its standard input, trained, results to its standard output.

One compute thread. Pickles both ways, between processes of one user that started one another. It ends when
its input ends, even in the middle of a cohort: then whoever started it is gone.
"""

import os
import pickle
import queue
import sys
import threading
from typing import BinaryIO

import torch

from digitlab.datasets import Dataset, library
from digitlab.engine.lockstep import train_cohort
from digitlab.errors import DigitlabError
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.trained import save_all

Order = tuple[str, list[str], str | None]
"""Device, the specs of a cohort as JSON, and a folder for the networks' weights."""
Reply = tuple[list[RunResult], str]
"""Results; or none, and why."""


def main() -> None:
    """Serve until the input ends."""
    torch.set_num_threads(1)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the replies
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, orders), daemon=True).start()
    datasets: dict[str, Dataset] = {}
    while True:
        pickle.dump(_reply(orders.get(), datasets), replies)
        replies.flush()


def _read(source: BinaryIO, orders: "queue.SimpleQueue[Order]") -> None:
    while True:
        try:
            orders.put(pickle.load(source))  # noqa: S301
        except EOFError:
            os._exit(0)


def _reply(order: Order, datasets: dict[str, Dataset]) -> Reply:
    device, texts, folder = order
    specs = [RunSpec.from_json(text) for text in texts]
    name = specs[0].data.name
    try:
        if name not in datasets:
            datasets[name] = library.load(name)  # a map of the one file that all processes share
        trained = train_cohort(specs, datasets[name], device=device)
        save_all(trained, folder)
        return [result for result, _ in trained], ""
    except DigitlabError as error:
        return [], str(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this cohort's failure and is told
        return [], f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
