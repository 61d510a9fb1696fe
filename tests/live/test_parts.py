"""What is said of runs, how quick they are, who visits, what presets hold: by hand-made cases."""

import colorsys
import math
import re
import statistics
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from digitlab.data.arrays import InputScale
from digitlab.live import Visitor, explanation
from digitlab.live.board import board_rows
from digitlab.live.live_run import LiveRun, rate_in_words
from digitlab.live.presets import PRESETS, preset
from digitlab.live.seeds import over_seeds
from digitlab.live.speed import Speed
from digitlab.live.visitors import ANIMALS, COLOURS, Visitors, network_of
from digitlab.models.parameters import Layer
from digitlab.models.trained import TrainedNetwork
from digitlab.options import make_spec
from digitlab.spec import RunSpec
from digitlab.spec_options import command_of, options_of


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.125, "1/8"),
        (0.5, "1/2"),
        (1.0, "1"),
        (0.01, "0.01"),
        (3.0, "3"),
        (2.0**-12, "1/4096"),
        (2.0**-17, "7.62939e-06"),
    ],
)
def test_rates_are_written_as_people_write_them(rate: float, words: str) -> None:
    assert rate_in_words(rate) == words


def test_a_blown_up_loss_is_explained() -> None:
    spec = make_spec(learning_rate=8.0, batch_size=8)
    assert (
        explanation.diverged(spec, 41)
        == "the loss blew up at step 41: the learning rate 8 is too large for batches of 8; try 2"
    )
    spec = make_spec(learning_rate=0.5, momentum=0.9)
    assert "the learning rate 1/2 is too large with momentum 0.9 for batches of 100; try 1/8" in (
        explanation.diverged(spec, 1_041)
    )
    assert "too large for adam" in explanation.diverged(make_spec(optimiser="adam", learning_rate=1.0), 5)


def test_dead_units_are_counted() -> None:
    spec = make_spec(hidden=(3,))
    weight = np.zeros((3, 784), np.float32)
    layers = (
        Layer(weight, np.array([1, -1, 0], np.float32)),
        Layer(np.zeros((10, 3), np.float32), np.zeros(10, np.float32)),
    )
    network = TrainedNetwork(spec, InputScale(0, 255), layers)
    assert explanation.dead_units(network, np.zeros((5, 28, 28), np.uint8)) == (2, 3)


def test_the_speed_is_that_of_the_last_seconds() -> None:
    speed = Speed(100.0)
    assert speed.steps_per_second is None
    for second in range(1, 11):
        speed.see(100 * second if second <= 5 else 500 + 300 * (second - 5), 100.0 + second)
    assert speed.steps_per_second == pytest.approx(300)
    assert speed.seconds_left(2_000, 5_000) == pytest.approx(10)
    assert speed.seconds == 10


HUES = {"blue": 205, "orange": 21, "green": 160, "pink": 325, "amber": 41, "sky": 204, "olive": 56}


def test_a_visitor_s_name_says_the_colour_of_their_dots() -> None:
    """In both themes of the page's style: the hue in degrees, and grey has none."""
    style = files("digitlab.web").joinpath("static/style.css").read_text()
    found = re.findall(r"--series-(\d): #(..)(..)(..);", style)
    assert len(found) >= 2 * len(COLOURS)
    for number, *parts in found:
        hue, _, saturation = colorsys.rgb_to_hls(*(int(part, 16) / 255 for part in parts))
        name = COLOURS[int(number) - 1]
        if name == "grey":
            assert saturation < 0.15
        else:
            assert saturation > 0.3
            assert 360 * hue == pytest.approx(HUES[name], abs=7), name


def test_visitors_are_told_apart_and_the_oldest_gives_way() -> None:
    visitors = Visitors()
    found = dict(visitors.welcome() for _ in range(len(COLOURS) * len(ANIMALS)))
    assert len({visitor.name for visitor in found.values()}) == len(found)
    assert all(1 <= visitor.colour <= 8 for visitor in found.values())
    first, second, *_ = found
    assert visitors.find(first) == found[first]  # it has been seen
    visitors.welcome()
    assert visitors.find(second) is None
    assert visitors.find(first) is not None
    assert visitors.find("") is None


def test_who_comes_again_and_again_takes_names_of_one_network_alone() -> None:
    visitors = Visitors()
    far = [visitors.welcome("192.0.2.1")[0] for _ in range(20)]
    near = [visitors.welcome("192.0.2.2")[0] for _ in range(400)]
    assert all(visitors.find(secret) is not None for secret in far)
    assert sum(visitors.find(secret) is not None for secret in near) == visitors.count - 20


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_a_network_is_an_ipv4_address_or_64_bits_of_ipv6(host: str, network: str) -> None:
    assert network_of(host) == network


def test_every_preset_makes_runs() -> None:
    for each in PRESETS:
        specs = [make_spec(None, **options) for options in each.runs()]
        assert len({spec.key for spec in specs}) == len(specs) <= 32
        assert each.title
        assert each.question.endswith("?")
        assert each.watch.endswith(".")
    assert preset("nothing") is None


def run_of(spec: RunSpec, accuracy: float, visitor: Visitor, status: str = "done") -> LiveRun:
    return LiveRun(spec.key, spec, status=status, test_accuracy=accuracy, visitor=visitor)  # type: ignore[arg-type]


def by_hand(accuracies: Sequence[float], t: float) -> tuple[float, float]:
    """Student's interval of the mean's logit, its standard error by the jackknife, back on the accuracies' scale."""
    n, whole = len(accuracies), logit(statistics.mean(accuracies))
    left_out = [logit((sum(accuracies) - one) / (n - 1)) for one in accuracies]
    error = math.sqrt((n - 1) / n * sum((one - statistics.mean(left_out)) ** 2 for one in left_out))
    return expit(whole - t * error), expit(whole + t * error)


def test_the_board_has_mean_and_interval_over_seeds() -> None:
    found = preset("blank")
    assert found is not None
    heron, otter = Visitor("blue heron", 5), Visitor("red otter", 6)
    (options,) = found.runs()
    specs = [make_spec(None, **options, seed=seed) for seed in (1, 2, 3)]
    runs = [run_of(spec, accuracy, heron) for spec, accuracy in zip(specs, (0.90, 0.92, 0.94), strict=True)]
    runs.append(run_of(specs[0], 0.90, otter))  # the same run counts once
    runs.append(
        run_of(make_spec(None, **{**options, "seed": 4, "evaluate_at": (5,)}), math.nan, otter, "diverged")
    )
    runs.append(run_of(make_spec(hidden=(7,)), 0.5, otter))  # another experiment
    (row,) = board_rows(found, runs, lambda each: make_spec(None, **each))
    assert row.accuracy.value == pytest.approx(0.92)
    low, high = by_hand((0.90, 0.92, 0.94), 4.302653)  # Student's t of 2 degrees of freedom
    assert [row.accuracy.low, row.accuracy.high] == pytest.approx([low, high])
    assert low == pytest.approx(0.92 - 4.302653 * 0.02 / math.sqrt(3), abs=0.02)
    assert (len(row.runs), row.count, row.broken) == (5, 3, 1)
    two = [run_of(spec, accuracy, heron) for spec, accuracy in zip(specs, (0.5, 0.9), strict=False)]
    (row,) = board_rows(found, two, lambda each: make_spec(None, **each))
    assert 0 < row.accuracy.low < 0.5
    assert 0.9 < row.accuracy.high < 1  # an accuracy is no more than 1


def test_a_network_over_its_seeds_is_told_only_where_nothing_else_differs() -> None:
    done = [
        LiveRun(spec.key, spec, status="done", accuracy=accuracy)
        for spec, accuracy in [(make_spec(seed=0), 0.9), (make_spec(seed=1), 0.92), (make_spec(seed=2), 0.94)]
    ]
    stopped = LiveRun("", make_spec(seed=3), status="cancelled", accuracy=0.1)
    found = over_seeds([*done, stopped])
    assert found is not None
    assert found.count == 3
    assert found.accuracy.value == pytest.approx(0.92)
    assert found.accuracy.high == pytest.approx(by_hand((0.90, 0.92, 0.94), 4.302653)[1])
    other = make_spec(seed=3, batch_size=50)
    assert over_seeds([*done, LiveRun(other.key, other, status="done", accuracy=0.9)]) is None
    assert over_seeds([]) is None


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "hidden": st.lists(st.integers(1, 300), max_size=3),
        "seed": st.integers(0, 2**63 - 1),
        "batch_size": st.integers(1, 1_000),
        "train_size": st.integers(1_000, 40_000),
        "validation_size": st.sampled_from([0, 10, 10_000]),
        "learning_rate": st.floats(1e-6, 1e3),
        "epochs": st.integers(1, 20),
        "scaling": st.sampled_from(["unit", "standard", "symmetric"]),
        "schedule": st.sampled_from(["constant", "warmup-cosine"]),
        "optimiser": st.sampled_from(["sgd", "adam", "adamw"]),
        "weight_decay": st.floats(0, 1),
        "precision": st.sampled_from(["float32", "float64"]),
        "data": st.sampled_from(["mnist", "fashion-mnist"]),
    },
)


@given(OPTIONS)
def test_options_lead_to_the_spec_and_back(options: dict[str, object]) -> None:
    spec = make_spec(None, **options)  # type: ignore[arg-type]
    assert make_spec(None, **options_of(spec)) == spec


def test_a_command_trains_the_same_network() -> None:
    spec = make_spec(
        hidden=(100, 50), learning_rate=0.125, momentum=0.9, nesterov=True, evaluate_at=(1, 20), steps=20
    )
    assert command_of(spec) == (
        "digitlab train --hidden 100,50 --learning-rate 0.125 --momentum 0.9 --nesterov --steps 20 --evaluate-at 1,20"
    )
