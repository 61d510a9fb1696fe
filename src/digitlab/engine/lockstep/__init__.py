"""The lockstep engine: many networks trained side by side. The RunSpecs of a cohort -> their results.

`loop` leads the cohort through its steps: it writes down losses, evaluates, lets go of members that have
diverged. How they compute is behind `backend`, twice: `c` by a kernel in C on the CPU, and `torch_backend`
(with `optimisers`) by torch's batched products on GPUs and where there is no C compiler. `backends` chooses,
and loads torch only then. The equations are the same; each is held against the reference engine.
"""

from digitlab.engine.lockstep.backend import cohort_key
from digitlab.engine.lockstep.loop import train_cohort

__all__ = ["cohort_key", "train_cohort"]
