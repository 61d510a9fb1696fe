"""Networks to export, that nobody had to train: as they start, which gives every class some probability."""

from digitlab import lab
from digitlab.data import Dataset
from digitlab.data.arrays import input_scale
from digitlab.exports.facts import Facts
from digitlab.models.parameters import initial_layers
from digitlab.models.trained import TrainedNetwork


def network(mnist: Dataset, **options: object) -> TrainedNetwork:
    """A network with the parameters that its run starts from."""
    spec = lab.make_spec(**options)  # type: ignore[arg-type]
    layers = initial_layers(spec.layer_sizes, spec.initialisation, spec.seed, spec.precision)
    return TrainedNetwork(spec, input_scale(spec.scaling, mnist.train.images), layers)


def facts(mnist: Dataset, **options: object) -> Facts:
    """What is exported of it; its accuracy is made up."""
    return Facts(network(mnist, **options), mnist, 0.125)
