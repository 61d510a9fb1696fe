"""One suite for every sink: what comes of a training is read back from where the sink wrote it."""

import math
import shutil
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader  # type: ignore[import-untyped]
from tensorboard.util.tensor_util import make_ndarray  # type: ignore[import-untyped]

from digitlab import lab
from digitlab.execution.events import Failed, Failure, Planned, Started
from digitlab.sinks.interface import Sink, options_of, run_name
from digitlab.sinks.mlflow import MLflowSink
from digitlab.sinks.subscriber import Recorder
from digitlab.sinks.tensorboard import TensorBoardSink
from tests.sinks.memory import SPEC, MemorySink, expected_figures, trained_into

# MLflow uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:mlflow", "ignore::DeprecationWarning:sqlalchemy"
)


@dataclass
class Logged:
    """What is found of a run: step, name, value of each figure; how it ended; its options."""

    figures: list[tuple[int, str, float]]
    ending: str
    options: dict[str, str]


@dataclass
class Kind:
    """A sink, and how what it wrote is read back, by the runs' names."""

    open: Callable[[], Sink]
    read: Callable[[], dict[str, Logged]]


def memory() -> Kind:
    sink = MemorySink()

    def read() -> dict[str, Logged]:
        return {
            run_name(spec): Logged(
                sorted(
                    (step, name, value) for step, told in sink.figures[key] for name, value in told.items()
                ),
                ": ".join(filter(None, sink.endings[key])),
                options_of(spec),
            )
            for key, spec in sink.specs.items()
        }

    return Kind(lambda: sink, read)


def tensorboard(folder: Path) -> Kind:
    def read() -> dict[str, Logged]:
        found = {}
        for run in folder.iterdir():
            figures, texts = [], {}
            for file in run.iterdir():
                for event in EventFileLoader(str(file)).Load():
                    for value in event.summary.value:
                        content = make_ndarray(value.tensor)
                        if value.metadata.plugin_data.plugin_name == "text":
                            texts[value.tag] = content[0].decode()
                        elif value.tag:
                            figures.append((event.step, value.tag, float(content)))
            rows = [line.strip("| ").split(" | ") for line in texts["spec"].splitlines()[2:]]
            found[run.name] = Logged(sorted(figures), texts["outcome"], dict(map(tuple, rows)))
        return found

    return Kind(lambda: TensorBoardSink(folder), read)


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's without any run: its tables take seconds to make."""
    file = tmp_path_factory.mktemp("mlflow") / "runs.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MLflowSink(f"sqlite:///{file}").close()
    return file


def mlflow(folder: Path, new_database: Path) -> Kind:
    shutil.copy(new_database, folder)
    uri = f"sqlite:///{folder / new_database.name}"

    def read() -> dict[str, Logged]:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("digitlab")
        assert experiment is not None
        found = {}
        for run in client.search_runs([experiment.experiment_id]):
            figures = [
                (metric.step, name, metric.value)
                for name in run.data.metrics
                for metric in client.get_metric_history(run.info.run_id, name)
            ]
            tags = run.data.tags
            ending = ": ".join(filter(None, (tags["digitlab.outcome"], tags.get("digitlab.cause"))))
            statuses = {"failed": "FAILED", "cancelled": "KILLED"}
            assert run.info.status == statuses.get(tags["digitlab.outcome"], "FINISHED")
            found[run.info.run_name] = Logged(sorted(figures), ending, run.data.params)
        return found

    return Kind(lambda: MLflowSink(uri), read)


@pytest.fixture(params=["memory", "tensorboard", "mlflow"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param == "mlflow":
        return mlflow(tmp_path, request.getfixturevalue("new_database"))
    return tensorboard(tmp_path) if request.param == "tensorboard" else memory()


def close_to(figures: list[tuple[int, str, float]]) -> list[tuple[int, str, object]]:
    # TensorBoard keeps float32.
    return [(step, name, pytest.approx(value, rel=1e-6, nan_ok=True)) for step, name, value in figures]


def test_a_training_is_logged_whole(kind: Kind) -> None:
    result, faults = trained_into(kind.open)
    assert faults == []
    ((name, logged),) = kind.read().items()
    assert name == f"784-8-10-batch100-rate0.01-seed0-{SPEC.key[:12]}"
    assert logged.figures == close_to(expected_figures(result))
    assert logged.ending == "completed"
    assert logged.options == options_of(SPEC)


def test_a_diverged_network_is_logged(kind: Kind) -> None:
    spec = lab.make_spec(hidden=(8,), train_size=300, steps=20, learning_rate=1e18)
    result, faults = trained_into(kind.open, spec)
    assert faults == []
    ((_, logged),) = kind.read().items()
    assert logged.ending == "diverged"
    found = defaultdict(list)
    for _, name, value in logged.figures:
        found[name].append(value)
    assert math.isnan(found["test_accuracy"][-1])
    assert result.metrics.steps == max(step for step, _, _ in logged.figures)


def test_runs_without_a_result(kind: Kind) -> None:
    failing, left = (SPEC.model_copy(update={"seed": seed}) for seed in (1, 2))
    recorder = Recorder(kind.open())
    for spec in (failing, left):
        recorder.take(Planned(spec.key, spec, 0.5))
        recorder.take(Started(spec.key))
    recorder.take(Failed(failing.key, Failure(failing, "no memory")))
    recorder.close()  # while one still trains
    endings = {name: logged.ending for name, logged in kind.read().items()}
    assert endings == {run_name(failing): "failed: no memory", run_name(left): "cancelled"}


def test_a_log_may_be_added_to(kind: Kind) -> None:
    other = SPEC.model_copy(update={"seed": 1})
    for spec in (SPEC, other):
        assert trained_into(kind.open, spec)[1] == []
    assert kind.read().keys() == {run_name(SPEC), run_name(other)}


def test_options_have_the_names_of_the_command_line() -> None:
    told = options_of(lab.make_spec(hidden=(8, 6), optimiser="adam", epochs=2))
    assert {
        name: told[name] for name in ("data", "hidden", "optimiser", "learning_rate", "beta1", "epochs")
    } == {
        "data": "mnist",
        "hidden": "(8, 6)",
        "optimiser": "adam",
        "learning_rate": "0.001",
        "beta1": "0.9",
        "epochs": "2",
    }
    assert not told.keys() & {"momentum", "steps"}
