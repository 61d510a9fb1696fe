"""Planning: what cohorts cost, and how runs are sorted into them."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.lockstep import cohort_key
from digitlab.errors import RunError
from digitlab.planning import calibration
from digitlab.planning.calibration import TYPICAL, fit
from digitlab.planning.cost import WORK, Images, memory_bytes, work
from digitlab.planning.planner import MOST_SECONDS, makespan, plan
from digitlab.spec import RunSpec

IMAGES = Images(test_size=10_000, lit_pixels=150.0)


def planned(specs: list[RunSpec], **options: Any) -> Any:
    return plan(specs, {specs[0].data: IMAGES}, TYPICAL, **{"workers": 2, "memory_limit": 10**10, **options})


# --- work and its costs ---


def test_work_by_hand() -> None:
    spec = lab.make_spec(hidden=(100,), batch_size=50, train_size=1_000, validation_size=500, epochs=3)
    twin = lab.make_spec(spec, learning_rate=0.5)
    other = lab.make_spec(spec, seed=1, optimiser="adam")
    trained, evaluated = 3 * 1_000, 1_000 + 3 * 500 + 10_000
    first, later = 784 * 112, 100 * 16  # widths count in whole vectors of 16
    expected = {
        "cohorts": 1,
        "runs": 2,
        "drawn images": 60_000,
        "examples": 2 * (trained + evaluated),
        "cohort steps": 60,
        "steps": 2 * 60,
        "listed images": 1_000 + 500 + 10_000,
        "packed pixels": (trained + evaluated) * 150,
        "first layer": 2 * first * (150 / 784) * (2 * trained + evaluated) / 1e6,
        "layers": 2 * later * (3 * trained + evaluated) / 1e6,
        "updates": 2 * 60 * (first + later) / 1e6,
        "moments": 0,
    }
    assert dict(zip(WORK, work([spec, twin], IMAGES), strict=True)) == pytest.approx(expected)
    of_adam = dict(zip(WORK, work([other], IMAGES), strict=True))
    assert of_adam["moments"] == of_adam["updates"] == expected["updates"] / 2


def test_many_runs_that_are_hardly_trained_have_their_cost_too() -> None:
    """What a run costs beside its steps: parameters, its draw of images, evaluation, its result."""
    tiny = [lab.make_spec(steps=1, train_size=100, batch_size=10, seed=seed) for seed in range(2_000)]
    of_one, of_all = (planned(tiny[:count], workers=1).seconds for count in (1, 2_000))
    assert of_all > 1_000 * of_one / 2  # packing the test images is shared by a cohort
    of_steps = TYPICAL[[WORK.index("cohort steps"), WORK.index("steps")]].sum() * 2_000
    assert of_all > 100 * of_steps


@given(st.lists(st.floats(0, 1e-3), min_size=3, max_size=3), st.integers(0, 10))
def test_costs_that_made_the_seconds_are_found_again(costs: list[float], seed: int) -> None:
    counts = np.random.default_rng(seed).uniform(1, 1_000, (12, 3))
    seconds = counts @ np.array(costs)
    if seconds.min() > 1e-6:
        np.testing.assert_allclose(fit(counts, seconds) @ counts.T, seconds, rtol=1e-4)
        assert (fit(counts, seconds) >= 0).all()


def test_no_cost_is_below_0() -> None:
    # The best fit without that condition has a negative cost: twice the work takes less than twice the time.
    counts = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 4.0]])
    costs = fit(counts, np.array([1.0, 0.9, 0.8]))
    assert costs[1] == 0
    assert 0.8 < costs[0] < 1


@pytest.mark.slow
def test_a_machine_is_measured_once(mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    np.testing.assert_array_equal(calibration.known(), TYPICAL)
    costs = calibration.calibrate(mnist)
    np.testing.assert_array_equal(calibration.known(), costs)
    assert (costs >= 0).all()
    assert costs.sum() > 0
    monkeypatch.setattr(calibration, "_measure", lambda *_: pytest.fail("measured again"))
    np.testing.assert_array_equal(calibration.calibrate(mnist), costs)
    (tmp_path / "cache" / "costs.json").write_text("{}")
    monkeypatch.setattr(calibration, "_measure", lambda *_: TYPICAL)
    np.testing.assert_array_equal(calibration.calibrate(mnist), TYPICAL)


# --- memory ---

MEASURE = """
import re, sys
from pathlib import Path
import psutil
from digitlab import lab
from digitlab.data import registry as library
from digitlab.planning.cost import Images, memory_bytes
from digitlab.engine.lockstep import train_cohort
options, members = eval(sys.argv[1]), int(sys.argv[2])
dataset = library.load("mnist")
first = lab.make_spec(**options)
train_cohort([lab.make_spec(first, hidden=(), batch_size=8, steps=2, evaluate_at=[1])], dataset)
before = psutil.Process().memory_info().rss
specs = [lab.make_spec(first, seed=i // 2) for i in range(members)]
results = train_cohort(specs, dataset)
# Not ru_maxrss: that begins with what the process had from which this one was forked.
after = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
print((after * 1024 - before) / memory_bytes(specs, Images.of(dataset)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("options", "members"),
    [
        ({"hidden": (1000, 1000), "optimiser": "adam", "steps": 4, "batch_size": 64, "train_size": 2_000}, 8),
        ({"hidden": (200,), "steps": 2, "batch_size": 40_000}, 2),
        ({"hidden": (600, 600), "momentum": 0.9, "steps": 3, "batch_size": 4096, "train_size": 5_000}, 6),
        ({"hidden": (1500,), "precision": "float64", "steps": 3, "train_size": 2_000}, 6),
        (
            {
                "hidden": (1000, 1000),
                "steps": 6,
                "evaluate_at": [2, 4, 6],
                "train_size": 2_000,
                "validation_size": 500,
                "patience": 1,
            },
            8,
        ),
    ],
    ids=str,
)
def test_memory_is_known_beforehand(options: dict[str, Any], members: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, repr(options), str(members)],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert 1 / 1.3 < float(done.stdout) < 1.3


def test_more_memory_than_there_is_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        RunError, match=r"784-20000-10 at batch size 100 needs about 0.2 GB of memory, and 0.0 GB"
    ):
        planned([lab.make_spec(hidden=(20_000,))], memory_limit=10**6)


# --- plans ---


def mixed(count: int) -> list[RunSpec]:
    random_ = random.Random(3)
    return [
        lab.make_spec(
            hidden=random_.choice([(), (100,), (100, 100)]),
            batch_size=random_.choice([8, 100, 1_000]),
            train_size=random_.choice([1_000, 60_000]),
            seed=random_.randrange(5),
            learning_rate=2.0 ** random_.randint(-9, 3),
            epochs=2,
        )
        for _ in range(count)
    ]


def test_every_run_is_in_one_cohort_of_its_kind() -> None:
    specs = mixed(300)
    found = planned(specs)
    assert sorted(spec.key for cohort in found.cohorts for spec in cohort.specs) == sorted(
        s.key for s in specs
    )
    for cohort in found.cohorts:
        assert len({cohort_key(spec) for spec in cohort.specs}) == 1
        seconds = work(cohort.specs, IMAGES) @ TYPICAL
        assert cohort.seconds == pytest.approx(seconds)
        assert cohort.seconds <= 1.01 * MOST_SECONDS or len(cohort.specs) == 1
        assert cohort.memory_bytes == memory_bytes(cohort.specs, IMAGES)
    seconds = [cohort.seconds for cohort in found.cohorts]
    assert seconds == sorted(seconds, reverse=True)
    # No long tail: the end is at most a tenth later than if both were busy all the time.
    assert found.seconds < 1.1 * sum(seconds) / 2


@given(st.integers(1, 40), st.integers(1, 8), st.integers(6, 11))
def test_plans_fit_the_memory(count: int, workers: int, exponent: int) -> None:
    specs = [lab.make_spec(hidden=(100,), seed=i // 3, learning_rate=2.0**-i) for i in range(count)]
    limit = 10**exponent
    try:
        found = planned(specs, workers=workers, memory_limit=limit)
    except RunError:
        assert limit < memory_bytes(specs[:1], IMAGES)
        return
    assert 1 <= found.workers <= workers
    assert sum(len(cohort.specs) for cohort in found.cohorts) == count
    if found.workers > 1:
        assert found.memory_bytes <= limit


def test_cohorts_on_a_gpu_are_as_large_as_memory_allows() -> None:
    specs = [lab.make_spec(hidden=(100,), seed=i) for i in range(200)]
    (whole,) = planned(specs, stacked=True, workers=1, memory_limit=10**11).cohorts
    assert len(whole.specs) == 200
    parts = planned(specs, stacked=True, workers=1, memory_limit=whole.memory_bytes // 3).cohorts
    assert 3 < len(parts) < 20


def test_the_makespan_by_hand() -> None:
    assert makespan([5, 4, 3, 3, 3], 2) == 10  # 5 + 3, 4 + 3 + 3
    assert makespan([1], 8) == 1
    nothing = plan([], {}, TYPICAL, workers=2)
    assert (nothing.cohorts, nothing.seconds) == ((), 0)
