"""Named random streams."""

import numpy as np

from digitlab.rng import stream


def test_the_first_draws_are_pinned() -> None:
    # Known answers: with other draws every result of every run would change.
    assert stream(0, "order/0").permutation(10).tolist() == [6, 5, 1, 9, 0, 3, 8, 4, 2, 7]
    assert stream(7, "init/0/weight").uniform(-1, 1, 3).tolist() == [
        0.4579356451058556,
        -0.9841517575360164,
        0.6374695044337546,
    ]


def test_a_stream_is_its_seed_and_its_name() -> None:
    draws = {
        (seed, name): tuple(stream(seed, name).integers(0, 2**63, 4).tolist())
        for seed in (0, 1, 2**63 - 1)
        for name in ("order/0", "order/1", "subset", "init/0/weight", "init/0/bias")
    }
    assert len(set(draws.values())) == len(draws)
    assert draws[1, "subset"] == tuple(stream(1, "subset").integers(0, 2**63, 4).tolist())


def test_names_and_seeds_cannot_be_mistaken_for_one_another() -> None:
    assert stream(1, "1/a").random() != stream(11, "/a").random()


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    stream(3, "order/0").permutation(100)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert str(before) == str(after)
