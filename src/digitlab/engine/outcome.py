"""How a run ended: completed, diverged or collapsed."""

import math

from digitlab.result import Outcome

_CHANCE_SHARE = 0.95
"""A loss of at least this share of ln(classes), the loss of guessing, counts as chance."""
_BLOW_UP_FACTOR = 2.0
"""A batch loss of at least so many times the first one counts as a blow-up."""


def classify_outcome(
    *,
    losses_finite: bool,
    training_set_loss: float,
    first_batch_loss: float,
    peak_batch_loss: float,
    has_dead_layer: bool,
    classes: int,
) -> Outcome:
    """The outcome of a run.

    `diverged`: some loss, of a batch or of an evaluation, was not finite. `collapsed`: it ended at chance
    after a blow-up, which shows in the losses or as a layer of dead ReLUs. A network that merely has not
    learned yet is `completed`.

    training_set_loss: of the final network, nats: a mean over the last batches would still hold the
                       blow-up of a network that has recovered from it
    """
    if not losses_finite:
        return "diverged"
    at_chance = training_set_loss >= _CHANCE_SHARE * math.log(classes)
    blew_up = has_dead_layer or peak_batch_loss >= _BLOW_UP_FACTOR * first_batch_loss
    return "collapsed" if at_chance and blew_up else "completed"
