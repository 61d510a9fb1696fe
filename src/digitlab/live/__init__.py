"""The trainings of a page, as a service that knows no web: submitted, watched, stopped, kept.

`laboratory` is what others use: runs in, in `live_run` what is seen of each, and callbacks when that has
changed. `explanation` says why a run broke; `networks` gives the weights of a run, trained again where none
are left; `jobs` does long work such as studies, one after the other; `limits` says how much is taken at
once; `seeds` says how well a network does over its seeds; `visitors` tells the members of a class apart.
"""

from digitlab.live.laboratory import Laboratory
from digitlab.live.limits import BusyError, LabLimits, UnknownRunError
from digitlab.live.live_run import LiveRun, Status
from digitlab.live.visitors import Visitor

__all__ = ["BusyError", "LabLimits", "Laboratory", "LiveRun", "Status", "UnknownRunError", "Visitor"]
