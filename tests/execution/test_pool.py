"""Workers that are kept: several trainings share them, and none touches another's runs."""

from collections.abc import Iterator

import pytest

from digitlab.execution.events import Cancelled, Finished, Progress, Started
from digitlab.execution.pool import Pool
from tests.execution.trainings import bits, ended_runs, small, training_of


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    found = Pool(2)
    yield found
    found.close()


def test_trainings_side_by_side_end_with_their_own_runs(pool: Pool) -> None:
    first, second = [small(1), small(2)], [small(3), small(4)]
    with training_of(pool.executor(), [first]) as a, training_of(pool.executor(), [second]) as b:
        found = [
            {event.key: event.result for event in training if isinstance(event, Finished)}
            for training in (a, b)
        ]
    assert [set(results) for results in found] == [{s.key for s in first}, {s.key for s in second}]
    (alone,) = ended_runs([[small(1)]], workers=1)
    assert bits(found[0][small(1).key]) == bits(alone)  # type: ignore[arg-type]


def test_leaving_a_training_ends_its_runs_and_no_others(pool: Pool) -> None:
    endless, other = small(5, epochs=100_000, evaluate_at=(1,)), small(6, epochs=20)
    with training_of(pool.executor(), [[other]]) as b:
        with training_of(pool.executor(), [[endless]]) as a:
            for event in a:
                if isinstance(event, Progress):
                    break
        assert any(isinstance(event, Finished) for event in b)


def test_a_run_that_was_cancelled_can_be_trained_again(pool: Pool) -> None:
    endless = small(7, epochs=2_000, evaluate_at=(1,))
    for _ in range(2):
        with training_of(pool.executor(), [[endless]]) as training:
            kinds = []
            for event in training:
                kinds.append(type(event))
                if isinstance(event, Progress):
                    training.cancel([endless.key])
        assert kinds[-1] is Cancelled
        assert Started in kinds


def test_what_waited_and_was_cancelled_can_be_trained_again_beside_the_others(pool: Pool) -> None:
    endless = [small(seed, epochs=100_000, evaluate_at=(1,)) for seed in (8, 9)]
    waiting = small(10)
    with training_of(pool.executor(), [[endless[0]], [endless[1]], [waiting]]) as a:
        a.cancel([waiting.key])
        assert any(event == Cancelled(waiting.key) for event in a)
        with training_of(pool.executor(), [[waiting]]) as b:
            a.cancel([endless[0].key])
            assert [type(event) for event in b][-1] is Finished
