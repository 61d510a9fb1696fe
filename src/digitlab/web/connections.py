"""A connection says soon what it wants, and takes what it is sent, or is closed."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class _Cutter:
    """Cuts a connection whose other end takes nothing of what waits for it for so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, transport: asyncio.Transport) -> None:
        """Something waits."""
        waiting = transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._look_again, transport, waiting)

    def forget(self) -> None:
        """Nothing waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self, transport: asyncio.Transport, before: int) -> None:
        if transport.get_write_buffer_size() < before:
            self.wait(transport)
        else:
            transport.abort()


def http_patient_for(head_seconds: float, send_seconds: float) -> type[H11Protocol]:
    """The protocol of connections.

    head_seconds: in which each says what it wants
    send_seconds: in which it takes something of its answer
    """

    class ImpatientHttp(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self._cutter = _Cutter(send_seconds)
            super().connection_made(transport)
            self._wait()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._cutter.wait(self.transport)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._cutter.forget()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._cutter.forget()

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

    class ImpatientSocket(WebSocketsSansIOProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self._cutter = _Cutter(seconds)
            super().connection_made(transport)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._cutter.wait(self.transport)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._cutter.forget()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._cutter.forget()

    return ImpatientSocket
