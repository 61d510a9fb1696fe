"""Where and how a result was computed."""

import platform
from datetime import UTC, datetime

import numpy as np
import torch

from digitlab.engine.device import processor_name
from digitlab.result import Arithmetic, Provenance, Versions
from digitlab.version import __version__


def provenance(
    engine: str, device: torch.device, seconds: float, *, arithmetic: Arithmetic = "torch"
) -> Provenance:
    """The provenance of a result that this process has just computed."""
    return Provenance(
        engine=engine,
        arithmetic=arithmetic,
        device=str(device),
        processor=processor_name(device),
        threads=torch.get_num_threads(),
        versions=Versions(
            digitlab=__version__,
            python=platform.python_version(),
            torch=str(torch.__version__),
            numpy=np.__version__,
        ),
        platform=platform.platform(),
        host=platform.node(),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
