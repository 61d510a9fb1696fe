"""Engines: RunSpec and Dataset -> RunResult.

`reference` trains one network, plainly: the oracle of every faster way. What all engines share lies beside
it: `inputs` (a run's examples as tensors), `order` (which examples at which step), `rates` (the learning
rate at each step), `evaluate` (losses and predictions), `record` (what is written down, and the result that
comes of it), `outcome` (how a run ended), `device`, `provenance`, `progress`. `confusion` looks at a network
that was saved.
"""
