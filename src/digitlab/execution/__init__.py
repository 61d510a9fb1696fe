"""Dispatch: cohorts -> workers -> results, one by one.

`local` leads worker processes on this machine, each of which runs `worker`.
"""
