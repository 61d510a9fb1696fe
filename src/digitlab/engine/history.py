"""The history of a run, which an engine writes while a network trains, and the result that comes of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from digitlab.engine.evaluation import Evaluation
from digitlab.engine.outcome import classify_outcome
from digitlab.engine.progress import CurvePoint
from digitlab.result import Curve, Metrics, Provenance, RunResult
from digitlab.spec import RunSpec


@dataclass
class History:
    """What is written down while the network trains: the curve so far, and the batch losses since its end.

    validation:  the latest evaluation on the validation split; None without one
    best:        the point of the lowest validation loss so far, the first of equals
    lowest_loss: that loss
    since_best:  how many points came after it
    """

    points: list[CurvePoint] = field(default_factory=list)
    validation: Evaluation | None = None
    best: CurvePoint | None = None
    lowest_loss: float = math.inf
    since_best: int = 0
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
        point = CurvePoint(self.steps, self.recent_loss, loss, accuracy)
        self.points.append(point)
        self.loss_sum = 0.0
        if validation is not None:
            self.validation = validation.without_predictions()
            if validation.loss < self.lowest_loss:
                self.best, self.lowest_loss, self.since_best = point, validation.loss, 0
            else:
                self.since_best += 1

    @property
    def has_improved(self) -> bool:
        """Whether the latest point has the lowest validation loss so far."""
        return self.best is not None and self.since_best == 0

    def is_out_of_patience(self, patience: int) -> bool:
        """Whether so many points in a row brought no lower validation loss; never for a patience of 0."""
        return 0 < patience <= self.since_best

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
    kept = history.best if spec.patience and outcome != "diverged" else None
    final = kept or history.points[-1]
    if outcome == "diverged":
        train = test = Evaluation.unknown()
        unknown = None if final.validation_loss is None else math.nan
        final = replace(final, validation_loss=unknown, validation_accuracy=unknown)
    metrics = Metrics(
        training_loss=final.training_loss,
        training_set_loss=train.loss,
        training_set_accuracy=train.accuracy,
        validation_loss=final.validation_loss,
        validation_accuracy=final.validation_accuracy,
        test_loss=test.loss,
        test_accuracy=test.accuracy,
        first_batch_loss=history.first_batch_loss,
        peak_batch_loss=history.peak_batch_loss,
        steps=history.steps,
        kept_step=kept.step if kept else None,
    )
    return RunResult.of(
        spec,
        outcome=outcome,
        curve=history.curve(),
        metrics=metrics,
        provenance=provenance,
        predictions=None if outcome == "diverged" else test.predictions.tobytes(),
    )
