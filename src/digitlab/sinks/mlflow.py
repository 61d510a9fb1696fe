"""A sink that logs runs to MLflow: a server, or a database file.

Nothing is read back but the experiment's id. Where the user has not said otherwise, MLflow sends no reports
of its use, and does not ask a server for minutes that is gone.
"""

import logging
import os
import time
from collections.abc import Mapping

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
for _name, _value in _SETTINGS.items():  # read when the library is loaded
    os.environ.setdefault(_name, _value)

from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

from digitlab.sinks.interface import Ending, options_of, run_name  # noqa: E402
from digitlab.spec import RunSpec  # noqa: E402

_EXPERIMENT = "digitlab"
_STATUS: Mapping[Ending, str] = {
    "completed": "FINISHED",
    "collapsed": "FINISHED",
    "diverged": "FINISHED",
    "failed": "FAILED",
    "cancelled": "KILLED",
}
_LONGEST_TAG = 5_000


class MLflowSink:
    """See `Sink`. uri: of the server or database; None: what MLFLOW_TRACKING_URI says, or MLflow's own."""

    def __init__(self, uri: str | None = None) -> None:
        for name in ("mlflow", "alembic", "urllib3"):  # what fails is told once, as an exception
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client = MlflowClient(tracking_uri=uri)
        self._experiment = self._experiment_id(os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT)
        self._runs: dict[str, str] = {}

    def start(self, spec: RunSpec) -> None:
        """See `Sink`: a run with all options as its parameters."""
        run = self._client.create_run(
            self._experiment, run_name=run_name(spec), tags={"digitlab.key": spec.key}
        )
        self._runs[spec.key] = run.info.run_id
        params = [Param(name, value) for name, value in options_of(spec).items()]
        self._client.log_batch(run.info.run_id, params=params)

    def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
        """See `Sink`."""
        now = int(1_000 * time.time())
        metrics = [Metric(name, value, now, step) for name, value in figures.items()]
        self._client.log_batch(self._runs[key], metrics=metrics)

    def end(self, key: str, ending: Ending, cause: str) -> None:
        """See `Sink`: a run without a result has failed or was killed, in MLflow's words."""
        run_id = self._runs.pop(key)
        tags = [RunTag("digitlab.outcome", ending)]
        if cause:
            tags.append(RunTag("digitlab.cause", cause[:_LONGEST_TAG]))
        self._client.log_batch(run_id, tags=tags)
        self._client.set_terminated(run_id, _STATUS[ending])

    def close(self) -> None:
        """See `Sink`: each request has been answered."""

    def _experiment_id(self, name: str) -> str:
        """Of the experiment of this name, which is made where there is none."""
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another program was faster
            if found := self._client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise
