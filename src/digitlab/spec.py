"""RunSpec: everything that decides one network's outcome, and the key that names it.

A RunSpec holds nothing that only affects speed (devices, workers, cohorts): two computations of equal
RunSpecs give equal results. The defaults are the exercise's recipe.

What a field is for is said in its description and nowhere else: the options of Python and of the command
line, their help and the table in docs/runspec.md are made of these models (`option_fields`).
"""

import hashlib
import json
import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from digitlab.validation import (
    Document,
    Fraction,
    NonNegative,
    Part,
    PlainInt,
    Positive,
    in_form,
    kind_or,
    refuse,
)

NUMERICS_VERSION = 1
"""Part of every key. Raised when a change of code changes what a RunSpec computes."""

INPUT_SIZE = 28 * 28
_KNOWN_SIZES = frozenset({"data", "validation_size"})
"""While these are without fault it is known how many images there are to train on."""

EVALUATION_LIMIT = 100_000
PARAMETER_LIMIT = 200_000_000

Scaling = Literal["unit", "standard", "symmetric"]
Validation = Literal["images", "writers"]
Initialisation = Literal["torch", "he", "glorot"]
LastBatch = Literal["keep", "drop"]
Precision = Literal["float32", "float64"]

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,63}"
"""Names of data sets: they are names of folders too."""
NAME_IN_WORDS = "up to 64 of a-z, 0-9 and -, no - first"
Name = Annotated[str, in_form(NAME_PATTERN, NAME_IN_WORDS)]
Digest = Annotated[str, in_form(r"[0-9a-f]{64}", "64 of 0-9 and a-f, the SHA-256 in hexadecimal digits")]

Count = Annotated[PlainInt, Field(ge=1)]
Width = Annotated[PlainInt, Field(ge=1, le=65_536)]

# Fields that several optimisers share.
LearningRate = Annotated[Positive, Field(description="Learning rate, the schedule's peak.")]
WeightDecay = Annotated[NonNegative, Field(description="Weight decay, of weights and biases.")]
Beta1 = Annotated[Fraction, Field(description="Decay rate of the first moment.")]
Beta2 = Annotated[Fraction, Field(description="Decay rate of the second moment.")]
Epsilon = Annotated[Positive, Field(description="Term added to the denominator.")]


def _option(group: str, description: str) -> Any:
    """What a field is for, and the heading under which the help has its option."""
    return Field(description=description, json_schema_extra={"group": group})


class DataSpec(Part):
    """Which data set: its name, the digest of its content, and the two sizes that specs are checked against.

    sha256:       SHA-256 over the four files' payload digests (`data.catalog` says how)
    train_images: number of training images in the data set
    classes:      number of classes
    """

    name: Name
    sha256: Digest
    train_images: Count
    classes: Annotated[PlainInt, Field(ge=2, le=256)]


class SGD(Part):
    """Stochastic gradient descent as `torch.optim.SGD` does it (no dampening)."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: LearningRate = 0.01
    momentum: Annotated[Fraction, Field(description="Momentum, 0 to below 1.")] = 0.0
    nesterov: Annotated[bool, Field(description="Nesterov's form of momentum.")] = False
    weight_decay: WeightDecay = 0.0

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            refuse("has no effect without momentum; give a momentum such as 0.9, or leave nesterov out")
        return nesterov


class Adam(Part):
    """Adam (Kingma & Ba 2015) as `torch.optim.Adam` does it: weight decay is added to the gradient."""

    kind: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta1: Beta1 = 0.9
    beta2: Beta2 = 0.999
    epsilon: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.0


class AdamW(Part):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019) as `torch.optim.AdamW` does it."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: LearningRate = 0.001
    beta1: Beta1 = 0.9
    beta2: Beta2 = 0.999
    epsilon: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.01


class Constant(Part):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class WarmupCosine(Part):
    """The rate rises linearly, then falls along half a cosine."""

    kind: Literal["warmup-cosine"] = "warmup-cosine"
    warmup_steps: Annotated[PlainInt, Field(ge=0, description="Steps of linear warm-up.")] = 0
    final_fraction: Annotated[
        NonNegative, Field(le=1, description="Where the cosine ends, as a share of the peak.")
    ] = 0.0


Optimiser = Annotated[
    Annotated[SGD, Tag("sgd")] | Annotated[Adam, Tag("adam")] | Annotated[AdamW, Tag("adamw")],
    Discriminator(kind_or("sgd")),
]
Schedule = Annotated[
    Annotated[Constant, Tag("constant")] | Annotated[WarmupCosine, Tag("warmup-cosine")],
    Discriminator(kind_or("constant")),
]


class Budget(Part):
    """How long to train: a number of epochs, or a number of steps; exactly one of them."""

    LEFT_OUT_AT_DEFAULT = frozenset({"epochs", "steps"})

    epochs: Annotated[
        Annotated[PlainInt, Field(ge=1, le=1_000_000)] | None,
        Field(description="Passes over the training images."),
    ] = None
    steps: Annotated[
        Annotated[PlainInt, Field(ge=1, le=1_000_000_000)] | None,
        Field(description="Steps, instead of epochs."),
    ] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Budget":
        if (self.epochs is None) == (self.steps is None):
            refuse("must hold either epochs or steps; give exactly one of them")
        return self


class Parent(Part):
    """The trained network that a run goes on from: the run that made it, and which parameters it has.

    These decide what comes of the child, on whichever machine the parent was trained; by the key its RunSpec
    is found.

    key:    of the run that made it
    sha256: SHA-256 over its parameters (`models.parameters.digest` says how)
    """

    key: Digest
    sha256: Digest


def _evaluate_at_tag(value: object) -> str:
    return "epoch" if isinstance(value, str) else "steps"


EvaluateAt = Annotated[
    Annotated[Literal["epoch"], Tag("epoch")]
    | Annotated[
        tuple[Count, ...], Field(strict=False, min_length=1, max_length=EVALUATION_LIMIT), Tag("steps")
    ],
    Discriminator(_evaluate_at_tag),
]


class RunSpec(Document):
    """Everything that decides one network's outcome.

    Raises SpecError with all faults, each with its field, value and remedy.
    """

    LEFT_OUT_AT_DEFAULT = frozenset({"validation", "parent", "patience"})

    data: Annotated[DataSpec, _option("Data", "Name of a data set.")]
    scaling: Annotated[
        Scaling,
        _option(
            "Data",
            "How pixels become inputs: unit x/255; symmetric (x - 127.5)/127.5; standard (x - mean)/sd, of "
            "all training pixels of the data set.",
        ),
    ] = "unit"
    validation_size: Annotated[
        PlainInt,
        Field(ge=0),
        _option("Data", "Training images held out for validation, stratified, the same ones in every run."),
    ] = 0
    validation: Annotated[
        Validation,
        _option(
            "Data",
            "What is held out: images, whoever wrote them, or whole writers, who make validation_size images "
            "or as many below it as can be (needs QMNIST's label files).",
        ),
    ] = "images"
    train_size: Annotated[
        Count,
        Field(validate_default=True),
        _option(
            "Data",
            "Images trained on, a stratified subset drawn by the seed; by default all that are not held out.",
        ),
    ] = None  # type: ignore[assignment]
    hidden: Annotated[
        tuple[Width, ...],
        Field(strict=False, max_length=64, examples=[[100, 100]]),
        _option("Network", "Units of each hidden layer; without any it is multinomial logistic regression."),
    ] = ()
    parent: Annotated[
        Parent | None,
        _option(
            "Network",
            "File of a trained network to go on from, as --save writes it. What is said nowhere else is as "
            "in its training: data, layers, optimiser, budget, seed.",
        ),
    ] = None
    initialisation: Annotated[
        Initialisation,
        _option(
            "Network",
            "What the parameters start from: torch, the default of nn.Linear; he, normal (He et al. 2015); "
            "glorot, uniform (Glorot & Bengio 2010).",
        ),
    ] = "torch"
    optimiser: Annotated[Optimiser, _option("Optimiser", "How gradients become steps.")] = SGD()
    batch_size: Annotated[Count, Field(validate_default=True), _option("Budget", "Examples a step.")] = 100
    last_batch: Annotated[
        LastBatch, _option("Budget", "An epoch's last batch when it is shorter: keep it or drop it.")
    ] = "keep"
    budget: Annotated[Budget, _option("Budget", "How long to train.")] = Budget(epochs=15)
    schedule: Annotated[
        Schedule, Field(validate_default=True), _option("Schedule", "The learning rate over time.")
    ] = Constant()
    evaluate_at: Annotated[
        EvaluateAt,
        Field(validate_default=True),
        _option(
            "Budget",
            "When the curve gets a point: at the end of each epoch, or at these steps; always at the last.",
        ),
    ] = "epoch"
    patience: Annotated[
        PlainInt,
        Field(ge=0, le=EVALUATION_LIMIT),
        _option(
            "Budget",
            "Early stopping: the run ends after so many points of the curve without a new lowest validation "
            "loss, and the network of the lowest is kept; 0: it trains to the end, and the last is kept.",
        ),
    ] = 0
    seed: Annotated[PlainInt, Field(ge=0, lt=2**63), _option("Run", "Of all random draws.")] = 0
    precision: Annotated[Precision, _option("Network", "Of parameters and arithmetic.")] = "float32"

    # Checks that look at several fields sit on the last of them, so that their faults are reported together
    # with all the others; each is skipped while a field that it needs is itself at fault.

    @field_validator("validation_size")
    @classmethod
    def _validation_leaves_training(cls, size: int, info: ValidationInfo) -> int:
        data = info.data.get("data")
        if data and size and not data.classes <= size <= data.train_images - data.classes:
            refuse(
                f"does not fit the {data.train_images:,} training images of {data.name}; use 0 for none, or "
                f"{data.classes} to {data.train_images - data.classes}, such as 10000"
            )
        return size

    @field_validator("validation")
    @classmethod
    def _writers_need_a_size(cls, validation: Validation, info: ValidationInfo) -> Validation:
        if validation == "writers" and info.data.get("validation_size") == 0:
            refuse("has no effect without a validation_size; give one such as 10000, or leave validation out")
        return validation

    @field_validator("train_size", mode="before")
    @classmethod
    def _train_on_all(cls, size: object, info: ValidationInfo) -> object:
        if size is None and "data" in info.data and "validation_size" in info.data:
            return info.data["data"].train_images - info.data["validation_size"]
        return 1 if size is None else size  # unknown: no check that needs it is made, see _KNOWN_SIZES

    @field_validator("train_size")
    @classmethod
    def _train_size_is_there(cls, size: int, info: ValidationInfo) -> int:
        if not info.data.keys() >= _KNOWN_SIZES:
            return size
        data, held_out = info.data["data"], info.data["validation_size"]
        if size > data.train_images - held_out:
            usual = 10_000
            if held_out:
                left = data.train_images - held_out
                refuse(
                    f"is more than the {left:,} training images of {data.name} that are left beside "
                    f"{held_out:,} for validation; use at most {left}"
                )
            if data.train_images > 2 * usual:
                remedy = (
                    f"use at most {data.train_images}, or {data.train_images - usual} with a validation split"
                )
            else:
                remedy = f"use at most {data.train_images}"
            refuse(f"is more than the {data.train_images:,} training images of {data.name}; {remedy}")
        return size

    @field_validator("hidden")
    @classmethod
    def _fits_a_computer(cls, hidden: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if "data" in info.data:
            count = _parameter_count((INPUT_SIZE, *hidden, info.data["data"].classes))
            if count > PARAMETER_LIMIT:
                refuse(f"makes {count:,} parameters; use layers that make at most {PARAMETER_LIMIT:,}")
        return hidden

    @field_validator("initialisation")
    @classmethod
    def _parent_has_its_own_start(
        cls, initialisation: Initialisation, info: ValidationInfo
    ) -> Initialisation:
        if initialisation != "torch" and info.data.get("parent") is not None:
            refuse("has no effect on a run that goes on from a trained network; leave initialisation out")
        return initialisation

    @field_validator("batch_size")
    @classmethod
    def _batch_is_there(cls, size: int, info: ValidationInfo) -> int:
        train_size = info.data.get("train_size")
        if train_size is not None and info.data.keys() >= _KNOWN_SIZES and size > train_size:
            refuse(f"is more than the {train_size:,} images trained on; use at most {train_size}")
        return size

    @field_validator("schedule")
    @classmethod
    def _warmup_ends(cls, schedule: Schedule, info: ValidationInfo) -> Schedule:
        if isinstance(schedule, WarmupCosine) and _has_steps(info.data):
            step_count = _step_count(info.data)
            if schedule.warmup_steps >= step_count:
                refuse(f"warms up for as long as the run or longer; use less than its {step_count} steps")
        return schedule

    @field_validator("evaluate_at", mode="before")
    @classmethod
    def _epoch_or_steps(cls, at: object) -> object:
        if isinstance(at, str) and at != "epoch":
            refuse("is not known; use 'epoch', or a list of steps such as [100, 200, 400]")
        return at

    @field_validator("evaluate_at")
    @classmethod
    def _evaluations_are_in_order(cls, at: EvaluateAt, info: ValidationInfo) -> EvaluateAt:
        if not isinstance(at, str) and any(b <= a for a, b in pairwise(at)):
            refuse("is not in order; give steps that rise, such as [100, 200, 400]")
        if _has_steps(info.data):
            step_count = _step_count(info.data)
            if isinstance(at, str):
                count = step_count // _steps_per_epoch(info.data)
                if count > EVALUATION_LIMIT:
                    refuse(f"is {count:,} evaluations, more than {EVALUATION_LIMIT:,}; give a list of steps")
            elif at[-1] > step_count:
                refuse(f"goes beyond the run's end; use steps up to {step_count}")
        return at

    @field_validator("patience")
    @classmethod
    def _patience_needs_validation(cls, patience: int, info: ValidationInfo) -> int:
        if patience and info.data.get("validation_size") == 0:
            refuse("has no effect without a validation_size; give one such as 10000, or leave patience out")
        return patience

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Units of every layer, from the inputs to the classes."""
        return (INPUT_SIZE, *self.hidden, self.data.classes)

    @property
    def network_name(self) -> str:
        """The network by its layer sizes: 784-100-10."""
        return "-".join(map(str, self.layer_sizes))

    @property
    def parameter_count(self) -> int:
        """Number of trained numbers: weights and biases."""
        return _parameter_count(self.layer_sizes)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches an epoch."""
        return _steps_per_epoch(self.__dict__)

    @property
    def step_count(self) -> int:
        """Number of steps of the whole run; with patience it may end before."""
        return _step_count(self.__dict__)

    @property
    def evaluation_steps(self) -> tuple[int, ...]:
        """The steps after which the curve has a point, the first step being 1; the last one always has."""
        at = range(self.steps_per_epoch, self.step_count, self.steps_per_epoch)
        inner = at if isinstance(self.evaluate_at, str) else self.evaluate_at
        return (*(step for step in inner if step < self.step_count), self.step_count)

    def until(self, step: int) -> "RunSpec":
        """The same run, ended after so many steps: with a constant schedule, its network at that moment."""
        if step == self.step_count and not self.patience:
            return self
        shorter = {"budget": {"steps": step}, "evaluate_at": (step,), "patience": 0}
        return RunSpec.model_validate(self.model_dump() | shorter)

    @property
    def canonical_json(self) -> str:
        """The one way to write this spec: sorted keys, no spaces, the fewest digits that keep each float."""
        document = self.model_dump(mode="json")
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def key(self) -> str:
        """The name of this run: SHA-256 of the canonical JSON and the numerics version, 64 hex digits."""
        return hashlib.sha256(f"{NUMERICS_VERSION}\n{self.canonical_json}".encode()).hexdigest()


def is_key_prefix(text: str) -> bool:
    """Whether the key of a run may begin with this text: hexadecimal digits, 64 at most."""
    return bool(re.fullmatch(r"[0-9a-f]{1,64}", text))


def geometric_steps(step_count: int, points: int) -> list[int]:
    """About so many steps up to the last one, evenly spaced in the logarithm, from a thousandth of it on."""
    first = max(1, step_count // 1_000)
    if points == 1 or step_count == first:
        return [step_count]
    growth = (step_count / first) ** (1 / (points - 1))
    return sorted({round(first * growth**i) for i in range(points)} | {step_count})


def _parameter_count(layer_sizes: tuple[int, ...]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(layer_sizes))


def _has_steps(fields: dict[str, Any]) -> bool:
    return fields.keys() >= _KNOWN_SIZES | {"train_size", "batch_size", "last_batch", "budget"}


def _steps_per_epoch(fields: dict[str, Any]) -> int:
    whole, rest = divmod(fields["train_size"], fields["batch_size"])
    return int(whole + (rest > 0 and fields["last_batch"] == "keep"))


def _step_count(fields: dict[str, Any]) -> int:
    budget: Budget = fields["budget"]
    return budget.steps if budget.steps is not None else (budget.epochs or 0) * _steps_per_epoch(fields)
