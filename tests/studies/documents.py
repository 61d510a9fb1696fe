"""Study documents that tests start from."""

from typing import Any

from digitlab.studies import Study

RATES = {"name": "learning_rate", "range": {"from": 0.1, "to": 0.4}, "tune": True}
SIZES = {"name": "batch_size", "values": [50, 100]}


def document(**changes: Any) -> dict[str, Any]:
    """An intact one: two batch sizes, three rates."""
    usual = {"name": "mine", "title": "Mine", "question": "What if?", "axes": [SIZES, RATES]}
    return usual | {"fixed": {"validation_size": 100}} | changes


def study(**changes: Any) -> Study:
    return Study.model_validate(document(**changes))
