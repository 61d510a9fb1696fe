"""The members of a cohort, trained by torch's batched products: on GPUs, and where there is no kernel.

The plain twin of `kernel.c`. Parameters are stacked along a leading member axis; hidden units are rows and
examples columns throughout. Members of one seed share the order of their examples, and so one wide product of
their first layers: the weights of all of them, one below the other, times one batch.

Forward, backward and update are written out (Goodfellow, Bengio & Courville 2016, algorithms 6.3 and 6.4,
section 6.2.2.3): for a batch of B examples as the columns of X, with A₀ = X,

    Z_l = W_l A_{l−1} + b_l,  A_l = max(Z_l, 0),  loss = mean(log Σ exp Z_L − Z_L[label])
    D_L = (softmax(Z_L) − onehot(label)) / B,  D_{l−1} = (W_lᵀ D_l) ⊙ (A_{l−1} > 0)
    ∂W_l = D_l A_{l−1}ᵀ,  ∂b_l = D_l 1
"""

from collections.abc import Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from digitlab.data.arrays import Dataset, LabelledImages
from digitlab.engine.device import Device
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.inputs import run_split
from digitlab.engine.lockstep.backend import EVALUATION_CHUNK, Losses, Part
from digitlab.engine.lockstep.optimisers import Parameter, constants, moment_count, update
from digitlab.engine.sampling import batches
from digitlab.engine.torch_devices import matmul_precision
from digitlab.engine.torch_settings import training_with_torch
from digitlab.models.parameters import Layer
from digitlab.models.parents import first_layers
from digitlab.result import Arithmetic
from digitlab.spec import INPUT_SIZE, RunSpec

_MOVED = 100_000
"""Images that are brought to a GPU at once, 78 MB."""


@dataclass(frozen=True)
class _Wide:
    """Members whose seeds have equally many members each: one batched product serves them all.

    members: their places; seeds: those of their batches; sharing: members a seed
    """

    members: slice
    seeds: slice
    sharing: int


class _Pixels:
    """The pixels of images: on a GPU all of them lie there, on the CPU they stay where they are."""

    def __init__(self, images: LabelledImages, device: torch.device) -> None:
        self._pixels = images.images.reshape(-1, INPUT_SIZE)
        self._there: Tensor | None = None
        if device.type != "cpu":
            self._there = torch.empty(self._pixels.shape, dtype=torch.uint8, device=device)
            for first in range(0, len(self._pixels), _MOVED):
                piece = np.array(self._pixels[first : first + _MOVED])
                self._there[first : first + _MOVED] = torch.from_numpy(piece)

    def at(self, positions: Int64[Tensor, "seed batch"]) -> UInt8[Tensor, "seed batch 784"]:
        """Those of the images at these positions."""
        if self._there is None:
            return torch.from_numpy(self._pixels[positions.numpy()])
        return self._there[positions]


class StackedMembers:
    """Members that train side by side in torch, members of one seed next to each other; see `Members`."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        dataset: Dataset,
        device: torch.device,
        layers: Sequence[tuple[Layer, ...]] | None = None,
    ) -> None:
        self._specs, self._device, self._dtype = list(specs), device, getattr(torch, specs[0].precision)
        if layers is None:
            layers = [first_layers(spec) for spec in specs]
        moments = moment_count(specs)

        def parameter(arrays: Sequence[np.ndarray]) -> Parameter:
            value = torch.from_numpy(np.stack(arrays)).to(device)
            return Parameter(value, [torch.zeros_like(value) for _ in range(moments)])

        # Weights [member, units, inputs] and biases [member, units, 1], layer by layer.
        self._weights = [parameter([layer.weight for layer in same]) for same in zip(*layers, strict=True)]
        self._biases = [
            parameter([layer.bias[:, None] for layer in same]) for same in zip(*layers, strict=True)
        ]
        self._scale = dataset.scale(specs[0].scaling)
        self._images = {
            part: _Pixels(images, device)
            for part, images in (("train", dataset.train), ("test", dataset.test))
        }
        self._labels = {
            part: torch.from_numpy(images.labels.astype(np.int64)).to(device)
            for part, images in (("train", dataset.train), ("test", dataset.test))
        }
        self._splits = {spec.seed: run_split(spec, dataset) for spec in specs}
        self._orders = {spec.seed: batches(spec) for spec in specs}
        self._arrange()

    def _arrange(self) -> None:
        """What follows from which members are left."""
        sharing = [len(list(same)) for _, same in groupby(self._specs, key=lambda spec: spec.seed)]
        self._seeds = [seed for seed, _ in groupby(spec.seed for spec in self._specs)]
        self._wide, member, seed = [], 0, 0
        for share, equal in groupby(sharing):
            count = len(list(equal))
            self._wide.append(_Wide(slice(member, member + share * count), slice(seed, seed + count), share))
            member, seed = member + share * count, seed + count

    # ---- Products ----

    def _first_layer(self, x: Float[Tensor, "seed 784 batch"]) -> Float[Tensor, "member units batch"]:
        weight = self._weights[0].value
        units = weight.shape[1]
        z = [
            torch.bmm(
                weight[wide.members].reshape(-1, wide.sharing * units, INPUT_SIZE), x[wide.seeds]
            ).reshape(-1, units, x.shape[2])  # [member, units, batch]
            for wide in self._wide
        ]
        return torch.cat(z) if len(z) > 1 else z[0]

    def _first_gradient(
        self, delta: Float[Tensor, "member units batch"], x: Float[Tensor, "seed 784 batch"]
    ) -> Float[Tensor, "member units 784"]:
        units = delta.shape[1]
        gradients = [
            torch.bmm(
                delta[wide.members].reshape(-1, wide.sharing * units, x.shape[2]),
                x[wide.seeds].transpose(1, 2),
            ).reshape(-1, units, INPUT_SIZE)
            for wide in self._wide
        ]
        return torch.cat(gradients) if len(gradients) > 1 else gradients[0]

    def _forward(self, x: Float[Tensor, "seed 784 batch"]) -> list[Float[Tensor, "member units batch"]]:
        """The activations of each layer; the last are logits."""
        activations = [self._first_layer(x).add_(self._biases[0].value)]
        for weight, bias in zip(self._weights[1:], self._biases[1:], strict=True):
            activations[-1].clamp_min_(0)
            activations.append(torch.baddbmm(bias.value, weight.value, activations[-1]))
        return activations

    def _inputs(self, part: str, positions: Int64[Tensor, "seed batch"]) -> Float[Tensor, "seed 784 batch"]:
        pixels: UInt8[Tensor, "seed batch 784"] = self._images[part].at(positions)
        inputs = pixels.to(self._dtype).sub_(self._scale.offset).div_(self._scale.divisor)
        return inputs.transpose(1, 2)

    def _labels_of(
        self, part: str, positions: Int64[Tensor, "seed batch"]
    ) -> Int64[Tensor, "member 1 batch"]:
        """The labels of each member's examples: those of its seed's."""
        labels = self._labels[part][positions]
        place = {seed: i for i, seed in enumerate(self._seeds)}
        if len(positions) > 1:
            labels = labels[[place[spec.seed] for spec in self._specs]]
        return labels.expand(len(self._specs), -1)[:, None]

    # ---- Steps ----

    def train(self, steps: range) -> list[Losses]:
        """See `Members`."""
        blocks = {seed: list(islice(order, len(steps))) for seed, order in self._orders.items()}
        losses = []
        for i, step in enumerate(steps):
            positions = np.stack([self._splits[seed].train[blocks[seed][i]] for seed in self._seeds])
            loss, right = self._step(torch.from_numpy(positions).to(self._device), step)
            losses.append(loss)
            if len(self._specs) == 1 and not loss.isfinite().item():
                break
        found = torch.stack(losses).T.cpu().double().tolist()  # [member, step]
        return [Losses(*both) for both in zip(found, right.cpu().double().tolist(), strict=True)]

    def _step(
        self, positions: Int64[Tensor, "seed batch"], step: int
    ) -> tuple[Float[Tensor, "member"], Float[Tensor, "member"]]:
        """One step of all members: each one's loss and accuracy on its batch, before the update.

        A member that is alone and whose loss is not finite is not updated.
        """
        x, labels = self._inputs("train", positions), self._labels_of("train", positions)
        activations = self._forward(x)
        logits = activations.pop()  # [member, classes, batch]
        log_probabilities = logits.log_softmax(1)
        loss = -log_probabilities.gather(1, labels).mean((1, 2))
        right = (logits.argmax(1, keepdim=True) == labels).to(self._dtype).mean((1, 2))
        if len(self._specs) == 1 and not loss.isfinite().item():
            return loss, right
        delta = log_probabilities.exp()
        delta.scatter_add_(1, labels, delta.new_full((1, 1, 1), -1).expand_as(labels)).div_(labels.shape[2])
        by = constants(self._specs, step).to(self._dtype).to(self._device)
        for layer in reversed(range(len(self._weights))):
            weight = self._weights[layer]
            slope = delta.sum(2, keepdim=True)
            if layer:
                before = activations.pop()
                gradient = torch.bmm(delta, before.transpose(1, 2))
                delta = torch.ops.aten.threshold_backward(
                    torch.bmm(weight.value.transpose(1, 2), delta), before, 0
                )
            else:
                gradient = self._first_gradient(delta, x)
            update(weight, gradient, by)
            update(self._biases[layer], slope, by)
        return loss, right

    # ---- What comes of it ----

    def evaluate(self, part: Part) -> list[Evaluation]:
        """See `Members`."""
        source = "test" if part == "test" else "train"
        if part == "test":
            chosen = np.arange(len(self._labels["test"]))[None]
        elif part == "validation":
            chosen = next(iter(self._splits.values())).validation[None]
        else:
            chosen = np.stack([self._splits[seed].train for seed in self._seeds])
        positions = torch.from_numpy(chosen).to(self._device)  # [seed or 1, n]
        members, n = len(self._specs), positions.shape[1]
        loss_sum = torch.zeros(members, dtype=torch.float64)
        peaks = torch.zeros(members, len(self._weights) - 1)
        predictions, right = [], torch.zeros(members, dtype=torch.float64)
        for chunk in positions.split(EVALUATION_CHUNK, dim=1):
            x = self._inputs(source, chunk)
            activations = self._forward(x.expand(len(self._seeds), -1, -1))
            labels = self._labels_of(source, chunk)
            logits = activations.pop()
            loss_sum += -logits.log_softmax(1).gather(1, labels).squeeze(1).cpu().double().sum(1)
            predicted = logits.argmax(1)  # [member, chunk]
            right += (predicted == labels.squeeze(1)).sum(1).cpu()
            predictions.append(predicted.to("cpu", torch.uint8))
            for layer, activation in enumerate(activations):
                peaks[:, layer] = torch.maximum(peaks[:, layer], activation.amax((1, 2)).cpu().float())
        classes = torch.cat(predictions, 1).numpy()
        return [
            Evaluation(
                loss=loss_sum[i].item() / n,
                accuracy=right[i].item() / n,
                predictions=classes[i],
                has_dead_layer=bool((peaks[i] == 0).any()),
            )
            for i in range(members)
        ]

    def layers(self, member: int) -> tuple[Layer, ...]:
        """See `Members`."""
        return tuple(
            Layer(weight.value[member].cpu().numpy().copy(), bias.value[member, :, 0].cpu().numpy().copy())
            for weight, bias in zip(self._weights, self._biases, strict=True)
        )

    def keep(self, members: Sequence[int]) -> None:
        """See `Members`."""
        self._specs = [self._specs[i] for i in members]
        index = torch.tensor(list(members), device=self._device, dtype=torch.int64)
        for parameter in (*self._weights, *self._biases):
            parameter.keep(index)
        left = {spec.seed for spec in self._specs}
        self._orders = {seed: order for seed, order in self._orders.items() if seed in left}
        if members:
            self._arrange()


class TorchBackend:
    """Torch on one device; see `Backend`."""

    arithmetic: Arithmetic = "torch"
    threads = 1
    compiler: str | None = None

    def __init__(self, device: Device) -> None:
        self._device = torch.device(device.name)

    @property
    def matmul_precision(self) -> str:
        """See `Backend`."""
        return matmul_precision(self._device.type)

    def settings(self) -> AbstractContextManager[None]:
        """See `Backend`."""
        return training_with_torch(self._device, one_thread=True)

    def together(self, specs: Sequence[RunSpec]) -> list[list[int]]:
        """See `Backend`: on the CPU each alone, for torch's products of other shapes give other bits."""
        if self._device.type == "cpu":
            return [[i] for i in range(len(specs))]
        return [sorted(range(len(specs)), key=lambda i: specs[i].seed)]

    def members(
        self,
        specs: Sequence[RunSpec],
        dataset: Dataset,
        cancelled: Container[str],  # noqa: ARG002
        layers: Sequence[tuple[Layer, ...]] | None = None,
    ) -> StackedMembers:
        """See `Backend`. All train as one, so none is skipped."""
        return StackedMembers(specs, dataset, self._device, layers)
