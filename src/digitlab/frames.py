"""Results and curves as pandas DataFrames, for those who work with pandas; nothing else here needs it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from digitlab.errors import DigitlabError, RunError, with_extra
from digitlab.execution.events import Failure
from digitlab.result import Curve, RunResult
from digitlab.store.export import table_of

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]


def frame(what: Curve | RunResult | Iterable[RunResult | Failure]) -> "pd.DataFrame":
    """Results as a DataFrame, a row each; or a curve, a row for each point.

        runs = dl.frame(dl.run_many(specs))
        runs.groupby("spec.batch_size")["metrics.test_accuracy"].agg(["mean", "std"])
        dl.frame(result.curve).plot(x="step", y="training_loss")

    Of results the columns are those of `digitlab runs export --format csv`: `key`, `outcome`, every field of
    the RunSpec under `spec.` and every figure under `metrics.`; losses in nats, accuracies as shares from 0
    to 1, NaN where there is none; layers as a text such as `[100, 100]`.
    Of a curve they are `step` (steps taken), `training_loss`, and with a validation split `validation_loss`
    (both in nats) and `validation_accuracy` (a share).

    Raises DigitlabError where pandas is missing, RunError when a run has failed and so has no row.
    """
    try:
        import pandas as pd
    except ImportError:
        raise DigitlabError(f"frame: pandas is missing; {with_extra('pandas')}") from None
    if isinstance(what, Curve):
        return pd.DataFrame({name: list(values) for name, values in what if values})
    rows, columns = table_of(map(_checked, [what] if isinstance(what, RunResult) else what))
    return pd.DataFrame(rows, columns=columns)


def _checked(result: RunResult | Failure) -> RunResult:
    if isinstance(result, Failure):
        raise RunError(
            f"{result.spec.network_name}, seed {result.spec.seed}: {result.cause}; leave it out, or train it "
            "again"
        )
    return result
