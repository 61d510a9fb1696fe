"""The learning rate at each step, by the run's schedule."""

import math

from digitlab.spec import Constant, RunSpec


def learning_rate(spec: RunSpec, step: int) -> float:
    """The learning rate of a step; the first step is 0.

    Warm-up and cosine, for W warm-up steps of N, a peak rate r and a final fraction f:
    r (step + 1) / W for step < W, then r (f + (1 − f)(1 + cos(π (step − W) / (N − W))) / 2)
    (Loshchilov & Hutter 2017, equation 5, with one period).
    """
    peak, schedule = spec.optimiser.learning_rate, spec.schedule
    if isinstance(schedule, Constant):
        return peak
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    progress = (step - schedule.warmup_steps) / (spec.step_count - schedule.warmup_steps)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * cosine)
