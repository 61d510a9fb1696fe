"""The lockstep engine: many networks trained side by side. The RunSpecs of a cohort -> their results.

`train` leads the cohort through its steps: it writes down losses, evaluates, lets go of members that have
diverged. How they compute is behind `members`, twice: `compiled` by a kernel in C (`kernel.c`, which
`compiler` builds) on the CPU, and `stacked` (with `updates`) by torch's batched products on GPUs and where
there is no C compiler. The equations are the same; each is held against the reference engine.
"""

from digitlab.engine.lockstep.backend import cohort_key
from digitlab.engine.lockstep.loop import train_cohort

__all__ = ["cohort_key", "train_cohort"]
