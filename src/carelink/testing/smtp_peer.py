"""An SMTP server on loopback that does what a script says: answers, hangs up, resets or keeps silent at any stage.

It shows what a channel makes of every answer and of every broken line, and counts what reached it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from enum import Enum, unique
from types import TracebackType
from typing import Final, Self

import attrs

__all__ = ["Do", "Received", "SmtpPeer"]

_ANSWERS: Final = {
    "banner": "220 peer ready",
    "starttls": "220 go ahead",
    "auth": "235 2.7.0 welcome",
    "rset": "250 2.0.0 forgotten",
    "noop": "250 2.0.0 yes",
    "mail": "250 2.1.0 sender ok",
    "rcpt": "250 2.1.5 recipient ok",
    "data": "354 go on",
    "dot": "250 2.0.0 taken",
    "quit": "221 2.0.0 bye",
}
_END: Final = b"\r\n.\r\n"


@unique
class Do(Enum):
    """What the peer does instead of answering. `PART` closes in the middle of a reply."""

    CLOSE = "close"
    RESET = "reset"
    SILENT = "silent"
    PART = "part"


@attrs.define
class Received:
    """One transaction the peer saw the end of the text of: the whole message, dots undone."""

    mail: str
    rcpt: str
    content: bytes


class SmtpPeer:
    """The server. Use it as a context manager.

    Attributes:
        script: by stage (`banner`, `ehlo`, `starttls`, `auth`, `rset`, `noop`, `mail`, `rcpt`, `data`, `body`, `dot`,
            `quit`) an answer or a `Do`; a list is used up one by one, then the usual answer. Change it at any time.
        on: called when a stage is reached, before it is answered; it may move a clock.
        received: messages whose final dot arrived, whatever was answered.
        begun: how many texts were begun.
        commands: every command line.
        connections: how many there were.
    """

    def __init__(
        self,
        script: Mapping[str, str | Do | list[str | Do]] | None = None,
        *,
        extensions: tuple[str, ...] = ("8BITMIME", "SIZE 10000000", "DSN", "SMTPUTF8", "AUTH PLAIN LOGIN"),
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> None:
        self.script: dict[str, str | Do | list[str | Do]] = dict(script or {})
        self.on: dict[str, Callable[[], object]] = {}
        self.received: list[Received] = []
        self.begun = 0
        self.commands: list[str] = []
        self.connections = 0
        self.extensions = extensions
        self._tls, self._implicit = tls, implicit
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(5)

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def interject(self, text: str) -> None:
        """Say something that nobody asked for, on every connection without TLS."""
        for sock in list(self._open):
            sock.sendall(text.encode() + b"\r\n")

    def _accept(self) -> None:
        workers: list[threading.Thread] = []
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                break
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.append(sock)
            workers.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
            workers[-1].start()
        for worker in workers:
            worker.join(5)

    def _serve(self, sock: socket.socket) -> None:
        holder = [sock]
        try:
            _Dialogue(self, holder).run()
        except (OSError, _Gone):
            pass
        finally:
            self._open.remove(sock)
            sock.close()
            holder[0].close()

    def step(self, stage: str) -> str | Do:
        """What to do at a stage now."""
        if stage in self.on:
            self.on[stage]()
        wanted = self.script.get(stage, _ANSWERS.get(stage, ""))
        if isinstance(wanted, list):
            wanted = wanted.pop(0) if wanted else _ANSWERS.get(stage, "")
        return wanted

    def greeting(self, *, protected: bool) -> str:
        """The answer to EHLO."""
        offered = [*self.extensions]
        if self._tls is not None and not protected and not self._implicit:
            offered.append("STARTTLS")
        lines = ["peer.invalid", *offered]
        return "\r\n".join(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines)

    def protect(self, sock: socket.socket) -> socket.socket:
        """The socket under TLS; as it is where the peer has no certificate."""
        return sock if self._tls is None else self._tls.wrap_socket(sock, server_side=True)

    @property
    def implicit(self) -> bool:
        """Whether TLS comes before the first word."""
        return self._implicit


class _Gone(Exception):  # noqa: N818  not an error: the dialogue is over
    pass


class _Dialogue:
    def __init__(self, peer: SmtpPeer, holder: list[socket.socket]) -> None:
        self.peer, self.holder = peer, holder
        self.sock = holder[0]
        self.unread = b""
        self.protected = False
        self.mail = self.rcpt = ""

    def run(self) -> None:
        if self.peer.implicit:
            self.swap()
        self.answer("banner")
        while True:
            line = self.until(b"\r\n").decode("utf-8")
            self.peer.commands.append(line)
            verb = line.split(" ")[0].split(":")[0].lower()
            self.command(verb, line)

    def command(self, verb: str, line: str) -> None:
        if verb == "ehlo" and "ehlo" not in self.peer.script:
            self.peer.step("ehlo")
            self.say(self.peer.greeting(protected=self.protected))
        elif verb == "starttls":
            self.answer("starttls")
            self.swap()
        elif verb == "auth" and line.upper() == "AUTH LOGIN":
            self.say("334 VXNlcm5hbWU6")
            self.peer.commands.append(self.until(b"\r\n").decode())
            self.say("334 UGFzc3dvcmQ6")
            self.peer.commands.append(self.until(b"\r\n").decode())
            self.answer("auth")
        elif verb == "data":
            if self.answer("data").startswith("354"):
                self.text()
        else:
            self.mail = line if verb == "mail" else self.mail
            self.rcpt = line if verb == "rcpt" else self.rcpt
            self.answer(verb)
            if verb == "quit":
                raise _Gone

    def text(self) -> None:
        self.peer.begun += 1
        if "body" in self.peer.script:
            self.receive()
            self.answer("body")
        content = self.until(_END)
        self.peer.received.append(Received(self.mail, self.rcpt, re.sub(rb"(?m)^\.\.", b".", content) + b"\r\n"))
        self.answer("dot")

    def swap(self) -> None:
        self.sock = self.holder[0] = self.peer.protect(self.sock)
        self.protected = True

    def answer(self, stage: str) -> str:
        wanted = self.peer.step(stage)
        if wanted is Do.RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
            raise _Gone
        if wanted is Do.SILENT:
            while self.sock.recv(65536):
                pass
            raise _Gone
        if wanted is Do.PART:
            self.sock.sendall(b"250-2.0.0 not all of it")
            raise _Gone
        if not isinstance(wanted, str):
            raise _Gone
        if wanted:
            self.say(wanted)
        return wanted

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode() + b"\r\n")

    def receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise _Gone
        self.unread += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self.unread:
            self.receive()
        data, _, self.unread = self.unread.partition(mark)
        return data
