"""What networks get wrong: one network's mistakes, and the images that all networks of several seeds miss."""

from collections.abc import Collection
from dataclasses import dataclass

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import accuracy_intervals
from digitlab.data import Dataset
from digitlab.engine.confusion import Confusion, own_dataset
from digitlab.lab import inspection_on_test_images
from digitlab.models.inspection import MOST_DIGITS, Inspection
from digitlab.models.missed import Missed, missed_by_all
from digitlab.models.trained import TrainedNetwork
from digitlab.spec import RunSpec
from digitlab.store import Filter, Store

LEAST_NETWORKS = 5
"""What fewer networks get wrong together says little of the images."""


@dataclass(frozen=True)
class Mistakes:
    """What a network gets wrong, and what all networks like it do.

    accuracies: on all test images, then on those of each class, with intervals over images, [1 + class]
    missed: None where fewer than LEAST_NETWORKS of them are known
    """

    network: Inspection
    confusion: Confusion
    accuracies: tuple[Estimate, ...]
    missed: Missed | None


def mistakes_of(network: TrainedNetwork, store: Store | None, most_digits: int = MOST_DIGITS) -> Mistakes:
    """Look at what a network gets wrong among its test images.

    store:       where runs of other seeds may be known
    most_digits: so many images are shown of each kind
    Raises DataError when its data set is not what it was, WeightsError when it has no probabilities,
    StoreError when the store cannot be read.
    """
    dataset, missed = own_dataset(network), None
    if store is not None:
        keys = keys_of_other_seeds(network.spec, store)
        missed = missed_by(keys, network.spec, dataset, store, most_digits)
    found = inspection_on_test_images(network, dataset, most_digits)
    return Mistakes(
        found,
        Confusion(dataset.entry.name, found.class_names, found.confusion),
        tuple(accuracy_intervals(found.confusion)),
        missed,
    )


def keys_of_other_seeds(spec: RunSpec, store: Store) -> list[str]:
    """Keys of the completed runs that differ from a run in their seed alone, the run itself among them."""
    alike = Filter(spec.data.name, spec.network_name, "completed", spec.batch_size)
    found = store.get(store.keys(alike))
    return [key for key, run in found.items() if run.spec.model_copy(update={"seed": spec.seed}) == spec]


def missed_by(
    keys: Collection[str], spec: RunSpec, dataset: Dataset, store: Store, most_digits: int = MOST_DIGITS
) -> Missed | None:
    """The test images that all networks of these keys get wrong; None where too few of them are known.

    spec: of one of them
    """
    count = len(dataset.test)
    known = [found for found in store.predictions(keys).values() if len(found) == count]
    if len(known) < LEAST_NETWORKS:
        return None
    return missed_by_all(
        title=spec.network_name,
        class_names=dataset.entry.class_names,
        predictions=known,
        labels=dataset.test.labels,
        images=dataset.test.images,
        most_digits=most_digits,
    )
