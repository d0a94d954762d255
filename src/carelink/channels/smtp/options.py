"""Settings of the SMTP channel: the `[channels.smtp]` table, read once and closed to misspelling."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from enum import StrEnum, unique
from pathlib import Path
from typing import Any, Final

import attrs

from carelink.channels.smtp.addresses import Mailbox, mailbox_of, one_line
from carelink.errors import ConfigurationError
from carelink.model.moment import SECOND, Micros
from carelink.vault.personal import Personal

__all__ = ["SmtpOptions", "Tls", "read_options"]

_KEYS: Final = {
    "bounces",
    "ca_file",
    "helo",
    "host",
    "password",
    "port",
    "reply_to",
    "sender",
    "sender_name",
    "timeout",
    "tls",
    "username",
    "verp",
}
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
_HELO: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,50}\]", re.ASCII)
_MAX_PORT: Final = 65535
_MAX_TIMEOUT: Final = 600
_MAX_TAGGED: Final = 31
"""A local part has 64 octets (RFC 5321 4.5.3.1.1); the delimiter and the key take 33."""


@unique
class Tls(StrEnum):
    """How the connection is protected. NONE is for a mail server on this machine."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@attrs.frozen(kw_only=True)
class SmtpOptions:
    """What `[channels.smtp]` says.

    Attributes:
        host, port: the submission server.
        tls: `starttls` unless set; a server that does not offer it gets no message.
        ca_file: PEM certificates to trust instead of the system's.
        username, password: for AUTH; neither or both.
        sender, sender_name, reply_to: what the recipient sees.
        bounces: envelope sender, where bounces go; `sender` unless set.
        verp: put the key into the envelope sender, `bounces+KEY@...`, for servers without DSN.
        helo: name this machine gives; the sender's domain unless set.
        timeout: longest wait for one answer of the server. Before the message has left whole, the lease is shorter.
    """

    host: str
    port: int
    tls: Tls
    ca_file: Path | None
    username: Personal[str] | None
    password: Personal[str] | None
    sender: Mailbox
    sender_name: str
    reply_to: Mailbox | None
    bounces: Mailbox
    verp: bool
    helo: str
    timeout: Micros


def _fail(what: str, hint: str = "see docs/how-to/use-smtp.md") -> ConfigurationError:
    return ConfigurationError(f"`channels.smtp`: {what}", hint=hint)


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or not one_line(value):
        raise _fail(f"`{key}` is not a text of one line")
    return value


def _mailbox(table: Mapping[str, Any], key: str) -> Mailbox | None:
    text = _text(table, key)
    if not text:
        return None
    box = mailbox_of(text)
    if box is None or box.international:
        # Our own addresses stand in every message: they must pass every server, so they are plain ASCII.
        raise _fail(f"`{key}` is not an ASCII email address")
    return box


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(table: Mapping[str, Any]) -> tuple[Personal[str] | None, Personal[str] | None]:
    username, password = table.get("username"), table.get("password")
    if isinstance(password, str):
        raise _fail("the password stands in the settings", "use `password_env` or `password_secret_file`")
    if username is None and password is None:
        return None, None
    if not isinstance(username, str) or not username or not isinstance(password, Personal):
        raise _fail("`username` and a password belong together", "set `password_env` or `password_secret_file`")
    return Personal(username), password


def read_options(table: Mapping[str, Any]) -> SmtpOptions:
    """Read the table.

    Raises:
        ConfigurationError: a setting is unknown, missing or malformed, or TLS is off towards another machine. The
            message names the setting, never its value.
    """
    if surplus := sorted(set(table) - _KEYS):
        raise _fail(f"unknown setting `{surplus[0][:40]}`")
    host, helo = _text(table, "host"), _text(table, "helo")
    if _HOST.fullmatch(host) is None:
        raise _fail("`host` is missing, or is not a host name")
    chosen = _text(table, "tls") or Tls.STARTTLS.value
    if chosen not in {kind.value for kind in Tls}:
        raise _fail("`tls` is `starttls`, `implicit` or `none`")
    tls = Tls(chosen)
    if tls is Tls.NONE and not _loopback(host):
        raise _fail('`tls = "none"` is for a server on this machine', "use `starttls` or `implicit`")
    port = table.get("port", 465 if tls is Tls.IMPLICIT else 587)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= _MAX_PORT:
        raise _fail("`port` is not a port number")
    timeout = table.get("timeout", 30)
    if not isinstance(timeout, int) or isinstance(timeout, bool) or not 0 < timeout <= _MAX_TIMEOUT:
        raise _fail(f"`timeout` is a number of seconds up to {_MAX_TIMEOUT}")
    verp = table.get("verp", False)
    if not isinstance(verp, bool):
        raise _fail("`verp` is true or false")
    sender = _mailbox(table, "sender")
    if sender is None:
        raise _fail("`sender` is missing")
    bounces = _mailbox(table, "bounces") or sender
    if verp and len(bounces.local) > _MAX_TAGGED:
        raise _fail(f"with `verp` the name in `bounces` has up to {_MAX_TAGGED} characters")
    if helo and _HELO.fullmatch(helo) is None:
        raise _fail("`helo` is not a host name")
    ca_file = _text(table, "ca_file")
    if ca_file and not Path(ca_file).is_file():
        raise _fail("`ca_file` names no file")
    username, password = _credentials(table)
    return SmtpOptions(
        host=host,
        port=port,
        tls=tls,
        ca_file=Path(ca_file) if ca_file else None,
        username=username,
        password=password,
        sender=sender,
        sender_name=_text(table, "sender_name"),
        reply_to=_mailbox(table, "reply_to"),
        bounces=bounces,
        verp=verp,
        helo=helo or sender.domain,
        timeout=Micros(timeout * SECOND),
    )
