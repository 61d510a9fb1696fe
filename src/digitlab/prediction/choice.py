"""Which model answers: the default one, one in a file, or that of a run in the store, trained again."""

import re
from contextlib import closing
from pathlib import Path

from digitlab import lab, places
from digitlab.engine.progress import Progress
from digitlab.errors import WeightsError
from digitlab.files import StrPath
from digitlab.models import trained
from digitlab.models.trained import TrainedNetwork
from digitlab.prediction.default_model import default_model
from digitlab.prediction.model import Model, OnNote, OnWork, model_of

_KEY = re.compile(r"[0-9a-f]{4,64}")


def chosen_model(
    wanted: str | None, on_work: OnWork, on_note: OnNote, *, store_file: StrPath | None = None
) -> Model:
    """The model that is wanted: a safetensors file, or a run's key or its first digits; None: the default.

    Raises WeightsError when the file is no network's; StoreError when there is no such run; what `lab.run`
    raises.
    """
    if wanted is None:
        return default_model(on_work, on_note)
    if Path(wanted).exists() or not _KEY.fullmatch(wanted):
        return model_of(trained.load(wanted))
    return model_of(_of_run(wanted, on_work, on_note, store_file))


def _of_run(prefix: str, on_work: OnWork, on_note: OnNote, store_file: StrPath | None) -> TrainedNetwork:
    """The network of a run: no store keeps weights, so it is trained again, to the same bits, and kept."""
    from digitlab.store import SHORT_KEY, known_run, open_store  # whose library takes long to load

    with closing(open_store(store_file, must_exist=True, on_wait=on_note)) as store:
        result = known_run(store, prefix)
    key = result.key
    cache = places.cache_folder()
    kept = None if cache is None else cache / "networks" / f"{key}.safetensors"
    if kept is not None and kept.is_file():
        try:
            network = trained.load(kept)
        except WeightsError:  # damaged: it is made again
            pass
        else:
            if network.spec.key == key:
                return network
    on_note(f"training run {key[:SHORT_KEY]} again, for no weights are kept")

    def tell(progress: Progress) -> None:
        on_work(f"accuracy {progress.accuracy:.4f}", progress.step / progress.step_count)

    _, network = lab.run(result.spec, on_progress=tell)
    if kept is not None:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            network.save(kept)
        except (OSError, WeightsError) as error:
            on_note(f"its weights cannot be kept for the next time ({error})")
    return network
