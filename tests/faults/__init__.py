"""Faults put into the real system: `python -m tests.faults --rounds 200 --seed 1`.

A round starts a real `digitlab study run` in folders and a session of its own (`system`), injects one fault at a
random moment (`signals`, `disks`, `damage`, `databases`, `nodes`; one `Fault` each, listed in `kinds`), lets the
study run again, and holds what is left to one invariant (`invariant`). `rounds` does many and counts.
"""
