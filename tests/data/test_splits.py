"""Splits: sizes, proportions, nesting, and a validation split that no run moves."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import UInt8

from digitlab.data import Dataset, load_writers
from digitlab.data.splits import nested_subset, split, whole_writers
from digitlab.errors import SpecError
from digitlab.rng import stream

Labels = UInt8[np.ndarray, "n"]

label_sets = st.lists(st.integers(0, 9), min_size=1, max_size=300).map(
    lambda labels: np.array(labels, np.uint8)
)
seeds = st.integers(0, 2**63 - 1)


@given(labels=label_sets, seed=seeds, data=st.data())
def test_a_subset_has_its_size_and_lies_inside_every_larger_one(
    labels: Labels, seed: int, data: st.DataObject
) -> None:
    small = data.draw(st.integers(1, len(labels)))
    large = data.draw(st.integers(small, len(labels)))
    inner, outer = (nested_subset(labels, size, stream(seed, "subset")) for size in (small, large))
    assert len(inner) == small
    assert (np.diff(inner) > 0).all()  # rising, and none twice
    assert set(inner.tolist()) <= set(outer.tolist())


@given(labels=label_sets, seed=seeds, data=st.data())
def test_class_proportions_are_kept(labels: Labels, seed: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(labels)))
    taken = np.bincount(labels[nested_subset(labels, size, stream(seed, "subset"))], minlength=10)
    share = np.bincount(labels, minlength=10) / len(labels)
    # The threshold in [0, 1) is off by at most C/2 of n examples, and each class rounds by at most a half.
    classes = np.count_nonzero(share)
    assert (np.abs(taken - size * share) <= 0.5 + share * classes / 2 + 1e-9).all()


@given(labels=label_sets, seed=seeds)
def test_the_whole_set_is_its_own_subset(labels: Labels, seed: int) -> None:
    assert nested_subset(labels, len(labels), stream(seed, "subset")).tolist() == list(range(len(labels)))


@given(labels=label_sets.filter(lambda labels: len(labels) > 3), seed=seeds, other=seeds, data=st.data())
def test_validation_is_fixed_and_never_trained_on(
    labels: Labels, seed: int, other: int, data: st.DataObject
) -> None:
    validation_size = data.draw(st.integers(0, len(labels) - 2))
    train_size = data.draw(st.integers(1, len(labels) - validation_size))
    small_split = split(labels, train_size=train_size, validation_size=validation_size, seed=seed)
    whole_split = split(
        labels, train_size=len(labels) - validation_size, validation_size=validation_size, seed=other
    )
    assert len(small_split.train) == train_size
    assert len(small_split.validation) == validation_size
    assert small_split.validation.tolist() == whole_split.validation.tolist()
    assert not set(small_split.train.tolist()) & set(small_split.validation.tolist())
    assert sorted([*whole_split.train.tolist(), *whole_split.validation.tolist()]) == list(range(len(labels)))


def test_on_mnist_every_class_is_there_in_its_share(mnist: Dataset) -> None:
    labels = mnist.train.labels
    parts = split(labels, train_size=1_000, validation_size=10_000, seed=3)
    share = np.bincount(labels) / len(labels)
    assert np.abs(np.bincount(labels[parts.train]) - 1_000 * share).max() <= 1
    assert np.abs(np.bincount(labels[parts.validation]) - 10_000 * share).max() <= 1
    assert (
        np.bincount(labels[split(labels, train_size=10, validation_size=0, seed=5).train]).tolist()
        == [1] * 10
    )


def test_seeds_draw_different_subsets(mnist: Dataset) -> None:
    first, second = (
        split(mnist.train.labels, train_size=1_000, validation_size=0, seed=seed).train for seed in (1, 2)
    )
    assert len(set(first.tolist()) & set(second.tolist())) < 50  # 17 are expected


@pytest.mark.parametrize("size", [0, -1, 6])
def test_a_size_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(SpecError, match=rf"train_size: {size} is not between 1 and the 5 examples there are"):
        nested_subset(np.arange(5, dtype=np.uint8), size, stream(0, "subset"))


# --- whole writers ---

Counts = list[int]

writer_counts = st.lists(st.integers(1, 30), min_size=1, max_size=12)


def writers_of(counts: Counts, seed: int) -> np.ndarray:
    """Writers 10, 11, … of so many images each, in a random order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(10, 10 + len(counts)), counts))


@given(counts=writer_counts, seed=seeds, data=st.data())
def test_whole_writers_make_as_many_images_as_can_be(counts: Counts, seed: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(min(counts), sum(counts)))
    writers = writers_of(counts, seed % 1_000)
    held_out = whole_writers(writers, size, stream(seed, "validation"))
    assert not set(writers[held_out].tolist()) & set(writers[~held_out].tolist())
    # By hand: all sums that some of the writers make.
    sums = {0}
    for count in counts:
        sums |= {total + count for total in sums}
    assert held_out.sum() == max(total for total in sums if total <= size)


@given(count=st.integers(2, 50), seed=seeds)
def test_writers_are_taken_from_the_beginning_of_a_random_order(count: int, seed: int) -> None:
    # Of writers of one image each, those that come first in the order are held out.
    order = stream(seed, "validation").permutation(count)
    held_out = whole_writers(np.arange(count), count // 2, stream(seed, "validation"))
    assert sorted(np.flatnonzero(held_out)) == sorted(order[: count // 2])


def test_a_size_that_no_writer_fits_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        whole_writers(np.array([1, 1, 1, 2, 2]), 1, stream(0, "validation"))
    assert str(caught.value) == "validation_size: 1 is less than any writer wrote; hold out at least 2 images"


def test_of_mnist_whole_writers_are_held_out_the_same_in_every_run(
    with_writers: Path, mnist: Dataset
) -> None:
    writers = load_writers().train_writer
    few, whole = (
        split(mnist.train.labels, train_size=train_size, validation_size=10_000, seed=seed, writers=writers)
        for train_size, seed in ((1_000, 3), (50_000, 4))
    )
    assert few.validation.tolist() == whole.validation.tolist()
    assert len(few.validation) == 10_000  # exactly: some writers make any number from 75 on
    assert len(set(writers[few.validation].tolist())) == 90
    assert not set(writers[few.validation].tolist()) & set(writers[whole.train].tolist())
    assert not set(few.train.tolist()) - set(whole.train.tolist())
    share = np.bincount(mnist.train.labels[whole.train]) / 50_000
    assert np.abs(np.bincount(mnist.train.labels[few.train]) - 1_000 * share).max() <= 1
    for size in (75, 76, 1_000, 59_000):
        assert whole_writers(writers, size, stream(0, "validation/writers")).sum() == size


def test_the_images_held_out_are_those_of_before_there_were_writers(mnist: Dataset) -> None:
    found = split(mnist.train.labels, train_size=1_000, validation_size=10_000, seed=3)
    assert found.validation[:5].tolist() == [2, 3, 10, 17, 30]
