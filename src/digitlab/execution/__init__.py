"""Execution: cohorts -> events and results, in this process or in worker processes.

`training` is what others use: runs under way, as a stream of `events`. It lets an executor train,
`in_process` or `workers` (each of which runs `worker`), both of which keep to `interface`; `shared` lets
another executor train what no other driver does; `retry` decides what is tried again.
"""
