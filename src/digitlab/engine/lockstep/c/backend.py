"""The members of a cohort, trained by the compiled kernel: one after the other, a block of steps each.

A block of batches is packed once for all members that share their order of examples; then each member takes
all the block's steps while its weights lie in the processor's cache. Nothing that a member computes with
depends on the others, so its bits cannot. The threads of a team share the results of each phase of a step,
never a sum, so neither can bits depend on their number.
"""

import ctypes
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Int64

from digitlab.data.arrays import Dataset, LabelledImages
from digitlab.engine.device import free_cores
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.inputs import run_split
from digitlab.engine.lockstep.backend import (
    EVALUATION_CHUNK,
    MOST_LIST_BYTES,
    MOST_THREADS,
    Losses,
    Part,
    block_steps,
)
from digitlab.engine.sampling import batches
from digitlab.engine.schedules import learning_rate
from digitlab.models.parameters import Layer
from digitlab.models.parents import first_layers
from digitlab.result import Arithmetic
from digitlab.spec import INPUT_SIZE, SGD, Adam, Optimiser, Precision, RunSpec

_WORK_A_THREAD = 10_000_000
"""Multiplications of a step, zeros included, that a thread must have: some 0.2 ms, for a few meetings of the
threads. A meeting takes well below a microsecond where each thread has a core, and much longer where not."""
_ALIGNMENT_BYTES = 64
_MAX_LAYERS = 65
_ROOM = 1 << 21
"""Pixels for whose lists memory is taken at once: those of some 14,000 images of MNIST, 8 MB."""


def gainful_threads(spec: RunSpec) -> int:
    """How many threads train one network fastest on the cores that are free now."""
    most = spec.batch_size * spec.parameter_count // _WORK_A_THREAD
    return min(most, free_cores(), MOST_THREADS) if most > 1 else 1


class Team:
    """Threads of the kernel that do the work of a step together; the one that calls is among them.

    size: how many there are: fewer than asked for where the system gives no more
    """

    def __init__(self, library: ctypes.CDLL, threads: int = 1) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._end = _typed(library.end_team, None, [pointer])
        # None where it has no memory either.
        self.handle = _typed(library.make_team, pointer, [number])(threads) if threads > 1 else None
        self.size = _typed(library.team_size, number, [pointer])(self.handle) if self.handle else 1

    def end(self) -> None:
        """End the threads; the one that calls goes on alone."""
        if self.handle:
            self._end(self.handle)
            self.handle = None


class _Network(ctypes.Structure):
    """`network` of kernel.c."""

    _fields_ = (
        ("layers", ctypes.c_int64),
        ("sizes", ctypes.c_int64 * (_MAX_LAYERS + 1)),
        ("parameters", ctypes.c_void_p),
        ("first_moment", ctypes.c_void_p),
        ("second_moment", ctypes.c_void_p),
        ("optimiser", ctypes.c_int64),
        ("weight_decay", ctypes.c_double),
        ("beta1", ctypes.c_double),
        ("beta2", ctypes.c_double),
        ("epsilon", ctypes.c_double),
        ("scratch", ctypes.c_void_p),
    )


class _ImageLists(ctypes.Structure):
    """`image_lists` of kernel.c."""

    _fields_ = (
        ("list", ctypes.c_void_p),
        ("count", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
        ("end", ctypes.c_void_p),
    )


class _Batches(ctypes.Structure):
    """`batches` of kernel.c."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        ("example_start", ctypes.c_void_p),
        ("pixel", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("pixel_start", ctypes.c_void_p),
        ("example", ctypes.c_void_p),
        ("pixel_value", ctypes.c_void_p),
        ("label", ctypes.c_void_p),
        ("black", ctypes.c_double),
    )


class _Kernel:
    """The functions of kernel.c, with their types.

    Arrays are given as arrays: TypeError is raised when one has another type than the kernel reads, or gaps.
    How long they are is for the callers to check.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        number, real = ctypes.c_int64, ctypes.c_double
        doubles, integers, bytes_ = _ArrayOf("float64"), _ArrayOf("int64"), _ArrayOf("uint8")
        network, packed = ctypes.POINTER(_Network), ctypes.POINTER(_Batches)
        team = ctypes.c_void_p
        self.lanes = _typed(library.lanes, number, [])
        self.scratch_numbers = _typed(library.scratch_numbers, number, [network, number])
        lists = ctypes.POINTER(_ImageLists)
        self.list_images = _typed(library.list_images, number, [lists, bytes_, integers, number])
        self.pack = _typed(library.pack, None, [team, lists, integers, number, packed])
        self.pack_pixels = _typed(library.pack_pixels, None, [team, integers, number, packed])
        self.train = _typed(
            library.train,
            number,
            [team, network, packed, integers, number, number, doubles, doubles, integers],
        )
        self.evaluate = _typed(library.evaluate, real, [team, network, packed, number, bytes_, doubles])


def _typed(function: Callable[..., Any], result: type | None, arguments: Sequence[Any]) -> Callable[..., Any]:
    arrays = [(place, kind) for place, kind in enumerate(arguments) if isinstance(kind, _ArrayOf)]
    function.restype = result  # type: ignore[attr-defined]
    function.argtypes = [  # type: ignore[attr-defined]
        ctypes.c_void_p if isinstance(kind, _ArrayOf) else kind for kind in arguments
    ]
    if not arrays:
        return function

    def call(*arguments: Any) -> Any:
        # Not in a `from_param` of our own: ctypes makes an ArgumentError of a Ctrl-C that comes within.
        given = list(arguments)
        for place, kind in arrays:
            given[place] = kind.address(given[place])
        return function(*given)

    return call


class _ArrayOf:
    """Type of an argument: an array of these numbers, without gaps.

    As `numpy.ctypeslib.ndpointer`, which takes several times as long: a few percent of all the time
    that a small network trains.
    """

    def __init__(self, dtype: str) -> None:
        self._dtype = np.dtype(dtype)

    def address(self, array: np.ndarray) -> int:
        """Where the numbers lie; raises TypeError."""
        if array.dtype != self._dtype:
            raise TypeError(f"an array of {array.dtype}, not of {self._dtype}")
        if not array.flags.c_contiguous:
            raise TypeError("an array with gaps")
        return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


class _Images:
    """Images as lists of what is not black, made of each image when it is first used.

    To read an image of 784 bytes takes longer than many networks take to learn from it: it is done once,
    while the lists take no more than MOST_LIST_BYTES. Then they are all forgotten, and made anew as they are
    needed: of a data set of millions an epoch needs each but once anyway.
    """

    def __init__(self, kernel: _Kernel, images: LabelledImages) -> None:
        self._kernel, self._images, self._rooms = kernel, images, list[np.ndarray]()
        self.labels = images.labels
        if images.images.size != len(images) * INPUT_SIZE:
            raise ValueError(f"images of shape {images.images.shape} for {len(images):,} labels")
        self._list, self._count = np.zeros(len(images), np.uintp), np.zeros(len(images), np.int32)
        self.lists = _ImageLists(self._list.ctypes.data, self._count.ctypes.data, None, None)

    def __len__(self) -> int:
        return len(self.labels)

    def make(self, positions: Int64[np.ndarray, "n"]) -> None:
        """Make the lists of the images at these positions, where they are not made yet.

        Until the next call all of them are there.
        Raises ValueError when one is a position of no image.
        """
        if not 0 <= positions.min() <= positions.max() < len(self):
            raise ValueError(f"positions {positions.min()} to {positions.max()} of {len(self):,} images")
        list_images = partial(self._kernel.list_images, self.lists, self._images.images)
        left, has_forgotten = positions, False
        while (made := list_images(left, len(left))) < len(left):
            left = left[made:]
            is_full = (len(self._rooms) + 1) * 4 * _ROOM > MOST_LIST_BYTES
            if is_full and not has_forgotten:
                self._list[:] = 0
                self._rooms.clear()
                left, has_forgotten = positions, True  # what these positions need may take more
            room = np.empty(_ROOM, np.uint32)  # touched only as far as it is used
            self._rooms.append(room)
            self.lists.free, self.lists.end = room.ctypes.data, room.ctypes.data + room.nbytes


class _Packed:
    """Lists of what is not black, of at most `capacity` examples in at most `batch_capacity` batches.

    largest: examples of a batch, at most
    classes: labels are 0 … classes − 1
    """

    def __init__(
        self,
        kernel: _Kernel,
        table: np.ndarray,
        team: Team,
        *,
        capacity: int,
        batch_capacity: int,
        largest: int,
        classes: int,
    ) -> None:
        self._kernel, self._team = kernel, team
        self._largest, self._classes, self._count = largest, classes, 0
        # np.empty: only what the images fill is ever touched, a fifth of it for MNIST.
        pixels = capacity * INPUT_SIZE
        self._table, self._label = table - table[0], np.empty(capacity, np.uint8)
        self._lists: dict[str, np.ndarray] = {
            "example_start": np.empty(capacity + 1, np.int64),
            "pixel": np.empty(pixels, np.int32),
            "value": np.empty(pixels, table.dtype),
            "pixel_start": np.empty((batch_capacity, INPUT_SIZE + 1), np.int64),
            "example": np.empty(pixels, np.int32),
            "pixel_value": np.empty(pixels, table.dtype),
            "label": self._label,
        }
        addresses = {name: array.ctypes.data for name, array in self._lists.items()}
        self.batches = _Batches(table=self._table.ctypes.data, black=float(table[0]), **addresses)

    def fill(self, images: _Images, positions: Int64[np.ndarray, "n"]) -> None:
        """Pack the images at these positions, by example.

        Raises ValueError when they do not fit, are positions of no image, or have labels of no class.
        """
        count, capacity = len(positions), len(self._label)
        if count > capacity:
            raise ValueError(f"{count:,} examples at once do not fit lists for {capacity:,}")
        positions = np.ascontiguousarray(positions, np.int64)
        images.make(positions)
        labels = images.labels[positions]
        if labels.max() >= self._classes:
            raise ValueError(f"label {labels.max()} of {self._classes} classes")
        self._kernel.pack(self._team.handle, images.lists, positions, count, self.batches)
        self._label[:count], self._count = labels, count

    def fill_pixels(self, batch_start: Int64[np.ndarray, "batches+1"]) -> None:
        """Pack what `fill` packed by pixel too, batch by batch.

        Raises ValueError when there are more batches, or larger ones, than there is room for.
        """
        count, capacity = len(batch_start) - 1, len(self._lists["pixel_start"])
        sizes = np.diff(batch_start)
        if count > capacity:
            raise ValueError(f"{count:,} batches at once do not fit lists for {capacity:,}")
        if not 0 < sizes.min() <= sizes.max() <= self._largest:
            raise ValueError(f"batches of {sizes.min()} to {sizes.max()} examples, not 1 to {self._largest}")
        if batch_start[0] != 0 or batch_start[-1] != self._count:
            raise ValueError(f"batches of examples {batch_start[0]} to {batch_start[-1]} of {self._count}")
        self._kernel.pack_pixels(self._team.handle, batch_start, count, self.batches)


class _Member:
    """One network: its parameters and moments in the kernel's layout.

    layers: its parameters; None: those that its run starts from
    """

    def __init__(self, spec: RunSpec, lanes: int, layers: tuple[Layer, ...] | None = None) -> None:
        self.spec, self.key = spec, spec.key
        self.sizes = spec.layer_sizes
        self._widths = [-(-units // lanes) * lanes for units in self.sizes[1:]]
        count = sum((inputs + 1) * width for inputs, width in zip(self.sizes, self._widths, strict=False))
        moments = _moment_count(spec.optimiser)
        self._arrays = [aligned(count, spec.precision) for _ in range(1 + moments)]
        layers = first_layers(spec) if layers is None else layers
        for weights, layer in zip(self._views(), layers, strict=True):
            weights[:-1, : len(layer.bias)] = layer.weight.T
            weights[-1, : len(layer.bias)] = layer.bias
        pointers = [array.ctypes.data for array in self._arrays] + [None] * (2 - moments)
        chosen = spec.optimiser
        sizes = (ctypes.c_int64 * (_MAX_LAYERS + 1))(*self.sizes)
        self.network = _Network(
            len(self._widths), sizes, *pointers, _kind(chosen), chosen.weight_decay, *_constants(chosen), None
        )

    def _views(self) -> list[np.ndarray]:
        """Of each layer the weights, and below them the biases, [inputs + 1, width]."""
        views, at = [], 0
        for inputs, width in zip(self.sizes, self._widths, strict=False):
            end = at + (inputs + 1) * width
            views.append(self._arrays[0][at:end].reshape(inputs + 1, width))
            at = end
        return views

    def layers(self) -> tuple[Layer, ...]:
        return tuple(
            Layer(np.ascontiguousarray(view[:-1, :units].T), view[-1, :units].copy())
            for view, units in zip(self._views(), self.sizes[1:], strict=True)
        )


def aligned(count: int, precision: Precision) -> np.ndarray:
    """Zeros that begin where the kernel's vectors may, [count]."""
    size = np.dtype(precision).itemsize
    room = np.zeros(count + _ALIGNMENT_BYTES // size, precision)
    first = -room.ctypes.data % _ALIGNMENT_BYTES // size
    return room[first : first + count]


def _kind(optimiser: Optimiser) -> int:
    """The optimiser's number in kernel.c."""
    if isinstance(optimiser, SGD):
        return 0 if optimiser.momentum == 0 else 2 if optimiser.nesterov else 1
    return 3 if isinstance(optimiser, Adam) else 4


def _moment_count(optimiser: Optimiser) -> int:
    return (0, 1, 1, 2, 2)[_kind(optimiser)]


def _constants(optimiser: Optimiser) -> tuple[float, float, float]:
    """Two decays and an epsilon; momentum takes the place of the first."""
    if isinstance(optimiser, SGD):
        return optimiser.momentum, 0.0, 0.0
    return optimiser.beta1, optimiser.beta2, optimiser.epsilon


class CompiledMembers:
    """Members that train one after the other in the compiled kernel; see `Members`.

    team:   trains each of them together
    layers: see `Backend.members`
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        dataset: Dataset,
        library: ctypes.CDLL,
        team: Team,
        cancelled: Container[str] = frozenset(),
        layers: Sequence[tuple[Layer, ...]] | None = None,
    ) -> None:
        self._kernel = _Kernel(library)
        self._dataset, self._team, self._cancelled = dataset, team, cancelled
        self._images = _Images(self._kernel, dataset.train)
        spec = specs[0]  # what follows is the same for all
        table = dataset.scale(spec.scaling).table(spec.precision)
        given = [None] * len(specs) if layers is None else layers
        lanes = self._kernel.lanes()
        self._members = [_Member(spec, lanes, own) for spec, own in zip(specs, given, strict=True)]
        self._splits = {spec.seed: run_split(spec, dataset) for spec in specs}
        # Members of one seed share the order of their examples.
        self._orders = {spec.seed: batches(spec) for spec in specs}
        block = block_steps(spec)
        examples = max(min(block, spec.step_count) * spec.batch_size, EVALUATION_CHUNK)
        largest = max(spec.batch_size, EVALUATION_CHUNK)
        self._packed = _Packed(
            self._kernel,
            table,
            team,
            capacity=examples,
            batch_capacity=block,
            largest=largest,
            classes=spec.data.classes,
        )
        numbers = max(self._kernel.scratch_numbers(member.network, largest) for member in self._members)
        self._scratch = aligned(numbers, spec.precision)
        for member in self._members:
            member.network.scratch = self._scratch.ctypes.data

    def train(self, steps: range) -> list[Losses]:
        """See `Members`."""
        found: dict[int, Losses] = {}
        for seed, order in self._orders.items():
            members = [i for i, member in enumerate(self._members) if member.spec.seed == seed]
            block = list(islice(order, len(steps)))
            if len(block) < len(steps):
                raise ValueError(f"{len(steps)} steps asked for, and the run has {len(block)} left")
            start = np.cumsum([0, *map(len, block)], dtype=np.int64)
            if members:
                self._packed.fill(self._images, self._splits[seed].train[np.concatenate(block)])
                self._packed.fill_pixels(start)
            for i in members:
                member = self._members[i]
                skipped = member.key in self._cancelled
                found[i] = Losses([], 0.0) if skipped else self._train(member, steps, start)
        return [found[i] for i in range(len(self._members))]

    def _train(self, member: _Member, steps: range, batch_start: Int64[np.ndarray, "batches+1"]) -> Losses:
        rates = np.array([learning_rate(member.spec, step) for step in steps])
        losses, right = np.empty(len(steps)), np.empty(len(steps), np.int64)
        made = self._kernel.train(
            self._team.handle,
            member.network,
            self._packed.batches,
            batch_start,
            len(steps),
            steps.start,
            rates,
            losses,
            right,
        )
        accuracy = right[made - 1] / (batch_start[made] - batch_start[made - 1])
        return Losses(losses[:made].tolist(), float(accuracy))

    def evaluate(self, part: Part) -> list[Evaluation]:
        """See `Members`."""
        if part == "train":
            found: dict[int, Evaluation] = {}
            for seed, parts in self._splits.items():
                members = [i for i, member in enumerate(self._members) if member.spec.seed == seed]
                if members:
                    evaluations = self._evaluate(members, self._images, parts.train)
                    found |= zip(members, evaluations, strict=True)
            return [found[i] for i in range(len(self._members))]
        everyone = list(range(len(self._members)))
        if part == "test":
            test = _Images(self._kernel, self._dataset.test)
            return self._evaluate(everyone, test, np.arange(len(test)))
        parts = next(iter(self._splits.values()))  # the same in every run
        return self._evaluate(everyone, self._images, parts.validation)

    def _evaluate(
        self, members: Sequence[int], images: _Images, positions: Int64[np.ndarray, "n"]
    ) -> list[Evaluation]:
        hidden_layers = len(self._members[0].sizes) - 2
        losses = np.zeros(len(members))
        peaks = np.zeros((len(members), max(hidden_layers, 1)))
        predicted = np.empty((len(members), len(positions)), np.uint8)
        for first in range(0, len(positions), EVALUATION_CHUNK):
            chunk = positions[first : first + EVALUATION_CHUNK]
            self._packed.fill(images, chunk)
            for k, i in enumerate(members):
                if self._members[i].key in self._cancelled:
                    continue
                losses[k] += self._kernel.evaluate(
                    self._team.handle,
                    self._members[i].network,
                    self._packed.batches,
                    len(chunk),
                    predicted[k, first:],
                    peaks[k],
                )
        labels = images.labels[positions]
        return [
            Evaluation(
                loss=float(losses[k] / len(positions)),
                accuracy=float(np.mean(predicted[k] == labels)),
                predictions=predicted[k],
                has_dead_layer=bool((peaks[k, :hidden_layers] == 0).any()),
            )
            for k in range(len(members))
        ]

    def layers(self, member: int) -> tuple[Layer, ...]:
        """See `Members`."""
        return self._members[member].layers()

    def keep(self, members: Sequence[int]) -> None:
        """See `Members`."""
        self._members = [self._members[i] for i in members]
        left = {member.spec.seed for member in self._members}
        self._orders = {seed: order for seed, order in self._orders.items() if seed in left}


class CompiledBackend:
    """The compiled kernel, and which compiler built it; see `Backend`.

    threads: that train each network together
    """

    arithmetic: Arithmetic = "compiled kernel"
    matmul_precision: str | None = None

    def __init__(self, library: ctypes.CDLL, compiler: str | None, threads: int) -> None:
        self.compiler = compiler
        self._library, self._wanted, self._team = library, threads, Team(library)

    @property
    def threads(self) -> int:
        """See `Backend`."""
        return self._team.size

    @contextmanager
    def settings(self) -> Iterator[None]:
        """See `Backend`: the threads are there as long."""
        self._team = Team(self._library, self._wanted)
        try:
            yield
        finally:
            self._team.end()

    def together(self, specs: Sequence[RunSpec]) -> list[list[int]]:
        """See `Backend`: all, for they share what is made of their examples."""
        return [list(range(len(specs)))]

    def members(
        self,
        specs: Sequence[RunSpec],
        dataset: Dataset,
        cancelled: Container[str],
        layers: Sequence[tuple[Layer, ...]] | None = None,
    ) -> CompiledMembers:
        """See `Backend`."""
        return CompiledMembers(specs, dataset, self._library, self._team, cancelled, layers)
