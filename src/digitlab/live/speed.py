"""How quickly a run advances, and when it will end."""

import time
from collections import deque

_WINDOW_SECONDS = 3.0
_LEAST_SECONDS = 0.2


class Speed:
    """Steps of one run over time; its evaluations and waits are in it.

    started: by `time.monotonic`
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._seen: deque[tuple[float, int]] = deque([(started, 0)])

    def see(self, step: int, now: float | None = None) -> None:
        """Take in how far it is."""
        now = time.monotonic() if now is None else now
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def seconds(self) -> float:
        """Since it began, when it was last seen."""
        return self._seen[-1][0] - self._started

    @property
    def steps_per_second(self) -> float | None:
        """Over the last few seconds; None: it has only just begun."""
        (first, step), (last, latest) = self._seen[0], self._seen[-1]
        return (latest - step) / (last - first) if last - first >= _LEAST_SECONDS and latest > step else None

    def seconds_left(self, step: int, step_count: int) -> float | None:
        """Until it ends, at this speed."""
        speed = self.steps_per_second
        return None if speed is None else (step_count - step) / speed
