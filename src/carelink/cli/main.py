"""`carelink`: the root of the command line. Every command registers its own parser; only this module ends the process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from carelink import __version__
from carelink.cli.exit_codes import Exit
from carelink.errors import (
    CannotJudgeError,
    CarelinkError,
    DivergedError,
    InvalidInputError,
    TamperedError,
)
from carelink.telemetry import configure

__all__ = ["build_parser", "main"]

COMMANDS: Final = (
    "demo", "init", "mode", "patients", "consent", "content", "policy", "preview", "send", "inbound", "why",
    "audit", "channels", "store", "doctor",
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The whole parser."""
    parser = argparse.ArgumentParser(
        prog="carelink", description="The gate every message to a patient must pass.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"carelink {__version__}")
    parser.add_argument("--home", help="home folder (else CARELINK_HOME, else ./carelink-data)")
    parser.add_argument("--lang", choices=("en", "zh"), default="en", help="language of sentences")
    parser.add_argument("--verbose", action="store_true", help="operators' log lines on stderr")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"carelink.cli.{name}").add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    args = build_parser().parse_args(argv)
    configure(verbose=args.verbose)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print("interrupted; run the same command again, nothing is done twice", file=sys.stderr)
        return Exit.COULD_NOT_RUN
    except BrokenPipeError:
        return Exit.COULD_NOT_RUN
    except CarelinkError as error:
        print(f"carelink: {error}", file=sys.stderr)
        return _code(error)
    except OSError as error:
        print(f"carelink: the system refused: {error.strerror or type(error).__name__}", file=sys.stderr)
        return Exit.COULD_NOT_RUN


def _code(error: CarelinkError) -> Exit:
    if isinstance(error, TamperedError):
        return Exit.TAMPERED
    if isinstance(error, DivergedError):
        return Exit.DIVERGED
    if isinstance(error, CannotJudgeError):
        return Exit.CANNOT_JUDGE
    if isinstance(error, InvalidInputError):
        return Exit.USAGE
    return Exit.COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
