"""Which model answers: the default one, one in a file, or that of a run in the store."""

from digitlab.engine.progress import Progress
from digitlab.files import StrPath
from digitlab.networks import OnNote, named_network
from digitlab.prediction.default_model import default_model
from digitlab.prediction.model import Model, OnWork, model_of


def chosen_model(
    wanted: str | None, on_work: OnWork, on_note: OnNote, *, store_file: StrPath | None = None
) -> Model:
    """The model that is wanted: a safetensors file, or a run's key or its first digits; None: the default.

    Raises WeightsError when the file is no network's; StoreError when there is no such run; what `lab.run`
    raises.
    """
    if wanted is None:
        return default_model(on_work, on_note)

    def tell(progress: Progress) -> None:
        on_work(f"accuracy {progress.accuracy:.4f}", progress.step / progress.step_count)

    return model_of(named_network(wanted, on_note, tell, store_file=store_file))
