"""What a user of torch may have set, begun or forked changes nothing of what we compute, and is left as it was."""

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch

import digitlab as dl
from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.lockstep.c.build import SETTING

SMALL = lab.make_spec(hidden=(20,), steps=30, train_size=500, optimiser="adam", learning_rate=0.01)


@pytest.fixture(params=["kernel", "torch"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setenv(SETTING, "torch")


def trained(engine: lab.Engine, seed: int = 0) -> tuple[str, bytes | None]:
    result = dl.train(SMALL, engine=engine, seed=seed)
    return result.model_dump_json(exclude={"provenance"}), result.predictions


def inference() -> AbstractContextManager[object]:
    return torch.inference_mode()


def no_gradients() -> AbstractContextManager[object]:
    return torch.no_grad()


def autocast() -> AbstractContextManager[object]:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def another_device() -> AbstractContextManager[object]:
    return torch.device("meta")


class double_by_default:  # noqa: N801
    def __enter__(self) -> None:
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("mode", [inference, no_gradients, autocast, another_device, double_by_default])
def test_no_mode_of_torch_changes_a_training_or_a_prediction(
    mode: Callable[[], AbstractContextManager[object]], arithmetic: None, mnist: Dataset
) -> None:
    spec = SMALL
    engines: list[lab.Engine] = ["reference", "lockstep"]
    _, network = lab.run(spec)
    plain = [trained(engine) for engine in engines], network.predict(mnist.test.images[:9])
    with mode():
        found = [trained(engine) for engine in engines], network.predict(mnist.test.images[:9])
    assert found[0] == plain[0]
    np.testing.assert_array_equal(found[1], plain[1])


@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_trainings_in_several_threads_are_what_each_is_alone(engine: lab.Engine, arithmetic: None) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = [trained(engine, seed) for seed in range(4)]
        begin = threading.Barrier(4)

        def train(seed: int) -> tuple[tuple[str, bytes | None], int]:
            begin.wait()
            return trained(engine, seed), torch.get_num_threads()

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(train, range(4)))
        assert [result for result, _ in found] == alone
        assert [count for _, count in found] == [2] * 4
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_training_ends_before_another_gets_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to begin is the first to end: then the other must not be left with several threads."""
    monkeypatch.setenv(SETTING, "torch")
    counts: list[int] = []
    begun = threading.Event()

    def note(_: object) -> None:
        counts.append(torch.get_num_threads())
        begun.set()

    other = threading.Thread(target=lambda: dl.train(SMALL, steps=300, on_progress=note))
    other.start()
    begun.wait()
    dl.train(SMALL, on_progress=note)
    other.join()
    assert set(counts) == {1}


# Run as a program of its own: it has to fork, and to be ended as a whole where it hangs.
FORKS = """
import multiprocessing, sys
import digitlab as dl
from digitlab import lab
engine = sys.argv[1]
spec = lab.make_spec(hidden=(100,), batch_size=1_000, steps=5, train_size=5_000)
_, network = lab.run(spec)
images = dl.load_dataset("mnist").test.images
def predict(_): return float(network.predict(images).sum())
def train(_): return lab.run(spec, engine=engine)[0].metrics.test_accuracy
import torch; a = torch.ones(2_000, 2_000); torch.relu(a @ a)  # torch's threads are there
predicted = round(predict(0))
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert [round(x) for x in pool.map(predict, range(2))] == [predicted] * 2
    trained = pool.map(train, range(2))  # in a process that may be the first to need torch
expected = train(0)
assert all(abs(x - expected) < 0.01 for x in trained)
print("done")
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_a_forked_pool_predicts_and_trains(engine: str, arithmetic: None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, engine], capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
