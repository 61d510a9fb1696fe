"""Studies: questions as TOML documents -> the RunSpecs that answer them.

`definition` is the document and its checks, `files` reads it and tells faults by their line, `expansion`
counts and makes its runs, `service` runs it and says what it found. The built-in studies are files in
`builtin`.
"""

from digitlab.studies.definition import Study
from digitlab.studies.files import (
    OBSERVATIONS,
    built_in_names,
    built_in_text,
    read_study,
    read_study_at,
    run_command,
)

__all__ = [
    "OBSERVATIONS",
    "Study",
    "built_in_names",
    "built_in_text",
    "read_study",
    "read_study_at",
    "run_command",
]
