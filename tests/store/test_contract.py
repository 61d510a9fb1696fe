"""The contract of `digitlab.store.interface`, held against every backend."""

import math
import random
import threading
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digitlab.result import RunResult
from digitlab.store import Filter, Order, RunRow, SortBy, Store, Verification
from tests.store.conftest import MakeStore, Numbered


def test_what_is_added_comes_back(store: Store, trained: RunResult, diverged: RunResult) -> None:
    assert trained.predictions is not None
    assert store.add([trained, diverged]) == 2
    assert store.known([trained.key, diverged.key, "0" * 64]) == {trained.key, diverged.key}
    without = trained.model_copy(update={"predictions": None})
    assert store.get([trained.key, "0" * 64]) == {trained.key: without}
    assert store.get([trained.key], predictions=True) == {trained.key: trained}
    assert store.predictions([trained.key, diverged.key]) == {trained.key: trained.predictions}


def test_a_diverged_run_comes_back_with_its_nan(store: Store, diverged: RunResult) -> None:
    assert diverged.outcome == "diverged"
    store.add([diverged])
    stored = store.get([diverged.key], predictions=True)[diverged.key]
    assert stored.to_json() == diverged.to_json()
    assert math.isnan(stored.metrics.test_accuracy)
    assert stored.predictions is None
    (row,) = store.list(Filter())
    assert math.isnan(row.test_accuracy)
    assert row.validation_loss is None


def test_a_known_key_stays_as_it_is(store: Store, trained: RunResult) -> None:
    later = trained.provenance.model_copy(update={"finished": "2099-01-01T00:00:00+00:00"})
    other = trained.model_copy(update={"provenance": later, "predictions": b"\1" * 10_000})
    assert store.add([trained]) == 1
    assert store.add([other, other]) == 0
    assert store.get([trained.key], predictions=True) == {trained.key: trained}


def test_of_two_results_of_one_key_the_first_is_kept(store: Store, trained: RunResult) -> None:
    second = trained.model_copy(update={"predictions": b"\1" * 10_000})
    assert store.add([trained, second]) == 1
    assert store.predictions([trained.key]) == {trained.key: trained.predictions}


def test_nothing_asked_is_nothing_done(store: Store) -> None:
    assert store.add([]) == 0
    assert store.known([]) == frozenset()
    assert not store.get([])
    assert not store.predictions([])
    assert not store.measurements([], "noise")
    assert store.list(Filter()) == []
    assert store.count(Filter()) == 0
    assert store.delete([]) == 0
    assert store.measured() == frozenset()
    assert store.verify() == Verification(0, ())


def test_get_keeps_the_order_of_the_keys(store: Store, numbered: Numbered) -> None:
    keys = [numbered(number).key for number in range(20)]
    store.add([numbered(number) for number in range(20)])
    random.Random(1).shuffle(keys)
    assert list(store.get(keys)) == keys
    assert list(store.get(iter(keys))) == keys


def test_many_keys_at_once(store: Store, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(1_201)]
    others = [f"{number:064x}" for number in range(40_000)]
    assert store.add(results) == 1_201
    keys = [result.key for result in results]
    assert store.known([*others, *keys]) == set(keys)
    assert len(store.get(keys)) == len(store.predictions(keys)) == 1_201
    assert store.delete([*others, *keys[:-1]]) == 1_200
    assert store.known(keys) == {keys[-1]}


def test_a_row_says_what_the_run_was(store: Store, trained: RunResult) -> None:
    store.add([trained])
    assert store.list(Filter()) == [
        RunRow(
            key=trained.key,
            data="mnist",
            network="784-16-10",
            batch_size=100,
            learning_rate=0.5,
            seed=0,
            outcome="completed",
            test_accuracy=trained.metrics.test_accuracy,
            validation_loss=trained.metrics.validation_loss,
            seconds=trained.provenance.seconds,
            finished=trained.provenance.finished,
        )
    ]


def test_the_newest_are_listed_first(store: Store, numbered: Numbered) -> None:
    numbers = [3, 0, 4, 1, 2]
    store.add([numbered(number) for number in numbers])
    assert [row.seed for row in store.list(Filter())] == [4, 3, 2, 1, 0]
    assert [row.seed for row in store.list(Filter(), limit=2)] == [4, 3]
    assert store.keys(Filter()) == [row.key for row in store.list(Filter())]
    assert store.keys(Filter(), limit=2) == [numbered(number).key for number in (4, 3)]


@pytest.mark.parametrize("by", get_args(SortBy))
def test_a_listing_is_sorted_by_any_figure_and_paged(
    store: Store, diverged: RunResult, numbered: Numbered, by: SortBy
) -> None:
    losses = [0.3, math.nan, 0.1, 0.3, 0.2]  # not a number: there is none
    results = [diverged]
    for number, loss in enumerate(losses):
        run = numbered(number)
        metrics = run.metrics.model_copy(update={"validation_loss": loss, "test_accuracy": 1 - loss})
        results.append(run.model_copy(update={"metrics": metrics}))
    store.add(results)
    rows = {row.key: row for row in store.list(Filter())}

    def place(row: RunRow) -> tuple[bool, Any, str]:
        value = getattr(row, by)
        is_missing = value is None or value != value
        return is_missing, 0 if is_missing else value, row.key

    rising = sorted(rows.values(), key=place)
    falling = sorted(
        sorted(rows.values(), key=lambda row: row.key), key=lambda row: place(row)[1], reverse=True
    )
    falling.sort(key=lambda row: place(row)[0])
    for order, expected in ((Order(by, descending=False), rising), (Order(by), falling)):
        keys = [row.key for row in expected]
        assert [row.key for row in store.list(Filter(), order=order)] == keys
        pages = [store.list(Filter(), 2, offset=offset, order=order) for offset in (0, 2, 4, 6)]
        assert [row.key for page in pages for row in page] == keys
    assert len(store.list(Filter(), offset=4)) == 2


@pytest.mark.parametrize(
    ("run_filter", "expected"),
    [
        (Filter(), {"trained", "diverged", "numbered"}),
        (Filter(data="mnist"), {"trained", "diverged", "numbered"}),
        (Filter(data="fashion-mnist"), set()),
        (Filter(network="784-8-10"), {"diverged"}),
        (Filter(outcome="completed"), {"trained", "numbered"}),
        (Filter(outcome="completed", seed=7), {"numbered"}),
        (Filter(batch_size=99), set()),
        (Filter(seed=0), {"trained", "diverged"}),
    ],
)
def test_a_filter_chooses(
    store: Store,
    trained: RunResult,
    diverged: RunResult,
    numbered: Numbered,
    run_filter: Filter,
    expected: set[str],
) -> None:
    named = {"trained": trained, "diverged": diverged, "numbered": numbered(7)}
    store.add(list(named.values()))
    assert {row.key for row in store.list(run_filter)} == {named[name].key for name in expected}
    assert store.count(run_filter) == len(expected)


def test_a_key_is_found_by_its_first_digits(store: Store, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(60)]
    keys = [result.key for result in results]
    store.add(results)
    for prefix in ("", keys[0][:1], keys[0][:5], keys[0], keys[0][:9].upper(), "%", "_", "g", "é"):
        expected = {key for key in keys if key.startswith(prefix.lower())}
        assert {row.key for row in store.list(Filter(key_prefix=prefix))} == expected


def test_what_is_deleted_is_gone_and_can_come_again(store: Store, trained: RunResult) -> None:
    store.add([trained])
    store.add_measurement(trained.key, "noise", {"scale": 1.0})
    assert store.delete([trained.key, trained.key, "0" * 64]) == 1
    assert store.known([trained.key]) == frozenset()
    assert not store.predictions([trained.key])
    assert not store.measurements([trained.key], "noise")
    assert store.add([trained]) == 1
    assert store.predictions([trained.key]) == {trained.key: trained.predictions}


def test_measurements_need_no_run_and_stay_as_they_are(store: Store) -> None:
    store.add_measurement("a", "noise", {"scale": math.nan, "norm": -math.inf, "zero": 0.1 + 0.2})
    store.add_measurement("a", "noise", {"scale": 2.0})
    store.add_measurement("a", "sharpness", {})
    store.add_measurement("b", "noise", {"scale": 1.0})
    assert repr(store.measurements(["a", "c"], "noise")) == repr(
        {"a": {"scale": math.nan, "norm": -math.inf, "zero": 0.30000000000000004}}
    )
    assert store.measurements(["a"], "sharpness") == {"a": {}}
    assert store.measured() == {("a", "noise"), ("a", "sharpness"), ("b", "noise")}


def test_merging_takes_over_what_is_new(make_store: MakeStore, numbered: Numbered) -> None:
    ours, theirs = make_store("ours"), make_store("theirs")
    ours.add([numbered(number) for number in range(3)])
    theirs.add([numbered(number) for number in range(2, 700)])
    theirs.add_measurement("a", "noise", {"scale": 3.0})
    ours.add_measurement("b", "noise", {"scale": 4.0})
    assert ours.merge(theirs) == 697
    assert ours.merge(theirs) == 0
    assert ours.merge(ours) == 0
    keys = [numbered(number).key for number in range(700)]
    assert list(ours.get(keys, predictions=True).values()) == [numbered(number) for number in range(700)]
    assert ours.measurements(["a", "b"], "noise") == {"a": {"scale": 3.0}, "b": {"scale": 4.0}}
    assert theirs.count(Filter()) == 698


def test_threads_share_a_store(store: Store, numbered: Numbered) -> None:
    errors: list[BaseException] = []

    def add(first: int) -> None:
        try:
            for number in range(first, first + 10):
                result = numbered(number)
                assert store.add([result]) == 1
                assert store.get([result.key], predictions=True) == {result.key: result}
        except BaseException as error:  # noqa: BLE001  # told by the test
            errors.append(error)

    threads = [threading.Thread(target=add, args=(10 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert store.count(Filter()) == 40
    assert store.verify() == Verification(40, ())


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
METRICS = ("training_loss", "training_set_loss", "test_loss", "test_accuracy", "peak_batch_loss")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    metrics=st.fixed_dictionaries(dict.fromkeys(METRICS, NUMBERS)),
    validation_loss=st.none() | NUMBERS,
    seconds=st.floats(allow_nan=False, allow_infinity=False),
    losses=st.lists(NUMBERS, max_size=5),
    predictions=st.none() | st.binary(max_size=100),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_number_comes_back_bit_for_bit(
    store: Store,
    trained: RunResult,
    metrics: dict[str, float],
    validation_loss: float | None,
    seconds: float,
    losses: list[float],
    predictions: bytes | None,
    seed: int,
) -> None:
    spec = trained.spec.model_copy(update={"seed": seed})
    parts: dict[str, Any] = {
        "outcome": "completed",
        "curve": {"step": tuple(range(len(losses))), "training_loss": losses},
        "metrics": {**trained.metrics.model_dump(), **metrics, "validation_loss": validation_loss},
        "provenance": {**trained.provenance.model_dump(), "seconds": seconds},
        "predictions": predictions,
    }
    result = RunResult.of(spec, **parts)
    store.delete([result.key])
    store.add([result])
    stored = store.get([result.key], predictions=True)[result.key]
    assert stored.to_json() == result.to_json()
    assert stored.predictions == predictions
    (row,) = store.list(Filter(seed=seed))
    assert repr(row.test_accuracy + 0.0) == repr(metrics["test_accuracy"] + 0.0)
    assert store.verify().set_aside == ()
