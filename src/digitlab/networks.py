"""A network by its name: a saved file, or a run of the store, trained again unless its weights are kept.

The store keeps no weights. Those of runs that were trained again are kept in the platform's cache folder, the
latest hundred or so; whatever is missing or damaged there is made again.
"""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from digitlab import places
from digitlab.engine.progress import OnProgress
from digitlab.errors import WeightsError
from digitlab.files import StrPath
from digitlab.models import trained
from digitlab.models.parameters import digest
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import is_key_prefix

OnNote = Callable[[str], None]
"""Told a sentence that the user should see."""

MOST_KEPT = 100
NOTE = "digitlab_note"
"""Of a network's file: how it differs from the run in the store, in its metadata."""
_SHOWN = 12
_DIGEST_DIGITS = 32


def is_file(name: str) -> bool:
    """Whether a file is meant, not a run: a name of hexadecimal digits is a run's, unless a file is called
    so.
    """
    return not is_key_prefix(name) or Path(name).exists()


def named_network(
    name: str, on_note: OnNote, on_progress: OnProgress | None = None, *, store_file: StrPath | None = None
) -> TrainedNetwork:
    """The network of this name: in a safetensors file, or of the run whose key begins so.

    on_note:     told that a run is trained again, that it came out differently, that it cannot be kept, that
                 another process holds the store
    on_progress: told where that training is
    store_file:  of the store; by default the commands' own
    Raises WeightsError when a file holds no network, StoreError when there is no such run, and what
    `lab.run` raises.
    """
    if is_file(name):
        return trained.load(name)
    from digitlab.store import known_run, open_store  # whose library takes long to load

    with closing(open_store(store_file, must_exist=True, on_wait=on_note)) as store:
        known = known_run(store, name, predictions=True)
    return network_of_run(known, on_note, on_progress)


def network_of_run(
    known: RunResult, on_note: OnNote, on_progress: OnProgress | None = None
) -> TrainedNetwork:
    """The network of a run of the store; see `named_network`.

    known: the run, with its predictions
    """
    kept = kept_network(known.key)
    if kept is None:
        from digitlab.recomputation import trained_again  # which loads the store's library

        on_note(f"{known.key[:_SHOWN]}: {known.spec.network_name} is trained again")
        again = trained_again(known, on_progress)
        kept = KeptNetwork(again.network, again.note)
        try:
            keep_network(kept)
        except WeightsError as error:
            on_note(f"the weights of run {known.key[:_SHOWN]} are not kept for the next time ({error})")
    if kept.note:
        on_note(kept.note)
    return kept.network


@dataclass(frozen=True, eq=False)
class KeptNetwork:
    """The network of a run, as it came out on this machine.

    note: how it differs from the run in the store, in a sentence; empty where it is the same to the last bit
    """

    network: TrainedNetwork
    note: str = ""


def kept_network(key: str) -> KeptNetwork | None:
    """The network that is kept for a run; None when there is none, or when it is not what it was."""
    folder = _folder()
    for path in _files(folder, f"{key}-*") if folder is not None else ():
        with suppress(WeightsError):
            network = trained.load(path)
            if path.stem == _name(network) and network.spec.key == key:
                return KeptNetwork(network, trained.texts(path).get(NOTE, ""))
    return None


def keep_network(kept: KeptNetwork) -> None:
    """Keep a run's network for the next time, in the place of what was kept of it; the oldest go.

    Where there is no home, nothing is kept. Raises WeightsError when it cannot be written.
    """
    folder = _folder()
    if folder is None:
        return
    path = trained.writable_folder(folder) / f"{_name(kept.network)}.safetensors"
    kept.network.save(path, {NOTE: kept.note} if kept.note else None)
    earlier = [other for other in _files(folder, f"{kept.network.spec.key}-*") if other.name != path.name]
    for gone in (*earlier, *_files(folder, "*")[MOST_KEPT:]):
        with suppress(OSError):
            gone.unlink()


def _name(network: TrainedNetwork) -> str:
    """Of a kept file: it proves its weights."""
    return f"{network.spec.key}-{digest(network.layers)[:_DIGEST_DIGITS]}"


def _folder() -> Path | None:
    cache = places.cache_folder()
    return None if cache is None else cache / "runs"


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files of a pattern, the latest first; none where the folder cannot be read."""
    found = []
    with suppress(OSError):
        for path in folder.glob(f"{pattern}.safetensors"):
            with suppress(OSError):  # another process has just removed it
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)]
