"""Which of a data set's images a run sees, and whether it is the run's data set at all."""

from digitlab.data.arrays import Dataset
from digitlab.data.splits import Split, split
from digitlab.data.writers import load_writers
from digitlab.errors import Fault, SpecError
from digitlab.spec import RunSpec


def run_split(spec: RunSpec, dataset: Dataset) -> Split:
    """Which of the data set's training images a run trains on, and which are held out.

    Raises what `load_writers` raises where whole writers are held out.
    """
    return split(
        dataset.train.labels,
        train_size=spec.train_size,
        validation_size=spec.validation_size,
        seed=spec.seed,
        writers=load_writers(spec.data.name).train_writer if spec.validation == "writers" else None,
    )


def check_data_set(spec: RunSpec, dataset: Dataset) -> None:
    """Raise SpecError when the data set is not the one that the spec names."""
    if dataset.entry.data_spec != spec.data:
        problem = f"is not the data set given ({dataset.entry.name}); load the one it names"
        raise SpecError([Fault("data", spec.data.name, problem)])
