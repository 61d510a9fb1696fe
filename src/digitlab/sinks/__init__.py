"""Logs of trainings in other programs: one way, and no training ever waits for them.

`interface` is the contract of a sink; `tensorboard` and `mlflow` keep it, each with a library that is an
extra. `subscriber` takes the events of an execution and feeds a sink in a thread of its own, whatever that
does; `opening` makes both from what a user writes, such as `tensorboard:DIR`.
"""
