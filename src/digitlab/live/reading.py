"""Which model reads a picture: the default one, trained once in the background, or that of a run."""

import threading
from collections import OrderedDict

from digitlab.errors import RunError, cause_of
from digitlab.live.laboratory import Laboratory
from digitlab.live.networks import Preparing
from digitlab.prediction.default_model import default_model
from digitlab.prediction.model import Model, model_of

_MOST_KEPT = 8


class Readers:
    """Models by the keys of their runs; the one that was asked for longest ago gives way."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._kept: OrderedDict[str, Model] = OrderedDict()
        self._default: Model | None = None
        self._share: float | None = None
        self._problem: str | None = None
        self._changed = threading.Lock()

    def find(self, key: str | None) -> Model | Preparing:
        """The model of a run; None: the default one. What is not there is made ready in the background.

        Raises what `Laboratory.weights` raises; RunError when the default model cannot be trained.
        """
        return self._default_model() if key is None else self._of_run(key)

    def _of_run(self, key: str) -> Model | Preparing:
        with self._changed:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = self._laboratory.weights(key)
        if isinstance(found, Preparing):
            return found
        model = model_of(found.network)
        run = self._laboratory.run(key)
        if run is None or run.has_ended:  # else it will soon be another network
            with self._changed:
                self._kept[key] = model
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return model

    def _default_model(self) -> Model | Preparing:
        with self._changed:
            if self._default is not None:
                return self._default
            if self._problem is not None:
                problem, self._problem = self._problem, None
                raise RunError(problem)
            if self._share is None:
                self._share = 0.0
                threading.Thread(target=self._make, daemon=True, name="digitlab default model").start()
            return Preparing(
                self._share,
                "training the network that reads digits: once on this machine, one or two minutes",
            )

    def _make(self) -> None:
        model, problem = None, None
        try:
            model = default_model(self._on_work, lambda _: None)
        except Exception as error:  # noqa: BLE001  # it is told to who asks next
            problem = cause_of(error)
        with self._changed:
            self._default, self._problem, self._share = model, problem, None

    def _on_work(self, _what: str, share: float) -> None:
        self._share = share
