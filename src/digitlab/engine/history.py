"""The record of a run: what an engine writes down while a network trains, and the result that comes of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from digitlab.engine.evaluation import Evaluation
from digitlab.engine.outcome import judge
from digitlab.result import Curve, Metrics, Provenance, RunResult
from digitlab.spec import RunSpec


@dataclass
class Record:
    """What is written down while the network trains: the curve so far, and the batch losses since its end."""

    step: list[int] = field(default_factory=list)
    training_loss: list[float] = field(default_factory=list)
    validation: list[Evaluation] = field(default_factory=list)
    steps: int = 0
    first_batch_loss: float = math.nan
    peak_batch_loss: float = -math.inf
    loss_sum: float = 0.0

    @property
    def mean_batch_loss(self) -> float:
        """Mean loss of the batches since the curve's last point."""
        return self.loss_sum / (self.steps - (self.step[-1] if self.step else 0))

    def add_batch(self, loss: float) -> None:
        """Write down the loss of the next step's batch."""
        self.steps += 1
        self.loss_sum += loss
        self.first_batch_loss = loss if self.steps == 1 else self.first_batch_loss
        if not loss <= self.peak_batch_loss:  # so written, a loss that is not a number is a peak
            self.peak_batch_loss = loss

    def add_batches(self, losses: Iterable[float]) -> None:
        """Write down the losses of several steps, up to the first that is not finite."""
        for loss in losses:
            self.add_batch(loss)
            if not math.isfinite(loss):
                return

    def add_point(self, validation: Evaluation | None) -> None:
        """End an interval: the curve gets a point here. None: there is no validation split."""
        self.training_loss.append(self.mean_batch_loss)
        self.step.append(self.steps)
        self.loss_sum = 0.0
        if validation is not None:
            self.validation.append(validation.without_predictions())  # of many points they would add up

    def curve(self) -> Curve:
        """The curve so far."""
        return Curve(
            step=tuple(self.step),
            training_loss=tuple(self.training_loss),
            validation_loss=tuple(evaluation.loss for evaluation in self.validation),
            validation_accuracy=tuple(evaluation.accuracy for evaluation in self.validation),
        )

    def is_finite(self) -> bool:
        """Whether every loss so far was finite."""
        return math.isfinite(self.peak_batch_loss) and all(math.isfinite(v.loss) for v in self.validation)


def conclude(
    spec: RunSpec, record: Record, *, train: Evaluation, test: Evaluation, provenance: Provenance
) -> RunResult:
    """The result of a run that has ended.

    train, test: of the final network on the images that it was trained on, and on the test set; unknown when
                 a loss was not finite before
    """
    outcome = judge(
        losses_finite=record.is_finite() and math.isfinite(train.loss) and math.isfinite(test.loss),
        training_set_loss=train.loss,
        first_batch_loss=record.first_batch_loss,
        peak_batch_loss=record.peak_batch_loss,
        has_dead_layer=train.has_dead_layer,
        classes=spec.data.classes,
    )
    validation = record.validation[-1] if record.validation else None
    if outcome == "diverged":
        train = test = Evaluation.unknown()
        validation = Evaluation.unknown() if record.validation else None
    metrics = Metrics(
        training_loss=record.training_loss[-1],
        training_set_loss=train.loss,
        training_set_accuracy=train.accuracy,
        validation_loss=validation.loss if validation else None,
        validation_accuracy=validation.accuracy if validation else None,
        test_loss=test.loss,
        test_accuracy=test.accuracy,
        first_batch_loss=record.first_batch_loss,
        peak_batch_loss=record.peak_batch_loss,
        steps=record.steps,
    )
    return RunResult.of(
        spec,
        outcome=outcome,
        curve=record.curve(),
        metrics=metrics,
        provenance=provenance,
        predictions=None if outcome == "diverged" else test.predictions.tobytes(),
    )
