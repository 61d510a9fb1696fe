"""RunResult: what came of one RunSpec, and its JSON.

`provenance` alone holds what may differ between two computations of one run. Non-finite numbers are the
strings "NaN", "Infinity" and "-Infinity" in the JSON, and come back as numbers.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from digitlab import notebook
from digitlab.spec import RunSpec
from digitlab.validation import Document, Part, refuse

Outcome = Literal["completed", "diverged", "collapsed"]
"""`completed`; `diverged`: a loss became non-finite; `collapsed`: it ended at chance after a blow-up."""

_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _number(value: object) -> object:
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number)]


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

    step: tuple[int, ...]
    training_loss: tuple[Number, ...]
    validation_loss: tuple[Number, ...] = ()
    validation_accuracy: tuple[Number, ...] = ()


class Metrics(_Record):
    """How the run ended. After a divergence the network is not evaluated: accuracies and losses are NaN.

    training_loss:       the curve's last: mean cross-entropy (nats) of the last batches
    training_accuracy:   of the final network on the images that it trained on
    validation_loss, validation_accuracy: of the final network; None without a validation split
    test_loss, test_accuracy: of the final network on the whole test set
    first_batch_loss, peak_batch_loss: the first and the largest loss of a single batch
    steps:               steps taken
    """

    training_loss: Number
    training_accuracy: Number
    validation_loss: Number | None = None
    validation_accuracy: Number | None = None
    test_loss: Number
    test_accuracy: Number
    first_batch_loss: Number
    peak_batch_loss: Number
    steps: int


class Versions(Part):
    """Versions of what computed."""

    digitlab: str
    python: str
    torch: str
    numpy: str


class Provenance(_Record):
    """Where and how the result was computed: all that may differ between two computations of one run.

    seconds:  wall-clock time of the training, evaluation included
    finished: UTC, ISO 8601
    """

    engine: str
    device: str
    processor: str
    threads: int
    versions: Versions
    platform: str
    host: str
    seconds: float
    finished: str


class RunResult(Document):
    """What came of one RunSpec.

    predictions: class given to each test image, one byte an image, in the order of the test set (read them
                 by `np.frombuffer(result.predictions, np.uint8)`); not part of the JSON; None when the run
                 diverged or when the result was read from JSON
    """

    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="strings")

    spec: RunSpec
    key: str = ""
    outcome: Outcome
    curve: Curve
    metrics: Metrics
    provenance: Provenance
    predictions: Annotated[bytes | None, Field(exclude=True, repr=False)] = None

    @field_validator("key")
    @classmethod
    def _is_key_of_spec(cls, key: str, info: ValidationInfo) -> str:
        spec = info.data.get("spec")
        if spec is not None and key != spec.key:
            refuse(f"is not the key of its spec, {spec.key}: one of them was changed, or numerics were; run it again")
        return key

    @classmethod
    def of(cls, spec: RunSpec, **parts: object) -> "RunResult":
        """A result of `spec` under the spec's own key."""
        return cls.model_validate({"spec": spec, "key": spec.key, **parts})

    def to_json(self) -> str:
        """The result as one line of JSON."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> "RunResult":
        """The result that `to_json` wrote.

        Raises SpecError, with all faults, when the text is something else.
        """
        return cls.model_validate_json(text)

    def _repr_html_(self) -> str:
        metrics = self.metrics
        rows = {
            "network": "-".join(map(str, self.spec.layer_sizes)),
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
        lines = {"training loss": self.curve.training_loss, "validation loss": self.curve.validation_loss}
        return notebook.table(rows) + notebook.line_chart("step", self.curve.step, lines)
