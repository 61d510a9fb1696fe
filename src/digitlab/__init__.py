"""digitlab: a laboratory for multilayer perceptrons on handwritten digits.

    import digitlab as dl
    result = dl.train(hidden=(100, 100), seed=3, save="digits.safetensors")
    network = dl.load("digits.safetensors")

Names are imported when they are first used: importing digitlab imports neither torch nor NumPy, and hardly
anything else, so that the command line can take its signals in hand at once.
"""

import importlib

from digitlab.version import __version__

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from digitlab.data import load as load_dataset
    from digitlab.errors import (
        DataError,
        DeviceError,
        DigitlabError,
        RunError,
        SpecError,
        StoreError,
        WeightsError,
    )
    from digitlab.execution import events
    from digitlab.frames import frame
    from digitlab.lab import Failure, Training, make_spec, run_many, start, train
    from digitlab.models.trained import TrainedNetwork, load
    from digitlab.report.live import LiveCurve
    from digitlab.report.notebook import exercise_of, findings_of
    from digitlab.report.pair import compare
    from digitlab.result import RunResult
    from digitlab.spec import RunSpec
    from digitlab.store.keeping import keep

__all__ = [
    "DataError",
    "DeviceError",
    "DigitlabError",
    "Failure",
    "LiveCurve",
    "RunError",
    "RunResult",
    "RunSpec",
    "SpecError",
    "StoreError",
    "TrainedNetwork",
    "Training",
    "WeightsError",
    "__version__",
    "compare",
    "events",
    "exercise_of",
    "findings_of",
    "frame",
    "keep",
    "load",
    "load_dataset",
    "make_spec",
    "run_many",
    "start",
    "train",
]

_HOMES = {
    "DataError": ("digitlab.errors", "DataError"),
    "DeviceError": ("digitlab.errors", "DeviceError"),
    "DigitlabError": ("digitlab.errors", "DigitlabError"),
    "Failure": ("digitlab.lab", "Failure"),
    "LiveCurve": ("digitlab.report.live", "LiveCurve"),
    "Training": ("digitlab.lab", "Training"),
    "compare": ("digitlab.report.pair", "compare"),
    "events": ("digitlab.execution.events", ""),
    "frame": ("digitlab.frames", "frame"),
    "keep": ("digitlab.store.keeping", "keep"),
    "exercise_of": ("digitlab.report.notebook", "exercise_of"),
    "findings_of": ("digitlab.report.notebook", "findings_of"),
    "RunError": ("digitlab.errors", "RunError"),
    "RunResult": ("digitlab.result", "RunResult"),
    "RunSpec": ("digitlab.spec", "RunSpec"),
    "SpecError": ("digitlab.errors", "SpecError"),
    "StoreError": ("digitlab.errors", "StoreError"),
    "TrainedNetwork": ("digitlab.models.trained", "TrainedNetwork"),
    "WeightsError": ("digitlab.errors", "WeightsError"),
    "load": ("digitlab.models.trained", "load"),
    "load_dataset": ("digitlab.data", "load"),
    "make_spec": ("digitlab.lab", "make_spec"),
    "run_many": ("digitlab.lab", "run_many"),
    "start": ("digitlab.lab", "start"),
    "train": ("digitlab.lab", "train"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'digitlab' has no attribute {name!r}")
    home, original = _HOMES[name]
    module = importlib.import_module(home)
    value: object = getattr(module, original) if original else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
