"""The laboratory: one run and many, from RunSpecs to results."""

import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import digitlab as dl
from digitlab import lab
from digitlab.data import Dataset, load_writers
from digitlab.engine import reference
from digitlab.engine.device import Device, memory_errors_named
from digitlab.engine.inputs import run_split
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import CohortProgress, Watch
from digitlab.errors import DataError, RunError, SpecError, WeightsError
from digitlab.execution.workers import Workers
from digitlab.lab import Advance, Failure
from digitlab.options import Options
from digitlab.planning.calibration import TYPICAL
from digitlab.planning.cost import Images
from digitlab.planning.planner import plan
from digitlab.result import RunResult
from digitlab.spec import SGD, RunSpec
from digitlab.store import open_store
from tests.execution.trainings import bits, training_of
from tests.lengths import length


def test_training_saves_what_load_reads(tmp_path: Path) -> None:
    result = dl.train(hidden=(20,), steps=300, seed=3, save=tmp_path / "n.safetensors")
    network = dl.load(tmp_path / "n.safetensors")
    mnist = dl.load_dataset("mnist")
    assert network.spec.key == result.key
    accuracy = (network.predict(mnist.test.images).argmax(1) == mnist.test.labels).mean()
    assert accuracy == result.metrics.test_accuracy


def test_a_place_that_cannot_be_written_is_told_before_the_training(tmp_path: Path) -> None:
    messages: list[object] = []
    for path in (tmp_path / "no" / "folder", tmp_path):
        with pytest.raises(WeightsError, match=r"cannot be written: there is .*; name a file in a folder"):
            dl.train(steps=2, save=path, on_progress=messages.append)
    assert messages == []


def test_data_that_is_not_here_is_told(empty_data_directory: Path) -> None:
    with pytest.raises(DataError, match="`digitlab data fetch fashion-mnist`"):
        dl.train(data="fashion-mnist")


def test_the_public_names_are_there() -> None:
    for name in dl.__all__:
        assert getattr(dl, name) is not None
    assert set(dl.__all__) <= set(dir(dl))
    with pytest.raises(AttributeError, match="module 'digitlab' has no attribute 'nothing'"):
        dl.nothing  # noqa: B018


# --- many runs ---


def results_of(specs: Sequence[RunSpec], **options: object) -> dict[str, RunResult]:
    """What comes of many runs, none of which fails, by key."""
    found = {}
    for ended in lab.run_many(specs, **options):  # type: ignore[arg-type]
        assert not isinstance(ended, Failure)
        assert ended.key not in found
        found[ended.key] = ended
    return found


def without_provenance(result: RunResult) -> tuple[str, bytes | None]:
    return result.model_dump_json(exclude={"provenance"}), result.predictions


def test_many_runs_are_trained_once_each_and_their_advance_is_told() -> None:
    specs = [
        lab.make_spec(hidden=hidden, steps=30, train_size=500, seed=seed)
        for hidden in [(), (8,)]
        for seed in (1, 2, 1)
    ]
    advances: list[Advance] = []
    found = results_of(specs, on_advance=advances.append)
    assert found.keys() == {spec.key for spec in specs}
    assert [advance.share for advance in advances] == sorted(advance.share for advance in advances)
    assert advances[-1] == Advance(share=1.0, runs=4, run_count=4)


def test_no_runs_have_no_results() -> None:
    assert results_of([]) == {}
    assert results_of([], workers=2) == {}
    assert results_of([], engine="reference") == {}


def test_either_engine_is_used_where_it_is_chosen() -> None:
    spec = lab.make_spec(steps=3, train_size=300)
    engines: list[lab.Engine] = ["lockstep", "reference"]
    for engine in engines:
        (result,) = lab.run_many([spec], engine=engine)
        assert isinstance(result, RunResult)
        assert result.provenance.engine == dl.train(spec, engine=engine).provenance.engine == engine


def test_what_cannot_be_is_told_before_the_first_run(empty_data_directory: Path) -> None:
    specs = [lab.make_spec(steps=3), lab.make_spec(steps=3, data="fashion-mnist")]
    with pytest.raises(DataError, match="`digitlab data fetch fashion-mnist`"):
        next(lab.run_many(specs))


OTHERS: list[Options] = [{}, {"momentum": 0.9}, {"optimiser": "adam", "learning_rate": 0.01}]


def mixed(count: int) -> list[RunSpec]:
    """Runs of all kinds; rates from far too small to far beyond what any network bears."""
    draw = random.Random(300)
    found = []
    for _ in range(count):
        batch_size = draw.choice([8, 31, 100, 512, 4_096])
        spec = lab.make_spec(
            hidden=[100, 30, 7][: draw.randrange(4)],
            batch_size=batch_size,
            learning_rate=draw.choice([*(2.0**power for power in range(-9, 4)), 2.0**20, 2.0**60]),
            scaling="standard" if draw.random() < 0.3 else "unit",
            initialisation="he" if draw.random() < 0.5 else "torch",
            train_size=draw.choice([max(500, batch_size), 5_000]),
            validation_size=draw.choice([0, 1_000]),
            steps=draw.choice([40, 55]),
            seed=draw.randrange(4),
        )
        found.append(lab.make_spec(spec, **draw.choice(OTHERS)))
    return found


@pytest.mark.slow
def test_mixed_runs_are_what_each_is_alone(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "_SECONDS_TO_START_WORKERS", 0)
    specs = mixed(length(100, 300))
    found = results_of(specs, workers=2)
    outcomes = [result.outcome for result in found.values()]
    assert {outcomes.count(outcome) > length(3, 10) for outcome in ("completed", "diverged")} == {True}
    for ours in random.Random(1).sample(list(found.values()), length(6, 40)):
        ((alone, _),) = train_cohort([ours.spec], mnist)
        assert without_provenance(ours) == without_provenance(alone)
        assert_the_reference_engine_agrees(ours, mnist)


def assert_the_reference_engine_agrees(ours: RunResult, mnist: Dataset) -> None:
    """The first 20 steps in float64, at any rate; and at small rates the whole run, whose rounding then stays
    small."""
    spec = lab.make_spec(ours.spec, precision="float64", steps=20, evaluate_at=range(1, 21))
    ((first, _),), (theirs, _) = train_cohort([spec], mnist), reference.train(spec, mnist)
    assert first.outcome == theirs.outcome
    np.testing.assert_allclose(first.curve.training_loss, theirs.curve.training_loss, rtol=1e-6)
    optimiser = ours.spec.optimiser
    if isinstance(optimiser, SGD) and optimiser.momentum == 0 and optimiser.learning_rate <= 2**-4:
        theirs, _ = reference.train(ours.spec, mnist)
        assert ours.outcome == theirs.outcome
        np.testing.assert_allclose(ours.curve.training_loss, theirs.curve.training_loss, rtol=0.01)
        assert ours.metrics.test_accuracy == pytest.approx(theirs.metrics.test_accuracy, abs=0.001)


@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_many_networks_are_saved_into_a_folder(tmp_path: Path, engine: lab.Engine) -> None:
    specs = [lab.make_spec(hidden=(width,), steps=4, train_size=100) for width in (3, 4)]
    folder = tmp_path / "new" / "networks"
    keys = {run.spec.key for run in lab.run_many(specs, engine=engine, save=folder)}
    assert {path.name for path in folder.iterdir()} == {f"{key[:12]}.safetensors" for key in keys}
    for spec in specs:
        assert dl.load(folder / f"{spec.key[:12]}.safetensors").spec == spec


def test_workers_save_the_same_networks(tmp_path: Path) -> None:
    specs = [lab.make_spec(hidden=(width,), steps=4, train_size=100) for width in (3, 4, 5)]
    list(lab.run_many(specs, save=tmp_path / "here"))
    (tmp_path / "there").mkdir()
    with training_of(
        Workers(2, ["float32"], save=tmp_path / "there"), [[spec] for spec in specs]
    ) as training:
        list(training)
    for file in (tmp_path / "here").iterdir():
        # The order of the metadata in a file's header is anyone's guess, so not the whole file.
        here, there = dl.load(file), dl.load(tmp_path / "there" / file.name)
        assert here.spec == there.spec
        for layer, there_layer in zip(here.layers, there.layers, strict=True):
            assert (layer.weight.tobytes(), layer.bias.tobytes()) == (
                there_layer.weight.tobytes(),
                there_layer.bias.tobytes(),
            )
    assert len(list((tmp_path / "there").iterdir())) == 3


def test_a_folder_that_cannot_be_made_is_told_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        WeightsError, match=r"file: cannot be written: .*; name a file in a folder that you can"
    ):
        next(iter(lab.run_many([lab.make_spec(steps=1)], save=tmp_path / "file")))


# --- results that are kept, and logs ---


@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_runs_are_logged(tmp_path: Path, engine: lab.Engine, caplog: pytest.LogCaptureFixture) -> None:
    specs = [lab.make_spec(steps=4, train_size=100, seed=seed) for seed in range(3)]
    results = list(lab.run_many(specs, engine=engine, log=f"tensorboard:{tmp_path / 'many'}"))
    result = lab.train(specs[0], engine=engine, log=f"tensorboard:{tmp_path / 'one'}")
    assert len(results) == len(list((tmp_path / "many").iterdir())) == 3
    assert len(list((tmp_path / "one").iterdir())) == 1
    assert bits(result) in [bits(each) for each in results if isinstance(each, RunResult)]
    (tmp_path / "file").touch()
    assert lab.train(specs[0], engine=engine, log=f"tensorboard:{tmp_path / 'file'}").outcome == "completed"
    (warning,) = caplog.messages
    assert warning.startswith("tensorboard: nothing more is logged: Not a directory (")
    assert warning.endswith("; the training is not affected")
    with pytest.raises(
        SpecError, match="log: 'wandb' is not known; use tensorboard, tensorboard:FOLDER, mlflow"
    ):
        next(lab.run_many(specs, log="wandb"))


def test_each_result_is_kept_before_it_is_told(tmp_path: Path) -> None:
    specs = [lab.make_spec(steps=4, train_size=100, hidden=(width,)) for width in (3, 4, 5)]
    seen = 0
    for ended in lab.run_many(specs, keep=tmp_path / "runs.db"):
        assert isinstance(ended, RunResult)
        with closing(open_store(tmp_path / "runs.db")) as store:
            (kept,) = store.get([ended.key], predictions=True).values()
        assert kept == ended
        seen += 1
    assert seen == 3
    with pytest.raises(SpecError, match="engine: 'reference' is not the engine whose results are kept"):
        next(lab.run_many(specs, keep=True, engine="reference"))


# --- progress, and memory that does not suffice ---


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_are_a_stream_of_events_from_which_some_can_be_stopped(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "_SECONDS_TO_START_WORKERS", -1)
    good, bad = (
        lab.make_spec(epochs=2, train_size=2_000),
        lab.make_spec(epochs=1_000_000, evaluate_at=[1], seed=1),
    )
    with dl.start([good, bad, good], workers=workers) as training:
        ends = {}
        for event in training:
            if isinstance(event, dl.events.Progress) and event.key == bad.key and event.step > 10:
                training.cancel([event.key])
            if isinstance(event, dl.events.Finished | dl.events.Cancelled):
                ends[event.key] = type(event)
    assert ends == {good.key: dl.events.Finished, bad.key: dl.events.Cancelled}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_cohort_that_is_too_large_for_memory_is_trained_in_halves(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [lab.make_spec(hidden=(8,), steps=30, train_size=500, seed=seed) for seed in range(7)]
    expected = {key: without_provenance(result) for key, result in results_of(specs).items()}
    tried: list[int] = []

    def with_little_memory(cohort: Sequence[RunSpec], *others: Any, **options: Any) -> Any:
        with memory_errors_named():
            tried.append(len(cohort))
            if len(cohort) > most:
                key = cohort[0].key
                watch: Watch = options["watch"]
                watch.tell(CohortProgress(key, 20, 30, {key: (1.0, 0.5)}))  # it ends in the middle
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            return train_cohort(cohort, *others, **options)

    monkeypatch.setattr(lab, "train_cohort", with_little_memory)
    monkeypatch.setattr(lab, "find_device", lambda *_: Device("cuda"))
    monkeypatch.setattr(lab, "free_memory", lambda _: 10**9)
    advances: list[Advance] = []
    found = results_of(specs, on_advance=advances.append)
    assert {key: without_provenance(result) for key, result in found.items()} == expected
    assert tried[0] == 7
    assert [advance.share for advance in advances] == sorted(advance.share for advance in advances)
    assert advances[-1] == Advance(share=1.0, runs=7, run_count=7)


def test_a_run_that_is_too_large_alone_fails_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(cohort: Sequence[RunSpec], *others: Any, **options: Any) -> Any:
        with memory_errors_named():
            if cohort[0].seed == 0:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return train_cohort(cohort, *others, **options)

    monkeypatch.setattr(lab, "train_cohort", without_memory)
    specs = [lab.make_spec(steps=3, seed=seed) for seed in range(2)]
    failure, result = sorted(lab.run_many(specs), key=lambda ended: ended.spec.seed)
    cause = "memory does not suffice for this run; use smaller layers or batches"
    assert failure == Failure(specs[0], cause)
    assert isinstance(result, RunResult)
    with pytest.raises(RunError, match=cause):
        dl.train(specs[0])


def test_cohorts_are_sized_by_the_memory_of_the_device_that_they_lie_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = [lab.make_spec(hidden=(100,), steps=2, train_size=500, seed=seed) for seed in range(8)]
    (whole,) = plan(
        specs, {specs[0].data: Images(10_000, 150.0)}, TYPICAL, workers=1, stacked=True, memory_limit=10**12
    ).cohorts
    sizes: list[int] = []

    def noted(cohort: Sequence[RunSpec], *others: Any, **options: Any) -> Any:
        sizes.append(len(cohort))
        return train_cohort(cohort, dataset=others[0])

    monkeypatch.setattr(lab, "train_cohort", noted)
    monkeypatch.setattr(lab, "find_device", lambda *_: Device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(whole.memory_bytes * 0.7), 10**12))
    assert len(results_of(specs)) == 8
    assert len(sizes) > 1


# --- whole writers held out ---


@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_whole_writers_are_held_out_in_both_engines(with_writers: Path, engine: lab.Engine) -> None:
    spec = lab.make_spec(
        hidden=(16,),
        steps=40,
        learning_rate=0.5,
        train_size=1_000,
        validation_size=3_000,
        validation="writers",
    )
    result, network = lab.run(spec, engine=engine)
    mnist, writer = dl.load_dataset("mnist"), load_writers("mnist").train_writer
    parts = run_split(spec, mnist)
    assert not set(writer[parts.train].tolist()) & set(writer[parts.validation].tolist())
    held_out = network.predict(mnist.train.images[parts.validation]).argmax(1)
    assert len(held_out) == 3_000
    accuracy = (held_out == mnist.train.labels[parts.validation]).mean()
    assert result.metrics.validation_accuracy == pytest.approx(accuracy, abs=1.5 / 3_000)
    others = lab.make_spec(spec, validation="images")
    assert others.key != spec.key
    assert lab.run(others)[0].metrics.validation_accuracy != result.metrics.validation_accuracy


def test_without_label_files_nothing_is_trained(empty_data_directory: Path) -> None:
    spec = lab.make_spec(validation_size=3_000, validation="writers", steps=5)
    for begin in (lab.run, lambda spec: lab.start([spec])):
        with pytest.raises(DataError, match="`digitlab data fetch mnist --writers`"):
            begin(spec)
