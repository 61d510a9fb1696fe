"""RunResult: what came of one RunSpec, and its JSON.

`provenance` alone holds what may differ between two computations of one run. Non-finite numbers are the
strings "NaN", "Infinity" and "-Infinity" in the JSON, and come back as numbers.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from digitlab import html
from digitlab.spec import RunSpec
from digitlab.validation import Document, Part, refuse

if TYPE_CHECKING:
    from digitlab.report.plot import Plot

Outcome = Literal["completed", "diverged", "collapsed"]
"""`completed`; `diverged`: a loss became non-finite; `collapsed`: it ended at chance after a blow-up."""

Arithmetic = Literal["torch", "compiled kernel"]

_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _number(value: object) -> object:
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number)]
Numbers = Annotated[tuple[Number, ...], Field(strict=False)]


class _Record(Part):
    """Numbers as they came out, non-finite ones included."""

    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="strings")


class Curve(_Record):
    """What was measured along the way, a point for each evaluation.

    step:                after how many steps, [point]
    training_loss:       mean cross-entropy (nats) of the batches since the point before, [point]
    validation_loss:     mean cross-entropy (nats) on the validation split, [point]; empty without one
    validation_accuracy: share of the validation split that is classified rightly, [point]; likewise
    """

    step: Annotated[tuple[int, ...], Field(strict=False)]
    training_loss: Numbers
    validation_loss: Numbers = ()
    validation_accuracy: Numbers = ()

    @field_validator("training_loss", "validation_loss", "validation_accuracy")
    @classmethod
    def _has_every_point(cls, values: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        points = len(info.data.get("step", values))
        if len(values) != points and (values or info.field_name == "training_loss"):
            refuse(f"has {len(values)} points where there are {points} steps; give one for each")
        return values


class Metrics(_Record):
    """How the run ended. After a divergence no network is evaluated: what is said of it is NaN.

    The final network is the last one; of a run with patience it is the one of the lowest validation loss.

    training_loss:       the curve's at the final network: mean cross-entropy (nats) of the batches before it
    training_set_loss, training_set_accuracy: of the final network on the images that it was trained on
    validation_loss, validation_accuracy: of the final network; None without a validation split
    test_loss, test_accuracy: of the final network on the whole test set
    first_batch_loss, peak_batch_loss: the first and the largest loss of a single batch
    steps:               steps taken; of a diverged run, the one whose loss was not finite
    kept_step:           of a run with patience, the steps after which the final network was reached
    """

    LEFT_OUT_AT_DEFAULT = frozenset({"kept_step"})

    training_loss: Number
    training_set_loss: Number
    training_set_accuracy: Number
    validation_loss: Number | None = None
    validation_accuracy: Number | None = None
    test_loss: Number
    test_accuracy: Number
    first_batch_loss: Number
    peak_batch_loss: Number
    steps: int
    kept_step: int | None = None


class Versions(Part):
    """Versions of what computed."""

    digitlab: str
    python: str
    torch: str
    numpy: str


@dataclass(frozen=True)
class Fingerprint:
    """What the bits of a result depend on besides its RunSpec; its key holds the version of the numerics.

    Two computations of one RunSpec with equal fingerprints give equal bits. None: without influence, or not
    recorded, as by versions of digitlab that did not know of it.

    device:           its kind: `cpu`, `cuda`, `mps`
    numpy:            makes the random draws
    c_library:        computes exponentials, logarithms and cosines
    compiler:         built the kernel, where that computed
    torch, matmul_precision: where torch computed
    threads:          that share in a sum, where torch computed on the CPU
    """

    engine: str
    arithmetic: Arithmetic
    device: str
    processor: str
    numpy: str
    c_library: str | None
    compiler: str | None
    torch: str | None
    matmul_precision: str | None
    threads: int | None

    def differences(self, now: "Fingerprint") -> list[str]:
        """What is different now, in words."""
        pairs = ((field.name, getattr(self, field.name), getattr(now, field.name)) for field in fields(self))
        return [
            f"{name.replace('_', ' ')} was {_in_words(before)}, is {_in_words(after)}"
            for name, before, after in pairs
            if before != after
        ]


def _in_words(value: object) -> object:
    return "not recorded" if value is None else value


class Provenance(_Record):
    """Where and how the result was computed: all that may differ between two computations of one run.

    arithmetic: what made the products and sums: torch, or the lockstep engine's compiled kernel
    threads:    that computed the result together, on the CPU
    compiler:   that built the compiled kernel, where that computed
    c_library:  the C library, with its version
    matmul_precision: how exactly torch multiplies matrices of float32, in its words, where it computed
    seconds:    wall-clock time of the training, evaluation included; of a member of a cohort, its share
    finished:   UTC, ISO 8601
    """

    LEFT_OUT_AT_DEFAULT = frozenset({"compiler", "c_library", "matmul_precision"})

    engine: str
    arithmetic: Arithmetic = "torch"
    device: str
    processor: str
    threads: int
    compiler: str | None = None
    c_library: str | None = None
    matmul_precision: str | None = None
    versions: Versions
    platform: str
    host: str
    seconds: float
    finished: str

    @property
    def fingerprint(self) -> Fingerprint:
        """What the bits of the result depend on."""
        device, by_torch = self.device.partition(":")[0], self.arithmetic == "torch"
        return Fingerprint(
            engine=self.engine,
            arithmetic=self.arithmetic,
            device=device,
            processor=self.processor,
            numpy=self.versions.numpy,
            c_library=self.c_library,
            compiler=None if by_torch else self.compiler,
            torch=self.versions.torch if by_torch else None,
            matmul_precision=self.matmul_precision if by_torch else None,
            threads=self.threads if by_torch and device == "cpu" else None,
        )


class RunResult(Document):
    """What came of one RunSpec.

    predictions: predicted class of each test image, one byte an image, in the order of the test set (read
                 them by `np.frombuffer(result.predictions, np.uint8)`); not part of the JSON; None when the
                 run diverged or when the result was read from JSON
    """

    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="strings")

    key: str
    spec: RunSpec
    outcome: Outcome
    curve: Curve
    metrics: Metrics
    provenance: Provenance
    predictions: Annotated[bytes | None, Field(exclude=True, repr=False)] = None

    @field_validator("spec")
    @classmethod
    def _has_its_key(cls, spec: RunSpec, info: ValidationInfo) -> RunSpec:
        if "key" in info.data and (key := spec.key) != info.data["key"]:
            refuse(f"has the key {key}, not the one given: one of them was changed; run it again")
        return spec

    @classmethod
    def of(cls, spec: RunSpec, **parts: object) -> "RunResult":
        """A result of `spec` under the spec's own key."""
        return cls.model_validate({"spec": spec, "key": spec.key, **parts})

    def to_json(self) -> str:
        """The result as one line of JSON."""
        return self.model_dump_json()

    @property
    def bits(self) -> tuple[str, bytes | None]:
        """All of a result that two computations of its run have in common, when both are exact."""
        return self.model_dump_json(exclude={"provenance"}), self.predictions

    @property
    def stopped_early(self) -> bool:
        """Whether the run's patience ended it before its budget was spent."""
        return self.outcome != "diverged" and self.metrics.steps < self.spec.step_count

    def plot(self) -> "Plot":
        """The curve as a chart of Altair's: losses, and the validation accuracy where there is one.

        A notebook shows it; `result.plot().save("curve.svg")` keeps it (also as png, html or json).
        """
        from digitlab.report.plot import plot_of

        return plot_of(self)

    def _repr_html_(self) -> str:
        metrics = self.metrics
        rows = {
            "network": self.spec.network_name,
            "outcome": self.outcome,
            "test accuracy": f"{metrics.test_accuracy:.4f}",
            "test loss": f"{metrics.test_loss:.4f}",
            "training loss": f"{metrics.training_loss:.4f}",
            "steps": f"{metrics.steps:,}",
            "seconds": f"{self.provenance.seconds:.1f}",
            "key": self.key[:12],
        }
        if metrics.validation_accuracy is not None:
            rows["validation accuracy"] = f"{metrics.validation_accuracy:.4f}"
        if metrics.kept_step is not None:
            rows["network"] += f", that of step {metrics.kept_step:,}"
        lines = {"training loss": self.curve.training_loss, "validation loss": self.curve.validation_loss}
        return html.table(rows) + html.line_chart("step", self.curve.step, lines)
