"""A real SMTP server, aiosmtpd, on loopback in a thread of its own; needs the `test` extra."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP

__all__ = ["RealSmtp"]


class RealSmtp:
    """The server. Use it as a context manager; `port` is where it listens.

    Args:
        handler: an aiosmtpd handler (`handle_RCPT`, `handle_DATA`, ...).
        tls: certificate for STARTTLS. implicit: TLS before the first word instead.
        options: further arguments of `aiosmtpd.smtp.SMTP`.
    """

    def __init__(
        self, handler: Any, *, tls: ssl.SSLContext | None = None, implicit: bool = False, **options: Any
    ) -> None:
        self._handler, self._tls, self._implicit = handler, tls, implicit
        self._options = {"enable_SMTPUTF8": True, **options}
        self._protocols: list[Any] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.port = 0
        # The server's log has whole messages in it, and would be taken for the client's.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the SMTP server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _protocol(self) -> Any:
        starttls = None if self._implicit else self._tls
        made = SMTP(self._handler, hostname="peer.invalid", tls_context=starttls, **self._options)
        self._protocols.append(made)
        return made

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        context = self._tls if self._implicit else None
        server = await self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        for _ in range(20):
            await asyncio.sleep(0)
