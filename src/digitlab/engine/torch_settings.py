"""Torch's settings while we compute with it: what its user has set must not change what we compute."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from digitlab.engine.device import is_forked

_turn = threading.RLock()
"""Held by the training that computes with torch. How many threads torch uses is partly a setting of the
process and partly one of the calling thread, so two trainings at the same time cannot each have their own."""


def _after_fork() -> None:
    # A child that needs a lock which was held when it was forked waits for ever.
    global _turn  # noqa: PLW0603
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def training_with_torch(device: torch.device, *, one_thread: bool = False) -> Iterator[None]:
    """Torch's settings for one training. One trains at a time in a process; others wait for their turn.

    one_thread: see `own_settings`
    """
    with _turn, own_settings(device, one_thread=one_thread):
        yield


@contextmanager
def own_settings(device: torch.device, *, one_thread: bool = False) -> Iterator[None]:
    """Torch as it is by default, whatever its user has set: gradients on, autocast and other devices off.

    one_thread: compute with one thread on the CPU, as sums depend on how many share the work; a forked
                process always does
    """
    with ExitStack() as settings:
        settings.enter_context(torch.inference_mode(mode=False))
        settings.enter_context(torch.enable_grad())
        settings.enter_context(torch.autocast(device.type, enabled=False))
        if torch.get_default_device().type != "cpu":  # else not: it makes every call slower
            settings.enter_context(torch.device("cpu"))
        # A forked process that needs torch's threads, which exist in its parent alone, waits for ever.
        if one_thread and not is_forked():
            settings.callback(torch.set_num_threads, torch.get_num_threads())
        if one_thread or is_forked():
            torch.set_num_threads(1)  # in a forked process for good
        yield
