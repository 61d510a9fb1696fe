"""A connection says soon what it wants, and takes what it is sent, or is closed; one too many is told so."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class _Impatient(asyncio.Protocol):
    """What both protocols share: a connection is cut whose other end takes nothing of what waits for it.

    send_seconds: in which it takes something
    """

    transport: asyncio.Transport
    send_seconds: float
    _cutting: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._cutting = loop.call_later(self.send_seconds, self._look_again, waiting)

    def _forget(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None

    def _look_again(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._watch()
        else:
            self.transport.abort()


def http_patient_for(head_seconds: float, seconds: float, most: int, refusing: Any) -> type[H11Protocol]:
    """The protocol of connections.

    head_seconds: in which each says what it wants
    seconds:      in which it takes something of its answer
    most:         connections at once
    refusing:     the application that answers one that comes past them
    """

    class ImpatientHttp(_Impatient, H11Protocol):
        send_seconds = seconds
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if len(self.connections) >= most:
                self.app = refusing
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_waiting():
                self._wait()
            elif self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _is_waiting(self) -> bool:
            """Whether no head has come yet. An upgraded connection is another protocol's."""
            return self.transport.get_protocol() is self and self.conn.their_state is h11.IDLE

        def _wait(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(head_seconds, self._close)

        def _close(self) -> None:
            self._timer = None
            if self._is_waiting():
                self.transport.abort()

    return ImpatientHttp


def socket_patient_for(seconds: float) -> type[WebSocketsSansIOProtocol]:
    """The protocol of WebSockets; one that takes nothing of what waits for it for so long is cut."""

    class ImpatientSocket(_Impatient, WebSocketsSansIOProtocol):
        send_seconds = seconds

    return ImpatientSocket
