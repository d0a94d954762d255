"""Requests as JSON lines: one in, one result out, in order. Any program that can start a process can send this way.

What has arrived is taken together, so a program that writes one request and waits has its answer at once, and one that
pours in a million gets batches; either way the memory needed stays the same. A line that is no request is answered on
its own line, with its number, and the rest goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from carelink.app import CareLink
from carelink.cli.exit_codes import Exit, code_of
from carelink.cli.interrupt import Pause
from carelink.cli.requests import from_json
from carelink.engine.outcome import SendOutcome
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.moment import iso
from carelink.model.request import Request
from carelink.vocabulary import Effect

__all__ = ["outcome_json", "read_lines", "send_lines"]

_BLOCK: Final = 1 << 18
_LONGEST: Final = 1 << 20
"""Bytes of a line, at most: a request with every field full is far below it."""
_BATCH: Final = 1000

Line = tuple[int, bytes | None]
"""Number, counted from 1, and bytes; None where it was longer than may be."""


@attrs.define
class _Splitter:
    """Cuts blocks into lines."""

    number: int = 0
    rest: bytearray = attrs.field(factory=bytearray)
    too_long: bool = False

    def feed(self, block: bytes) -> list[Line]:
        """The lines that this block completes."""
        found: list[Line] = []
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            self._grow(block[start:end])
            found.append(self._cut())
            start = end + 1
        self._grow(block[start:])
        return found

    def end(self) -> list[Line]:
        """The last line, if no line break ends it."""
        return [self._cut()] if self.rest or self.too_long else []

    def _grow(self, part: bytes) -> None:
        if self.too_long or len(self.rest) + len(part) > _LONGEST:
            self.rest.clear()
            self.too_long = True
        else:
            self.rest += part

    def _cut(self) -> Line:
        self.number += 1
        line = None if self.too_long else bytes(self.rest)
        self.rest.clear()
        self.too_long = False
        return self.number, line


def read_lines(stream: BinaryIO) -> Iterator[list[Line]]:
    """Lines of a stream, those that arrived together in one list; blank ones are left out, but counted."""
    splitter = _Splitter()
    read = getattr(stream, "read1", stream.read)
    while block := read(_BLOCK):
        yield from _parts(splitter.feed(block))
    yield from _parts(splitter.end())


def _parts(lines: list[Line]) -> Iterator[list[Line]]:
    wanted = [line for line in lines if line[1] is None or line[1].strip()]
    for start in range(0, len(wanted), _BATCH):
        yield wanted[start : start + _BATCH]


def outcome_json(outcome: SendOutcome) -> dict[str, object]:
    """One result for the caller's program."""
    if outcome.error is not None:
        return {"request": outcome.ref, **_error_json(outcome.error)}
    result: dict[str, object] = {"request": outcome.ref, "effect": outcome.effect.value}
    if outcome.decision is not None:
        result["reasons"] = [code.value for code in outcome.decision.codes]
        if outcome.decision.earliest is not None:
            result["earliest"] = iso(outcome.decision.earliest)
    receipt = outcome.receipt
    if receipt is not None:
        if receipt.outcome is not None:
            result["outcome"] = receipt.outcome.value
        for name in ("code", "delivery", "released"):
            if value := getattr(receipt, name):
                result[name] = value
    if outcome.repeated:
        result["repeated"] = True
    if outcome.in_flight:
        result["in_flight"] = True
    return result


def _error_json(error: CarelinkError) -> dict[str, object]:
    return {"error": error.code, "message": error.message, "hint": error.hint}


@attrs.define
class _Run:
    """One run over a stream of lines."""

    link: CareLink
    pause: Pause
    count: int = 0
    failed: int = 0
    only: SendOutcome | CarelinkError | None = None

    def batch(self, lines: list[Line]) -> None:
        """Decide and hand over what the lines ask for; print an answer for each, in order."""
        answers: dict[int, dict[str, object]] = {}
        waiting: dict[str, tuple[int, Request]] = {}
        for number, line in lines:
            request = self._request(number, line, answers)
            if request is None:
                continue
            if request.key in waiting:
                # A key stands for one contact: its second line must see what became of the first.
                self._send(list(waiting.values()), answers)
                waiting = {}
            waiting[request.key] = (number, request)
        self._send(list(waiting.values()), answers)
        self.count += len(lines)
        text = "".join(
            json.dumps({"line": number, **answers[number]}, ensure_ascii=False, sort_keys=True) + "\n"
            for number in sorted(answers)
        )
        sys.stdout.write(text)
        sys.stdout.flush()

    def _request(self, number: int, line: bytes | None, answers: dict[int, dict[str, object]]) -> Request | None:
        problem: CarelinkError
        try:
            return from_json(self.link, _text(number, line))
        except CarelinkError as error:
            problem = error
        self._fail(number, problem, answers)
        return None

    def _fail(self, number: int, error: CarelinkError, answers: dict[int, dict[str, object]]) -> None:
        answers[number] = _error_json(error)
        self.failed += 1
        self.only = error

    def _send(self, numbered: list[tuple[int, Request]], answers: dict[int, dict[str, object]]) -> None:
        if not numbered:
            return
        problem: CarelinkError | None = None
        outcomes: list[SendOutcome] = []
        self.pause.busy = True
        try:
            outcomes = self.link.send_many([request for _, request in numbered])
        except CarelinkError as error:
            problem = error
        finally:
            self.pause.busy = False
        if problem is not None:
            for number, _ in numbered:
                self._fail(number, problem, answers)
            return
        for (number, _), outcome in zip(numbered, outcomes, strict=True):
            if outcome.error is not None:
                self._fail(number, outcome.error, answers)
                answers[number] = outcome_json(outcome)
            else:
                answers[number] = outcome_json(outcome)
                self.only = outcome

    def exit_code(self) -> int:
        """One request answers with its own code; many are well if at least one line was a request."""
        if self.count == 1:
            if isinstance(self.only, CarelinkError):
                return code_of(self.only)
            return Exit.OK if self.only is None or self.only.effect is Effect.PERMIT else Exit.REFUSED
        return Exit.COULD_NOT_RUN if self.count and self.failed == self.count else Exit.OK


def _text(number: int, line: bytes | None) -> str:
    if line is None:
        raise InvalidInputError(f"a line is longer than {_LONGEST} bytes")
    text: str | None = None
    try:
        # Notepad and Excel begin a file with a byte order mark.
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise InvalidInputError("a line is not UTF-8")
    return text


def send_lines(link: CareLink, name: str, pause: Pause) -> int:
    """Send every request of a file, or of standard input for `-`; the exit code.

    Raises:
        OSError: the file cannot be read.
        BrokenPipeError: whoever reads the results is gone: nothing more is sent.
        KeyboardInterrupt: somebody asked to stop; everything answered, and the last batch, is settled.
    """
    run = _Run(link, pause)
    with ExitStack() as stack:
        stream = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        for lines in read_lines(stream):
            run.batch(lines)
            pause.check()
    if run.failed:
        print(f"{run.failed} of {run.count} lines were not decided: see `error` in their results", file=sys.stderr)
    return run.exit_code()
