"""Every open page is told what happens, at most ten times a second; a slow reader gets the latest state.

One task makes an update for all pages; each page has room for one. Where that is still unsent when the next
one comes, both give way to the whole state, as it is when the page is ready for it: so nothing piles up,
however slow a reader is, and whoever was left behind has everything.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from digitlab.live import Laboratory
from digitlab.web.pages import page_digest
from digitlab.web.schema import live_run_document
from digitlab.web.security import Refusal, refuse_socket
from digitlab.web.settings import Settings

_TOO_MUCH = 1008
_NOT_TAKEN = 1013


class _Reader:
    """One open page, and what waits for it."""

    def __init__(self) -> None:
        self._update: str | None = None
        self._news: dict[str, None] = {}
        self.is_behind = True  # it knows nothing yet
        self.changed = asyncio.Event()

    def offer(self, update: str | None, news: list[str]) -> None:
        """Leave an update; with one that is still there, both are forgotten for the whole state.

        news: of studies, of which the state holds nothing: all are told, each once
        """
        if update is not None and self._update is not None:
            self._update, self.is_behind = None, True
        elif not self.is_behind:
            self._update = update or self._update
        self._news |= dict.fromkeys(news)
        self.changed.set()

    def take(self, state: Callable[[], str]) -> list[str]:
        """What to send now."""
        self.changed.clear()
        update, self._update = self._update, None
        news, self._news = self._news, {}
        if self.is_behind:
            self.is_behind = False
            return [state(), *news]
        return [*([] if update is None else [update]), *news]


class Feed:
    """What happens in the laboratory, for all open pages."""

    def __init__(self, laboratory: Laboratory, settings: Settings) -> None:
        self._laboratory, self._settings = laboratory, settings
        self._readers: set[_Reader] = set()
        self._runs: dict[str, dict[str, Any]] = {}
        self._version = 0
        self._state: str | None = None
        self._wake = asyncio.Event()
        self._is_woken = False

    @contextlib.asynccontextmanager
    async def running(self) -> Any:
        """Tell pages what happens, until the block is left."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not self._is_woken:  # once until it is taken: there may be thousands
                self._is_woken = True
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._wake.set)

        unsubscribe = self._laboratory.subscribe(wake)
        task = asyncio.create_task(self._serve())
        try:
            yield
        finally:
            unsubscribe()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _serve(self) -> None:
        self._update()
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._is_woken = False
            self._update()
            await asyncio.sleep(1 / self._settings.limits.updates_per_second)

    def _update(self) -> None:
        """Take in what is new, and offer it to all."""
        changes = self._laboratory.changes(self._version)
        if changes.version == self._version:
            return
        self._version, self._state = changes.version, None
        updates = [self._partial(live_run_document(run)) for run in changes.runs]
        removed = [key for key in changes.removed if self._runs.pop(key, None) is not None]
        update = None
        if updates or removed:
            update = _text({"type": "update", "runs": updates, "removed": removed})
        news = [_text({"type": "study", "name": name}) for name in changes.studies]
        for reader in self._readers if update or news else ():
            reader.offer(update, news)

    def _partial(self, document: dict[str, Any]) -> dict[str, Any]:
        """What of a run is new; of its points, those that are."""
        key = document["key"]
        before = self._runs.pop(key, None)
        self._runs[key] = document  # as the latest: the order is the laboratory's
        if before is None:
            return {**document, "from": 0}
        changed = {name: value for name, value in document.items() if before[name] != value}
        if "points" in changed:
            known, points = before["points"], document["points"]
            first = len(known) if points[: len(known)] == known else 0
            changed |= {"points": points[first:], "from": first}
        return {"key": key, **changed}

    def _whole(self) -> str:
        """The whole state, made once for all who are behind."""
        if self._state is None:
            shown = [self._runs[run.key] for run in self._laboratory.state() if run.key in self._runs]
            self._state = _text({"type": "state", "runs": shown})
        return self._state

    async def serve(self, socket: WebSocket) -> None:
        """Serve one page until it goes, or is sent away."""
        if len(self._readers) >= self._settings.limits.sockets:
            says = f"{len(self._readers)} pages are open already, the most there may be; close one"
            await refuse_socket(socket.scope, socket.receive, socket.send, Refusal(503, says))
            return
        reader = _Reader()
        self._readers.add(reader)
        try:
            await socket.accept()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(socket, reader))
                group.create_task(self._read(socket, reader))
        except* (_GoneError, WebSocketDisconnect, RuntimeError, OSError):
            pass
        finally:
            self._readers.discard(reader)
            self._laboratory.observe(reader, ())

    async def _write(self, socket: WebSocket, reader: _Reader) -> None:
        limits = self._settings.limits
        await socket.send_text(
            _text({"type": "hello", "server": self._settings.server, "page": page_digest()})
        )
        reader.changed.set()
        while True:
            await reader.changed.wait()
            for text in reader.take(self._whole):
                await socket.send_text(text)  # which waits for a slow reader, and ends with one that is cut
            await asyncio.sleep(1 / limits.updates_per_second)

    async def _read(self, socket: WebSocket, reader: _Reader) -> None:
        limits = self._settings.limits
        allowance, last = limits.messages_per_second, time.monotonic()
        while True:
            message = await socket.receive()
            if message["type"] != "websocket.receive":
                raise _GoneError
            now = time.monotonic()
            allowance = min(limits.messages_per_second, allowance + (now - last) * limits.messages_per_second)
            last, allowance = now, allowance - 1
            keys = watched(message.get("text"), limits.message_bytes, limits.watched_runs)
            if keys is None or allowance < 0:
                await _close(
                    socket,
                    _TOO_MUCH,
                    "this is no message of the page" if keys is None else "too many messages",
                )
                raise _GoneError
            await asyncio.to_thread(self._laboratory.observe, reader, keys)


def watched(text: str | None, most_bytes: int, most_keys: int) -> list[str] | None:
    """The keys in a page's message `{"type": "watch", "keys": [..]}`; None: it is no such message."""
    if text is None or len(text) > most_bytes:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("type") != "watch":
        return None
    keys = message.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) and len(key) == 64 for key in keys):
        return None
    return keys[:most_keys]


class _GoneError(Exception):
    """The page has gone, or was sent away."""


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.application_state is WebSocketState.CONNECTED:
        await socket.close(code, reason)


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
