"""Whatever a sink does, the training is the same to the last bit, takes no longer, and one sentence tells it."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.errors import RunError, SpecError
from digitlab.execution.events import Cancelled, CurvePoint, Finished, Planned, Progress, Started
from digitlab.result import RunResult
from digitlab.sinks import subscriber as subscriber_module
from digitlab.sinks.interface import Ending
from digitlab.sinks.mlflow import MLflowSink
from digitlab.sinks.opening import logged, sink_of
from digitlab.sinks.subscriber import Recorder, Subscriber
from digitlab.sinks.tensorboard import TensorBoardSink
from digitlab.spec import RunSpec
from tests.execution.trainings import bits
from tests.sinks.memory import SPEC, MemorySink, expected_figures, trained_into

AFTER = "; the training is not affected"


@pytest.fixture(scope="module")
def plain_result() -> RunResult:
    return lab.run(SPEC)[0]


class RaisingSink(MemorySink):
    """Raises at one of the things that it is told."""

    def __init__(self, at: str, error: BaseException) -> None:
        super().__init__()
        self.at, self.error = at, error
        self._reach("open")

    def _reach(self, place: str) -> None:
        if place == self.at:
            raise self.error

    def start(self, spec: RunSpec) -> None:
        self._reach("start")
        super().start(spec)

    def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
        self._reach("log")

    def end(self, key: str, ending: Ending, cause: str) -> None:
        self._reach("end")

    def close(self) -> None:
        self._reach("close")


@pytest.mark.parametrize("at", ["open", "start", "log", "end", "close"])
def test_a_sink_that_raises_is_told_once(at: str, plain_result: RunResult) -> None:
    result, faults = trained_into(lambda: RaisingSink(at, ValueError("a\n  reason")))
    assert bits(result) == bits(plain_result)
    assert faults == [f"a sink: nothing more is logged: ValueError: a reason{AFTER}"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/x"), "No space left on device (/x)"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt:"),
        (RuntimeError("long " * 200), "RuntimeError: " + ("long " * 200)[:283] + "..."),
    ],
    ids=["disk", "exit", "interrupt", "long"],
)
def test_whatever_it_raises(error: BaseException, words: str, plain_result: RunResult) -> None:
    result, faults = trained_into(lambda: RaisingSink("log", error))
    assert bits(result) == bits(plain_result)
    assert faults == [f"a sink: nothing more is logged: {words}{AFTER}"]


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What a hanging sink waits for; it is let go when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_sink_that_hangs_is_given_up(stuck: threading.Event, plain_result: RunResult) -> None:
    class Hanging(MemorySink):
        def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
            stuck.wait()

    result, faults = trained_into(Hanging, patience_seconds=0.2)
    assert bits(result) == bits(plain_result)
    assert faults == [
        f"a sink: nothing more is logged: it has not taken everything, 0.2 seconds after its last event{AFTER}"
    ]


def test_seeing_does_not_wait_and_what_waits_is_bounded(
    stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(MemorySink):
        def start(self, spec: RunSpec) -> None:
            stuck.wait()

    monkeypatch.setattr(subscriber_module, "MOST_WAITING", 100)
    faults: list[str] = []
    subscriber = Subscriber("a sink", Hanging, faults.append, 0.2)
    subscriber.see([Planned(SPEC.key, SPEC, 1.0), Started(SPEC.key)])
    point = CurvePoint(1, 2.0, None, None)
    for _ in range(500):
        subscriber.see([Progress(SPEC.key, 1, 9, 2.0, 0.1, (point,))])
    subscriber.close()
    assert faults == [f"a sink: nothing more is logged: it is too slow, 100 events wait for it{AFTER}"]


def test_a_slow_sink_gets_everything_as_long_as_it_goes_on() -> None:
    sink = MemorySink()

    class Slow(MemorySink):
        def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
            time.sleep(0.15)
            sink.log(key, step, figures)

        def start(self, spec: RunSpec) -> None:
            sink.start(spec)

    result, faults = trained_into(Slow, patience_seconds=2.0)  # altogether it takes about a second
    assert faults == []
    told = sorted((step, name, value) for step, row in sink.figures[SPEC.key] for name, value in row.items())
    assert told == expected_figures(result)


def test_nobody_to_tell_is_no_fault(plain_result: RunResult) -> None:
    def tell(_: str) -> None:
        raise BrokenPipeError

    subscriber = Subscriber("a sink", lambda: RaisingSink("open", ValueError()), tell)
    result, _ = lab.run(SPEC, on_event=lambda event: subscriber.see([event]))
    subscriber.close()
    assert bits(result) == bits(plain_result)


def test_a_run_that_is_tried_again_is_logged_once(plain_result: RunResult) -> None:
    sink = MemorySink()
    recorder, key = Recorder(sink), SPEC.key
    points = tuple(
        CurvePoint(step, loss, None, None)
        for step, loss in zip(plain_result.curve.step, plain_result.curve.training_loss, strict=True)
    )
    recorder.take(Planned(key, SPEC, 1.0))
    recorder.take(Started(key))
    recorder.take(Progress(key, 20, 30, 2.0, 0.1, points[:2]))
    recorder.take(Started(key))  # its worker was killed
    recorder.take(Progress(key, 10, 30, 2.0, 0.1, points[:1]))
    recorder.take(Finished(key, plain_result))
    recorder.close()
    assert [step for step, _ in sink.figures[key]] == [10, 20, 30, 30]
    assert sink.endings == {key: ("completed", "")}
    assert sink.is_closed


def test_a_run_that_never_started_is_not_logged() -> None:
    sink = MemorySink()
    recorder = Recorder(sink)
    recorder.take(Planned(SPEC.key, SPEC, 1.0))
    recorder.take(Cancelled(SPEC.key))
    recorder.close()
    assert sink.specs == {}


# --- real sinks that fail ---


def test_a_folder_that_cannot_be_made(tmp_path: Path, plain_result: RunResult) -> None:
    (tmp_path / "file").write_text("")
    result, faults = trained_into(lambda: TensorBoardSink(tmp_path / "file"))
    assert bits(result) == bits(plain_result)
    (fault,) = faults
    assert fault.startswith("a sink: nothing more is logged: Not a directory (")


def test_a_full_disk(tmp_path: Path, plain_result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(TensorBoardSink):
        def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
            self._files[key] = Path("/dev/full")
            super().log(key, step, figures)

    result, faults = trained_into(lambda: Full(tmp_path))
    assert bits(result) == bits(plain_result)
    assert faults == [f"a sink: nothing more is logged: No space left on device{AFTER}"]


def test_a_server_that_is_gone(plain_result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:  # bound, and nobody listens
        free.bind(("127.0.0.1", 0))
        result, faults = trained_into(lambda: MLflowSink(f"http://127.0.0.1:{free.getsockname()[1]}"))
    assert bits(result) == bits(plain_result)
    (fault,) = faults
    assert fault.startswith(
        "a sink: nothing more is logged: Connection refused (MlflowException: API request to http"
    )
    assert fault.endswith(AFTER)


def test_a_server_that_hangs(plain_result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    with socket.socket() as listening:  # takes connections, and answers nothing
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
        result, faults = trained_into(lambda: MLflowSink(uri), opening_seconds=0.3)
    assert bits(result) == bits(plain_result)
    assert faults == [f"a sink: nothing more is logged: it has not opened, 0.3 seconds after the end{AFTER}"]


# --- what a user writes ---


def test_a_log_is_opened_by_what_a_user_writes(tmp_path: Path) -> None:
    faults: list[str] = []
    with logged(f"tensorboard:{tmp_path / 'runs'}", faults.append) as see:
        lab.run(SPEC, on_event=lambda event: see([event]))
    assert faults == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [
        f"784-8-10-batch100-rate0.01-seed0-{SPEC.key[:12]}"
    ]


def test_an_interrupted_training_is_logged_as_cancelled() -> None:
    sink = MemorySink()
    subscriber = Subscriber("a sink", lambda: sink, lambda _: None)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, on_progress=interrupt, on_event=lambda event: subscriber.see([event]))
    subscriber.close()
    assert sink.endings == {SPEC.key: ("cancelled", "")}


def test_faults_of_what_a_user_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError) as error:
        sink_of("wandb")
    assert str(error.value) == (
        "log: 'wandb' is not known; use tensorboard, tensorboard:FOLDER, mlflow or mlflow:URI"
    )
    monkeypatch.setattr("digitlab.sinks.opening.find_spec", lambda _: None)
    for name in ("tensorboard", "mlflow"):
        with pytest.raises(
            RunError,
            match=rf"^log {name}: the library is missing; in digitlab's folder: pip install '\.\[{name}\]'$",
        ):
            sink_of(name)
