"""The history of a run, which an engine writes while a network trains, and the result that comes of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from digitlab.engine.evaluation import Evaluation
from digitlab.engine.outcome import classify_outcome
from digitlab.engine.progress import CurvePoint
from digitlab.result import Curve, Metrics, Provenance, RunResult
from digitlab.spec import RunSpec


@dataclass
class History:
    """What is written down while the network trains: the curve so far, and the batch losses since its end.

    validation: the latest evaluation on the validation split; None without one
    """

    points: list[CurvePoint] = field(default_factory=list)
    validation: Evaluation | None = None
    steps: int = 0
    first_batch_loss: float = math.nan
    peak_batch_loss: float = -math.inf
    loss_sum: float = 0.0

    @property
    def recent_loss(self) -> float:
        """Mean loss of the batches since the curve's last point; at a point, that point's."""
        batches = self.steps - (self.points[-1].step if self.points else 0)
        return self.loss_sum / batches if batches else self.points[-1].training_loss

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
        loss, accuracy = (validation.loss, validation.accuracy) if validation else (None, None)
        self.points.append(CurvePoint(self.steps, self.recent_loss, loss, accuracy))
        self.loss_sum = 0.0
        if validation is not None:
            self.validation = validation.without_predictions()

    def is_finite(self) -> bool:
        """Whether every loss so far was finite. A training ends with the first that is not."""
        return math.isfinite(self.peak_batch_loss) and (
            self.validation is None or math.isfinite(self.validation.loss)
        )

    def curve(self) -> Curve:
        """The curve so far."""
        return Curve(
            step=tuple(point.step for point in self.points),
            training_loss=tuple(point.training_loss for point in self.points),
            validation_loss=tuple(
                point.validation_loss for point in self.points if point.validation_loss is not None
            ),
            validation_accuracy=tuple(
                point.validation_accuracy for point in self.points if point.validation_accuracy is not None
            ),
        )


def result_of(
    spec: RunSpec, history: History, *, train: Evaluation, test: Evaluation, provenance: Provenance
) -> RunResult:
    """The result of a run that has ended.

    train, test: of the final network on the images that it was trained on, and on the test set; unknown when
                 a loss was not finite before
    """
    outcome = classify_outcome(
        losses_finite=history.is_finite() and math.isfinite(train.loss) and math.isfinite(test.loss),
        training_set_loss=train.loss,
        first_batch_loss=history.first_batch_loss,
        peak_batch_loss=history.peak_batch_loss,
        has_dead_layer=train.has_dead_layer,
        classes=spec.data.classes,
    )
    validation = history.validation
    if outcome == "diverged":
        train = test = Evaluation.unknown()
        validation = Evaluation.unknown() if validation else None
    metrics = Metrics(
        training_loss=history.points[-1].training_loss,
        training_set_loss=train.loss,
        training_set_accuracy=train.accuracy,
        validation_loss=validation.loss if validation else None,
        validation_accuracy=validation.accuracy if validation else None,
        test_loss=test.loss,
        test_accuracy=test.accuracy,
        first_batch_loss=history.first_batch_loss,
        peak_batch_loss=history.peak_batch_loss,
        steps=history.steps,
    )
    return RunResult.of(
        spec,
        outcome=outcome,
        curve=history.curve(),
        metrics=metrics,
        provenance=provenance,
        predictions=None if outcome == "diverged" else test.predictions.tobytes(),
    )
