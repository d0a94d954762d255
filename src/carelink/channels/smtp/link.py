"""One connection to the submission server: opened, protected, logged in, and then one command and its whole reply at a
time. Every wait has an end, and nothing is ever sent twice.

Stands on `smtplib` for the dialogue; reading and writing are its own, because `smtplib` waits anew for every byte, and
keeps the server's text and the data in exceptions and audit events.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from carelink.channels.smtp.options import SmtpOptions, Tls
from carelink.channels.smtp.replies import Reply, Stage, reply_of
from carelink.model.moment import SECOND, Micros
from carelink.ports.system import Clock
from carelink.vault.personal import Personal

__all__ = ["Link", "LinkError"]

_LINE: Final = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.ASCII | re.DOTALL)
_MAX_LINE: Final = 4096
_MAX_LINES: Final = 200
_CHALLENGE: Final = 334


class LinkError(Exception):
    """The attempt cannot go on over this connection.

    Attributes:
        stage: where it stood.
        reply: what the server said, if it said something whole.
        word: a more exact code, where there is one.
    """

    def __init__(self, stage: Stage, reply: Reply | None = None, word: str = "") -> None:
        super().__init__(stage.value)
        self.stage, self.reply, self.word = stage, reply, word


class Link(smtplib.SMTP):
    """A connection. `stage` is where the dialogue stands; `until` (monotonic) ends every wait."""

    def __init__(self, options: SmtpOptions, context: Callable[[], ssl.SSLContext], clock: Clock) -> None:
        super().__init__(local_hostname=options.helo)
        self._options, self._context, self._clock = options, context, clock
        self._unread = b""
        self.stage = Stage.CONNECT
        self.until = 0

    def __repr__(self) -> str:
        return f"Link({self.stage.value})"

    def wait_at_most(self, length: int) -> None:
        """No wait, from now, goes on for longer than this (nor for longer than the `timeout` setting)."""
        self.until = self._clock.monotonic() + min(length, self._options.timeout)

    # -- bytes -------------------------------------------------------------------------------------------------------

    def _lost(self, word: str = "") -> LinkError:
        self.drop()
        return LinkError(self.stage, word=word)

    def _socket(self) -> Any:
        left = self.until - self._clock.monotonic()
        if self.sock is None or left <= 0:
            raise self._lost()
        self.sock.settimeout(left / SECOND)
        return self.sock

    def send(self, s: Any) -> None:
        """Write all of it, or lose the connection."""
        data = s.encode() if isinstance(s, str) else bytes(s)
        sock, failed = self._socket(), False
        try:
            sock.sendall(data)
        except OSError:
            failed = True
        if failed:
            raise self._lost()

    def _receive(self) -> None:
        sock, data = self._socket(), b""
        try:
            data = sock.recv(_MAX_LINE)
        except OSError:
            data = b""
        if not data:
            raise self._lost()
        self._unread += data

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            if len(self._unread) > _MAX_LINE:
                raise self._lost()
            self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.removesuffix(b"\r")

    def getreply(self) -> tuple[int, bytes]:
        """Code and text of one whole reply. What is no reply loses the connection."""
        code = 0
        lines: list[bytes] = []
        while len(lines) < _MAX_LINES:
            found = _LINE.fullmatch(self._line())
            if found is None or (lines and int(found[1]) != code):
                raise self._lost()
            code = int(found[1])
            lines.append(found[3] or b"")
            if found[2] != b"-":
                return code, b"\n".join(lines)
        raise self._lost()

    def spoke(self) -> bool:
        """Whether the server has said something nobody asked for. Does not wait."""
        if self.sock is None:
            raise self._lost()
        data: bytes | None = None
        try:
            self.sock.settimeout(0)
            data = self.sock.recv(_MAX_LINE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return bool(self._unread)
        except OSError:
            data = b""
        if not data:
            raise self._lost()
        self._unread += data
        return True

    def ask(self, stage: Stage, command: str) -> Reply:
        """One command, one reply."""
        self.stage = stage
        if self._unread:
            # An answer before its question would be taken for the answer to the next.
            raise self._lost()
        self.putcmd(command)
        return self.answer()

    def answer(self) -> Reply:
        """The next reply."""
        return reply_of(*self.getreply())

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, protect, log in.

        Raises:
            LinkError: it did not come to that. No message, sender or recipient has been named yet.
        """
        self._connect()
        if self._options.tls is Tls.IMPLICIT:
            self._protect()
        self.stage = Stage.BANNER
        self._need(self.answer())
        self._hello()
        if self._options.tls is Tls.STARTTLS:
            if not self.has_extn("starttls"):
                raise self._lost("starttls_not_offered")
            self._need(self.ask(Stage.STARTTLS, "STARTTLS"))
            if self._unread:
                raise self._lost("starttls_injected")
            self._protect()
            self.esmtp_features, self.does_esmtp, self.ehlo_resp = {}, False, None
            self._hello()
        if self._options.username is not None and self._options.password is not None:
            self._login(self._options.username, self._options.password)

    def _need(self, reply: Reply) -> None:
        if not reply.positive:
            self.drop()
            raise LinkError(self.stage, reply)

    def _hello(self) -> None:
        self.stage = Stage.EHLO
        code, text = self.ehlo()
        self._need(reply_of(code, text))

    def _connect(self) -> None:
        self.stage = Stage.CONNECT
        found: list[Any] = []
        try:
            found = socket.getaddrinfo(self._options.host, self._options.port, type=socket.SOCK_STREAM)
        except OSError:
            found = []
        for family, kind, protocol, _, address in found:
            left = self.until - self._clock.monotonic()
            if left <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(left / SECOND)
                sock.connect(address)
            except OSError:
                sock.close()
                continue
            # The dot follows the text in a write of its own; it must not wait for the text's acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = sock
            return
        raise self._lost("" if found else "host_not_found")

    def _protect(self) -> None:
        self.stage, word = Stage.TLS, ""
        plain = self._socket()
        try:
            self.sock = self._context().wrap_socket(plain, server_hostname=self._options.host)
        except ssl.SSLCertVerificationError:
            word = "certificate_not_trusted"
        except (OSError, ValueError):
            word = "tls_failed"
        if word:
            plain.close()
            raise self._lost(word)

    def _login(self, username: Personal[str], password: Personal[str]) -> None:
        offered = str(self.esmtp_features.get("auth", "")).upper().split()
        if "PLAIN" in offered:
            secret = base64.b64encode(f"\0{username.reveal('login')}\0{password.reveal('login')}".encode()).decode()
            reply = self.ask(Stage.AUTH, f"AUTH PLAIN {secret}")
        elif "LOGIN" in offered:
            reply = self.ask(Stage.AUTH, "AUTH LOGIN")
            for part in (username, password):
                if reply.code != _CHALLENGE:
                    break
                reply = self.ask(Stage.AUTH, base64.b64encode(part.reveal("login").encode()).decode())
        else:
            self.stage = Stage.AUTH
            raise self._lost("auth_not_offered")
        self._need(reply)

    # -- closing -----------------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Close without a word; whatever was under way is not finished."""
        self.close()
        self._unread = b""

    def leave(self) -> None:
        """Say goodbye, if anybody listens, and close."""
        try:
            if self.sock is not None and not self.spoke():
                self.wait_at_most(Micros(SECOND))
                self.putcmd("QUIT")
                self.getreply()
        except LinkError:
            pass
        self.drop()
