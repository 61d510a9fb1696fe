"""A connection says soon what it wants, and takes what it is sent, or is closed."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


def http_patient_for(seconds: float) -> type[H11Protocol]:
    """The protocol of connections, each of which has so long for the head of a request."""

    class ImpatientHttp(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
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
                self._timer = self.loop.call_later(seconds, self._close)

        def _close(self) -> None:
            self._timer = None
            if self._is_waiting():
                self.transport.abort()

    return ImpatientHttp


def socket_patient_for(seconds: float) -> type[WebSocketsSansIOProtocol]:
    """The protocol of WebSockets; one that takes nothing of what waits for it for so long is cut."""

    class ImpatientSocket(WebSocketsSansIOProtocol):
        _timer: asyncio.TimerHandle | None = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self._wait()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._forget()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _wait(self) -> None:
            waiting = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(seconds, self._look_again, waiting)

        def _look_again(self, before: int) -> None:
            if self.transport.get_write_buffer_size() < before:
                self._wait()
            else:
                self.transport.abort()

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return ImpatientSocket
