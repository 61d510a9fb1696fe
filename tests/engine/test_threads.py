"""One network on several threads of the compiled kernel: the bits of one thread, and no thread left behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.device import free_cores, usable_cores
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c import backend
from digitlab.engine.lockstep.c.build import kernel
from digitlab.engine.progress import watched_by
from digitlab.errors import SpecError
from digitlab.spec import RunSpec
from tests.engine.test_lockstep import bits
from tests.engine.test_reference import OPTIMISERS

pytestmark = pytest.mark.skipif(kernel("float32") is None, reason="no C compiler on this machine")

THREADS = (2, 3, 4, 7)
TASKS = Path("/proc/self/task")
# Every depth, kind of width, size of batch, optimiser, precision and scaling, each with several of the others.
CASES: list[tuple[tuple[int, ...], int, str, str, str]] = [
    ((), 1, "sgd", "float32", "unit"),
    ((), 100, "adam, decay", "float64", "standard"),
    ((1,), 10, "momentum", "float32", "symmetric"),
    ((10,), 3, "adamw", "float64", "unit"),
    ((37,), 100, "sgd", "float32", "standard"),
    ((57,), 10, "adam", "float32", "symmetric"),
    ((100,), 10, "sgd", "float32", "unit"),
    ((100,), 1_000, "momentum", "float64", "unit"),
    ((500,), 100, "sgd", "float32", "symmetric"),
    ((1_000,), 3, "adam", "float32", "unit"),
    ((100, 100), 100, "nesterov", "float32", "unit"),
    ((37, 1), 10, "adam, decay", "float64", "symmetric"),
    ((1, 37), 1, "sgd", "float64", "standard"),
    ((500, 10), 1_000, "sgd", "float32", "unit"),
    ((10, 37, 100), 3, "momentum", "float32", "standard"),
    ((100, 500, 37), 10, "adamw", "float64", "unit"),
    ((64, 33, 17, 9), 100, "adamw", "float32", "unit"),
    ((90, 80, 70, 60, 50), 10, "sgd", "float32", "standard"),
    ((130, 7, 57, 100, 23, 31), 100, "momentum", "float32", "unit"),
]


def short(hidden: tuple[int, ...], batch_size: int, optimiser: str, precision: Any, scaling: Any) -> RunSpec:
    return lab.make_spec(
        {"optimiser": OPTIMISERS[optimiser]},
        hidden=hidden,
        batch_size=batch_size,
        train_size=max(batch_size * 5 // 2, 20),  # each epoch ends with a short batch
        steps=5,
        evaluate_at=(2, 5),
        validation_size=500,
        precision=precision,
        scaling=scaling,
    )


def trained(spec: RunSpec, dataset: Dataset, threads: int) -> tuple[object, ...]:
    ((result, network),) = train_cohort([spec], dataset, threads=threads)
    assert result.provenance.threads == threads
    return bits(result, network)


@pytest.mark.parametrize(("hidden", "batch_size", "optimiser", "precision", "scaling"), CASES, ids=str)
def test_threads_do_not_change_a_bit(
    mnist: Dataset, hidden: tuple[int, ...], batch_size: int, optimiser: str, precision: str, scaling: str
) -> None:
    spec = short(hidden, batch_size, optimiser, precision, scaling)
    alone = trained(spec, mnist, 1)
    for threads in THREADS:
        assert trained(spec, mnist, threads) == alone


def test_threads_end_with_a_network_that_diverges(mnist: Dataset) -> None:
    spec = lab.make_spec(hidden=(100,), train_size=300, epochs=2, learning_rate=1e19)
    assert trained(spec, mnist, 3) == trained(spec, mnist, 1)


@pytest.mark.skipif(not TASKS.exists(), reason="threads are counted as Linux lists them")
def test_threads_are_gone_when_training_is(mnist: Dataset) -> None:
    spec = short((100,), 100, "sgd", "float32", "unit")
    before, during = len(list(TASKS.iterdir())), []

    def interrupt(_: object) -> None:
        during.append(len(list(TASKS.iterdir())))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # which keeps the frames of the training
        train_cohort([spec], mnist, threads=4, watch=watched_by(interrupt))
    assert during == [before + 3]
    assert len(list(TASKS.iterdir())) == before
    train_cohort([spec], mnist, threads=4)
    assert len(list(TASKS.iterdir())) == before


def test_threads_of_two_trainings_at_once_do_not_meet(mnist: Dataset) -> None:
    spec = short((100, 37), 10, "momentum", "float32", "unit")
    alone, found = trained(spec, mnist, 1), []

    def train() -> None:
        found.append(trained(spec, mnist, 3))

    together = [threading.Thread(target=train) for _ in range(3)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert found == [alone] * 3


def program(code: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True)


def test_threads_are_not_waited_for_in_a_forked_process() -> None:
    """Neither in one that goes on with a training of its parent's, nor by one that it begins."""
    code = """if True:
        import os
        from digitlab import lab
        spec = lab.make_spec(hidden=(100,), train_size=500, epochs=4)
        forked = []
        def fork(progress):
            if not forked:
                forked.append(os.fork())
        result, network = lab.run(spec, threads=3, on_progress=fork)
        again, _ = lab.run(spec, threads=2)
        assert again.metrics == result.metrics
        if forked[0] == 0:
            os._exit(7 if result.metrics.steps == 20 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 7
        print(result.metrics == lab.run(spec, threads=1)[0].metrics)
    """
    out, error = program(code).communicate()
    assert out == "True\n", error


def test_threads_leave_signals_to_the_program() -> None:
    code = """if True:
        from digitlab import lab
        lab.train(hidden=(100,), epochs=10_000, threads=3, on_progress=lambda _: print("", flush=True))
    """
    training = program(code)
    assert training.stdout is not None
    training.stdout.readline()
    training.send_signal(signal.SIGINT)
    _, error = training.communicate()
    assert error.endswith("KeyboardInterrupt\n")


@pytest.mark.skipif(not TASKS.exists(), reason="memory is limited as on Linux")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="which needs much more memory")
def test_threads_that_the_system_does_not_give_are_done_without() -> None:
    code = """if True:
        import resource
        from pathlib import Path
        from digitlab import lab
        from digitlab.engine.lockstep.c import backend

        class Team(backend.Team):
            def __init__(self, library, threads=1):
                before = resource.getrlimit(resource.RLIMIT_AS)
                used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, before[1]))
                super().__init__(library, threads)
                resource.setrlimit(resource.RLIMIT_AS, before)

        backend.Team = Team
        spec = lab.make_spec(hidden=(100,), train_size=500, epochs=1)
        result, _ = lab.run(spec, threads=256)
        alone, _ = lab.run(spec, threads=1)
        print(result.metrics == alone.metrics, 1 <= result.provenance.threads < 200)
    """
    out, error = program(code).communicate()
    assert (out, error) == ("True True\n", "")


def test_threads_are_as_many_as_gain_on_the_free_cores(
    mnist: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (lab.make_spec(hidden=hidden, steps=1, train_size=100) for hidden in ((100,), (500,)))

    def threads(free: int, *specs: RunSpec) -> int:
        monkeypatch.setattr(backend, "free_cores", lambda: free)
        return train_cohort(specs, mnist, threads=None)[0][0].provenance.threads

    assert threads(8, small) == 1
    assert threads(1, large) == 1
    assert threads(2, large) == 2
    assert threads(8, large) == 3
    assert threads(8, large, large.model_copy(update={"seed": 1})) == 1  # members take turns
    assert lab.train(large).provenance.threads == 3


def test_cores_are_free_where_nothing_else_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = usable_cores()
    for share, free in ((0.0, cores), (20.0, cores - round(0.2 * cores)), (100.0, 1)):
        monkeypatch.setattr(psutil, "cpu_percent", lambda *_, share=share, **__: [share] * cores)
        assert free_cores() == max(1, free)

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(psutil, "cpu_percent", missing)
    assert free_cores() == cores


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_threads_have_a_limit(threads: int) -> None:
    with pytest.raises(SpecError, match=f"^threads: {threads} is not between 1 and 256$"):
        lab.train(steps=1, threads=threads)


def test_threads_stay_one_where_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITLAB_KERNEL", "torch")
    result = lab.train(steps=1, train_size=100, threads=2)
    assert (result.provenance.arithmetic, result.provenance.threads) == ("torch", 1)


def test_threads_do_not_count_in_a_fingerprint() -> None:
    one, two = (lab.train(steps=1, train_size=100, threads=threads) for threads in (1, 2))
    assert (one.provenance.threads, two.provenance.threads) == (1, 2)
    assert one.provenance.fingerprint == two.provenance.fingerprint
