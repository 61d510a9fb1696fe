"""The two queues, and what is read from events."""

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab import lab
from digitlab.engine.progress import CohortProgress, CurvePoint
from digitlab.execution.events import Cancelled, Event, Planned, Progress, Started
from digitlab.execution.queues import Mailbox, Orders
from digitlab.execution.retry import Retry
from digitlab.execution.training import Advance, AdvanceMeter
from digitlab.spec import RunSpec

SPEC = lab.make_spec()


def runs(keys: str) -> dict[str, RunSpec]:
    return dict.fromkeys(keys, SPEC)


def progress(cohort: str, step: int, points: dict[str, int] | None = None) -> CohortProgress:
    """A state in which the runs have new points, each at its own step."""
    curve_points = {key: (CurvePoint(at, 1.0, None, None),) for key, at in (points or {}).items()}
    return CohortProgress(cohort, step, 9, dict.fromkeys(cohort, (float(step), 0.5)), curve_points)


def test_cohorts_are_taken_in_their_order_and_nothing_after_the_end() -> None:
    orders = Orders()
    orders.put(runs("ab"))
    orders.put(runs("c"))
    assert orders.take() == runs("ab")
    orders.close()
    assert orders.take() is None
    assert orders.cancelled == {"a", "b"}  # which train; c never will


def test_cancelled_runs_are_taken_out_while_they_wait() -> None:
    orders = Orders()
    for keys in ("ab", "c", "de"):
        orders.put(runs(keys))
    assert orders.cancel({"b", "c", "x"}) == runs("bc")
    assert orders.cancelled == {"b", "c", "x"}
    assert [orders.take(), orders.take()] == [runs("a"), runs("de")]


def test_who_waits_for_a_cohort_gets_it() -> None:
    orders, found = Orders(), []
    thread = threading.Thread(target=lambda: found.append(orders.take()))
    thread.start()
    orders.put(runs("a"))
    thread.join()
    assert found == [runs("a")]


def test_of_the_states_of_a_cohort_the_latest_waits_with_all_points() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("first")
    mailbox.put(progress("ab", 1, {"a": 1, "b": 1}))
    mailbox.put(progress("c", 5))
    mailbox.put(progress("ab", 2, {"a": 2}))
    mailbox.put(progress("ab", 3))
    mailbox.close()
    assert mailbox.get() == "first"
    latest = mailbox.get()
    assert isinstance(latest, CohortProgress)
    assert (latest.step, latest.state["a"]) == (3, (3.0, 0.5))
    assert {key: [point.step for point in points] for key, points in latest.points.items()} == {
        "a": [1, 2],
        "b": [1],
    }
    assert mailbox.get() == progress("c", 5)
    assert mailbox.get() is None


def test_who_waits_for_a_message_looks_up() -> None:
    mailbox = Mailbox[str]()
    with pytest.raises(TimeoutError):
        mailbox.get(0.01)
    mailbox.put("a")
    assert mailbox.get(0.01) == "a"
    mailbox.close()
    assert mailbox.get(0.01) is None


def test_a_state_does_not_pass_a_message_that_lies_between() -> None:
    mailbox: Mailbox[str] = Mailbox()
    for message in (progress("a", 8), "tried again", progress("a", 1), progress("a", 2)):
        mailbox.put(message)
    assert [mailbox.get() for _ in range(3)] == [progress("a", 8), "tried again", progress("a", 2)]
    mailbox.put(progress("a", 3))
    mailbox.put(progress("a", 4))
    assert mailbox.get() == progress("a", 4)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans()), max_size=40))
def test_no_point_is_lost_or_told_twice_however_it_is_read(puts: list[tuple[str, bool, bool]]) -> None:
    mailbox: Mailbox[str] = Mailbox()
    reported_steps: dict[str, list[int]] = {"a": [], "b": []}

    def read(message: CohortProgress | str | None) -> None:
        if isinstance(message, CohortProgress):
            for key, points in message.points.items():
                reported_steps[key] += [point.step for point in points]

    for step, (key, has_point, is_read) in enumerate(puts):
        mailbox.put(progress(key, step, {key: step} if has_point else None))
        if is_read:
            read(mailbox.get())
    mailbox.close()
    while (message := mailbox.get()) is not None:
        read(message)
    for key, steps in reported_steps.items():
        assert steps == [
            step for step, (whose, has_point, _) in enumerate(puts) if whose == key and has_point
        ]


def test_halves_then_alone_then_no_more() -> None:
    retry = Retry(slots=1)
    assert retry.after(runs("abc"), began=True) == [runs("a"), runs("bc")]
    assert retry.after(runs("a"), began=True) == [runs("a")]
    assert retry.after(runs("a"), began=True) == []
    assert retry.after(runs("b"), began=True) == [runs("b")]


@pytest.mark.parametrize("slots", [1, 3])
def test_starts_that_fail_in_a_row_are_given_up(slots: int) -> None:
    retry = Retry(slots)
    for _ in range(2 * slots - 1):
        assert retry.after(runs("ab"), began=False) == [runs("ab")]
    assert retry.after(runs("ab"), began=False) == []
    assert retry.after(runs("ab"), began=True) == [runs("a"), runs("b")]
    assert retry.after(runs("ab"), began=False) == [runs("ab")]


@given(st.lists(st.tuples(st.floats(1e-9, 1e9), st.integers(1, 5)), min_size=1, max_size=20))
def test_the_share_never_falls_and_is_1_at_the_end_and_not_before(cohorts: list[tuple[float, int]]) -> None:
    """Whatever rounding, and whichever `sum` of floats, make of the shares; and though all is tried again."""
    whole = math.fsum(seconds for seconds, _ in cohorts)
    planned = [
        Planned(f"{i}.{j}", SPEC, seconds / count / whole)
        for i, (seconds, count) in enumerate(cohorts)
        for j in range(count)
    ]
    batches: list[list[Event]] = [list(planned)]
    for run in planned:
        batches += [[Started(run.key)], [Progress(run.key, 3, 10, 1.0, 0.5)]]
        batches += [[Progress(run.key, 10, 10, 1.0, 0.5)]]
        batches += [[Started(run.key)], [Progress(run.key, 2, 10, 1.0, 0.5)], [Cancelled(run.key)]]
    meter = AdvanceMeter()
    advances = [meter.see(batch) for batch in batches]
    shares = [at.share for at in advances]
    assert shares == sorted(shares)
    assert max(shares[:-1]) < 1
    assert advances[-1] == Advance(share=1.0, runs=len(planned), run_count=len(planned))
    first = planned[0]
    meter = AdvanceMeter()
    meter.see(planned)
    assert meter.see([Progress(first.key, 5, 10, 1.0, 0.5)]).share == pytest.approx(first.share / 2)
