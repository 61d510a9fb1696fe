"""Engines: RunSpec and Dataset -> RunResult.

`reference` trains one network, plainly: the oracle of every faster way. With `examples`, `evaluate`,
`torch_settings` and `torch_devices` it loads torch; `lockstep` does so only where it computes with it. What
all engines share lies beside them, without torch: `inputs` (which images a run sees), `sampling` (which
examples at which step), `schedules` (the learning rate at each step), `evaluation` (losses and predictions,
as a value), `history` (what is written down, and the result that comes of it), `outcome` (how a run ended),
`device`, `provenance`, `progress`. `confusion` looks at a network that was saved.
"""
