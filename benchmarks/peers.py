"""What digitlab's training engines are compared with: other libraries, each at the same work.

A pass is plain SGD (learning rate 0.01, no momentum) on the softmax cross-entropy of a ReLU network, float32,
once over the examples in a new order. Nothing is evaluated. The data lie in memory, converted beforehand,
except where a peer says otherwise. A further pass trains the same networks on, so one can see them learn.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils.data import DataLoader, Dataset

LEARNING_RATE = 0.01
MEMBERS = 16
PIXELS = 784


@dataclass(frozen=True)
class Work:
    """One pass over `images` in batches, for a network of `hidden` layers.

    The number of images is a multiple of `batch_size`: a shorter last batch would have to be compiled twice.
    """

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, "n"]
    hidden: tuple[int, ...]
    batch_size: int

    def __post_init__(self) -> None:
        if len(self.images) % self.batch_size:
            raise ValueError(f"{len(self.images)} images are not a multiple of batch size {self.batch_size}")

    @property
    def steps(self) -> int:
        """Batches in a pass."""
        return len(self.images) // self.batch_size

    @property
    def sizes(self) -> tuple[int, ...]:
        """The network's layers, from the pixels to the classes."""
        return PIXELS, *self.hidden, int(self.labels.max()) + 1

    def scaled(self) -> Float32[np.ndarray, "n 784"]:
        """The images as rows between 0 and 1."""
        return self.images.reshape(-1, PIXELS).astype(np.float32) / 255


@dataclass(frozen=True)
class Peer:
    """Another way to do the work.

    `prepare` does all that comes before the first step, compilation included. What it returns makes one pass,
    waits for its end and returns the mean loss, of each member where there are several.
    """

    name: str
    needs: tuple[str, ...]  # what is imported beyond torch
    members: int  # networks trained at once
    prepare: Callable[[Work], Callable[[], object]]


def missing(peer: Peer) -> str | None:
    """The first import that a peer needs and that is not installed."""
    return next((name for name in peer.needs if importlib.util.find_spec(name) is None), None)


def network(sizes: tuple[int, ...]) -> nn.Sequential:
    """The network, with PyTorch's default initialisation."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Items(Dataset[tuple[torch.Tensor, int]]):
    """Images one by one, by the steps of torchvision's MNIST with ToTensor: by way of a Pillow image."""

    def __init__(self, work: Work) -> None:
        self.images, self.labels = torch.from_numpy(work.images), torch.from_numpy(work.labels)
        self.from_array: Any = importlib.import_module("PIL.Image").fromarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = self.from_array(self.images[index].numpy())
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(28, 28, 1)
        return pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255), int(self.labels[index])


def data_loader(work: Work) -> Callable[[], object]:
    """What most solutions of the exercise do: item by item, through a DataLoader."""
    model = network(work.sizes)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(Items(work), batch_size=work.batch_size, shuffle=True)

    def one_pass() -> float:
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images.view(-1, PIXELS)), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / work.steps

    return one_pass


def torch_vmap(work: Work) -> Callable[[], object]:
    """PyTorch's own way to train an ensemble: stacked parameters, vmap of the gradient."""
    images, labels = torch.from_numpy(work.scaled()), torch.from_numpy(work.labels.astype(np.int64))
    models = [network(work.sizes) for _ in range(MEMBERS)]
    skeleton = deepcopy(models[0]).to("meta")
    stacked, _ = stack_module_state(list[nn.Module](models))
    parameters = {name: value.detach() for name, value in stacked.items()}

    def loss_of(
        parameters_of_one: dict[str, torch.Tensor], batch: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(skeleton, parameters_of_one, (batch,)), targets)

    step = vmap(grad_and_value(loss_of), in_dims=(0, None, None))

    def one_pass() -> Float32[np.ndarray, "members"]:
        total = torch.zeros(MEMBERS)
        for batch in torch.randperm(len(images)).split(work.batch_size):
            gradients, losses = step(parameters, images[batch], labels[batch])
            for name, gradient in gradients.items():
                parameters[name].sub_(gradient, alpha=LEARNING_RATE)
            total += losses
        return (total / work.steps).numpy()

    return one_pass


def jax_scan(members: int | None) -> Callable[[Work], Callable[[], object]]:
    """JAX: the whole pass is one compiled scan over the batches, vmapped where there are members."""

    def prepare(work: Work) -> Callable[[], object]:
        jax: Any = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        rng = np.random.default_rng()

        def loss_of(layers: Any, batch: Any, targets: Any) -> Any:
            for weights, biases in layers[:-1]:
                batch = jax.nn.relu(batch @ weights + biases)
            weights, biases = layers[-1]
            log_probabilities = jax.nn.log_softmax(batch @ weights + biases)
            return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=1).mean()

        def scan(layers: Any, images: Any, labels: Any, batches: Any) -> Any:
            def step(layers: Any, batch: Any) -> Any:
                loss, gradients = jax.value_and_grad(loss_of)(layers, images[batch], labels[batch])
                return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, layers, gradients), loss

            layers, losses = jax.lax.scan(step, layers, batches)
            return layers, losses.mean()

        def uniform(inputs: int, *shape: int) -> Any:
            bound = inputs**-0.5  # as PyTorch draws a linear layer
            stacked = shape if members is None else (members, *shape)
            return jnp.asarray(rng.uniform(-bound, bound, stacked), jnp.float32)

        def order() -> Any:
            shuffled = rng.permutation(len(work.images)).astype(np.int32)
            return shuffled.reshape(work.steps, work.batch_size)

        layers = [(uniform(n, n, m), uniform(n, m)) for n, m in pairwise(work.sizes)]
        images, labels = jnp.asarray(work.scaled()), jnp.asarray(work.labels, jnp.int32)
        mapped = scan if members is None else jax.vmap(scan, in_axes=(0, None, None, None))
        compiled = jax.jit(mapped).lower(layers, images, labels, order()).compile()

        def one_pass() -> object:
            nonlocal layers
            layers, losses = jax.block_until_ready(compiled(layers, images, labels, order()))
            return np.asarray(losses)

        return one_pass

    return prepare


def scikit_learn(work: Work) -> Callable[[], object]:
    """scikit-learn's MLPClassifier; it draws its weights at the start of the first pass."""
    neural_network: Any = importlib.import_module("sklearn.neural_network")
    unfinished: Any = importlib.import_module("sklearn.exceptions").ConvergenceWarning
    images, labels = work.scaled(), work.labels
    classifier = neural_network.MLPClassifier(
        hidden_layer_sizes=work.hidden,
        solver="sgd",
        alpha=0,
        batch_size=work.batch_size,
        learning_rate="constant",
        learning_rate_init=LEARNING_RATE,
        max_iter=1,
        shuffle=True,
        momentum=0,
        nesterovs_momentum=False,
        warm_start=True,
    )

    def one_pass() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", unfinished)  # one pass is what is asked for
            classifier.fit(images, labels)
        return float(classifier.loss_)

    return one_pass


# What a peer needs beyond torch is imported as it prepares: it is skipped by its name where that is missing.
PEERS: tuple[Peer, ...] = (
    Peer("PyTorch, DataLoader per item", ("PIL",), 1, data_loader),
    Peer(f"torch.func vmap, {MEMBERS}", (), MEMBERS, torch_vmap),
    Peer("JAX, jitted, 1", ("jax", "jaxlib"), 1, jax_scan(None)),
    Peer(f"JAX, vmapped, {MEMBERS}", ("jax", "jaxlib"), MEMBERS, jax_scan(MEMBERS)),
    Peer("scikit-learn MLPClassifier", ("sklearn",), 1, scikit_learn),
)
