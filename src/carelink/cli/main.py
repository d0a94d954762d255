"""`carelink`: the root of the command line. Every command registers its own parser; only this module ends runs."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from carelink import __version__
from carelink.cli.exit_codes import Exit, code_of
from carelink.errors import CarelinkError
from carelink.telemetry import configure

__all__ = ["build_parser", "main"]

COMMANDS: Final = (
    "demo", "init", "mode", "patients", "consent", "content", "credentials", "policy", "preview", "send", "inbound",
    "replies", "why", "rights", "access", "breach", "keys", "crypto", "audit", "witness", "scenario", "capabilities",
    "channels", "store", "doctor",
)  # fmt: skip
YOUNG: Final = 50_000
"""Objects made before the collector looks at them. A batch keeps some two hundred a request until it is settled; at
Python's 700 they would be looked through over and over, a tenth of the time. In a library this is the host's choice.
"""

_VALUED: Final = ("--home", "--lang")
_PLAIN: Final = ("--verbose",)


class _Parser(argparse.ArgumentParser):
    """Takes no abbreviations: a script that used one would break with the next option added."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser with these commands; all of them if left out."""
    parser = _Parser(
        prog="carelink",
        description="The gate every message to a patient must pass.",
        epilog="The options above may also stand after the command. Exit codes: docs/reference/exit-codes.md",
    )
    parser.add_argument("--version", action="version", version=f"carelink {__version__}")
    parser.add_argument("--home", help="home folder (else CARELINK_HOME, else ./carelink-data)")
    parser.add_argument("--lang", choices=("en", "zh"), default="en", help="language of sentences and headings")
    parser.add_argument("--verbose", action="store_true", help="operators' log lines on stderr")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        import_module(f"carelink.cli.{name}").add(commands)
    return parser


def _hoisted(arguments: Sequence[str]) -> list[str]:
    """Options of every command stand where one likes; the root parser wants them first."""
    first: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        item = waiting.pop(0)
        if item == "--":
            rest += [item, *waiting]
            break
        if item in _PLAIN or item.startswith(tuple(f"{name}=" for name in _VALUED)):
            first.append(item)
        elif item in _VALUED:
            first += [item, *waiting[:1]]
            del waiting[:1]
        else:
            rest.append(item)
    return first + rest


def _named(arguments: Sequence[str]) -> tuple[str, ...]:
    """The one command that is asked for: the others need not be imported. All of them for help and for mistakes."""
    skip = False
    for item in arguments:
        if skip or item.startswith("-"):
            skip = item in _VALUED
            continue
        return (item,) if item in COMMANDS else COMMANDS
    return COMMANDS


def _parse(arguments: Sequence[str]) -> argparse.Namespace | int:
    """The parsed arguments, or the exit code where parsing was all there was to do."""
    wrong: CarelinkError | None = None
    try:
        return build_parser(_named(arguments)).parse_args(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.USAGE
    except CarelinkError as error:
        wrong = error
    print(f"carelink: {wrong}", file=sys.stderr)
    return Exit.USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    args = _parse(_hoisted(sys.argv[1:] if argv is None else argv))
    if isinstance(args, int):
        return args
    configure(verbose=args.verbose)
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("carelink: interrupted; run the same command again, nothing is done twice")
        return Exit.COULD_NOT_RUN
    except BrokenPipeError:
        _hush()
        return Exit.COULD_NOT_RUN
    except CarelinkError as error:
        _say(f"carelink: {error}")
        return code_of(error)
    except OSError as error:
        _say(f"carelink: the system refused: {error.strerror or type(error).__name__}{_of(error)}")
        return Exit.COULD_NOT_RUN
    except Exception as error:  # noqa: BLE001  a traceback can quote a patient (P8); where it happened is enough
        _say(f"carelink: unexpected {type(error).__name__} at {_place(error)}; this is a bug in carelink or a plugin")
        return Exit.COULD_NOT_RUN
    return code


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _hush(sys.stderr)


def _hush(stream: object = None) -> None:
    """Whoever read our output is gone: let the interpreter flush what is left into nothing, without a complaint."""
    gone = sys.stdout if stream is None else stream
    try:
        descriptor = gone.fileno()  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _of(error: OSError) -> str:
    """The last part of the path the system refused; the folders before it are nobody's business."""
    name = Path(error.filename).name if isinstance(error.filename, str) else ""
    return f": `{name}`" if name else ""


def _place(error: BaseException) -> str:
    """File and line of the innermost frame: no values."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


if __name__ == "__main__":
    sys.exit(main())
