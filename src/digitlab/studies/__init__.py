"""Studies: questions as TOML documents -> the RunSpecs that answer them.

`study` is the document and its checks, `files` reads it and tells faults by their line, `expansion` counts
and makes its runs. The built-in studies are files in `builtin`.
"""

from digitlab.studies.definition import Study
from digitlab.studies.files import built_in_names, built_in_text, read_study

__all__ = ["Study", "built_in_names", "built_in_text", "read_study"]
