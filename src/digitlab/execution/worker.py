"""A worker process: cohorts from its standard input, trained; replies to a pipe of their own (see
`protocol`).

`python -m digitlab.execution.worker FD`: FD is the pipe's number. One compute thread; another reads, so that
runs can be stopped, and a third writes, so that no reader slows the training. It ends when its input ends,
even in the middle of a cohort: then whoever started it is gone.
"""

import os
import pickle
import queue
import sys
import threading
import traceback
from typing import IO

from digitlab.data import Dataset, registry
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import Watch
from digitlab.execution.attempt import Trained, attempted
from digitlab.execution.protocol import Done, Observe, Order, Ready, Stop, send
from digitlab.execution.queues import Mailbox
from digitlab.spec import RunSpec


def main() -> None:
    """Serve until the input ends."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # a compiler that outlives this process must not keep it open
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    replies: Mailbox[Ready | Done] = Mailbox()
    stopped: set[str] = set()
    observed: set[str] = set()
    reader = (sys.stdin.buffer, orders, stopped, observed)
    threading.Thread(target=_read, args=reader, daemon=True).start()
    threading.Thread(target=_write, args=(os.fdopen(descriptor, "wb"), replies), daemon=True).start()
    datasets: dict[str, Dataset] = {}
    replies.put(Ready())
    while True:
        order = orders.get()
        replies.put(_train(order, datasets, Watch(replies.put, stopped, observed=observed)))


def _read(
    source: IO[bytes], orders: "queue.SimpleQueue[Order]", stopped: set[str], observed: set[str]
) -> None:
    try:
        while True:
            message = pickle.load(source)  # noqa: S301
            if isinstance(message, Stop):
                stopped |= message.keys
            elif isinstance(message, Observe):
                observed |= message.keys
                observed &= message.keys
            else:  # the cohort before it has ended
                stopped.clear()
                observed |= message.observed
                observed &= message.observed
                orders.put(message)
    except EOFError:
        os._exit(0)
    except BaseException:  # noqa: BLE001  # else the other threads would wait for ever
        traceback.print_exc()
        os._exit(1)


def _write(target: IO[bytes], replies: "Mailbox[Ready | Done]") -> None:
    try:
        while (reply := replies.get()) is not None:
            send(reply, target)
    except BaseException:  # noqa: BLE001  # else the other threads would train for nobody
        traceback.print_exc()
        os._exit(1)


def _train(order: Order, datasets: dict[str, Dataset], watch: Watch) -> Done:
    specs = [RunSpec.from_json(text) for text in order.specs]
    name = specs[0].data.name

    def train() -> Trained:
        if name not in datasets:
            datasets[name] = registry.load(name)  # a map of the one file that all processes share
        return train_cohort(specs, datasets[name], watch=watch)

    return Done(*attempted(train, order.save))


if __name__ == "__main__":
    main()
