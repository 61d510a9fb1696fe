"""Planning: RunSpecs -> cohorts, in the order in which they are worth training.

`cost` counts the work and the memory of a cohort, `calibration` says what a unit of work takes on this
machine, `planner` sorts runs into cohorts that fit the memory, are short, and keep every worker busy.
"""
