"""What Ray raises, in words."""

from dataclasses import dataclass

from ray import exceptions

from digitlab.errors import DigitlabError, cause_of, plain

_MOST_CHARACTERS = 300
_NODE_IS_GONE = ("node has died", "node is dead", "doesn't exist any more")


@dataclass(frozen=True)
class Cause:
    """Why a worker has no answer.

    is_lost: the worker or its node is gone; else its answer is that something went wrong
    """

    text: str
    is_lost: bool


def cause(error: BaseException, host: str) -> Cause:
    """What happened to a worker on a node.

    host: the node's name
    """
    said = str(error)
    if isinstance(error, exceptions.OutOfMemoryError) or "low on memory" in said:
        return Cause(
            f"its node {host} ran out of memory, and its worker was ended; use smaller layers or batches, or "
            "fewer workers",
            True,
        )
    if isinstance(error, exceptions.RayTaskError) and isinstance(error.cause, DigitlabError):
        return Cause(str(error.cause), False)
    if isinstance(error, exceptions.NodeDiedError) or any(words in said for words in _NODE_IS_GONE):
        return Cause(f"its node {host} was lost", True)
    if isinstance(
        error,
        exceptions.RayActorError
        | exceptions.WorkerCrashedError
        | exceptions.ActorUnschedulableError
        | exceptions.TaskUnschedulableError,
    ):
        return Cause(f"its worker on {host} was lost ({_short(said)})", True)
    if isinstance(error, exceptions.RayError | ConnectionError):
        return Cause(f"Ray could not reach its worker on {host} ({_short(said)})", True)
    return Cause(_short(cause_of(error) if isinstance(error, Exception) else repr(error)), False)


def _short(said: str) -> str:
    """The last line that says something, where Ray tells long stories."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return plain(lines[-1] if lines else "no reason given", _MOST_CHARACTERS)
