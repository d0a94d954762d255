"""Reads a story from TOML or YAML. Everything that is wrong is told before anything is played."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs

from carelink.consent.reasons import ReasonCode
from carelink.engine.zones import check_zone
from carelink.errors import InvalidInputError
from carelink.model.moment import Instant
from carelink.packs.loader import bundled, bundled_bytes
from carelink.scenario.moments import moment
from carelink.scenario.vocabulary import KINDS, STORY

__all__ = ["Story", "parse_story", "read_story"]

_EPOCH: Final = Instant(0)
_EFFECTS: Final = ("permit", "defer", "refuse")


@attrs.frozen(kw_only=True)
class Story:
    """A story that was read: every table checked against its form, packs at hand.

    Attributes:
        body: the tables, as docs/reference/scenario.md lists them.
        packs: their bytes by the name the story gives them, for `scenario.packs` and every `adopt`.
    """

    id: str
    title: str
    zone: str
    start: Instant
    seed: int
    body: Mapping[str, Any]
    packs: Mapping[str, bytes]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps in the order of the file."""
        found: list[dict[str, Any]] = self.body["step"]
        return found


def read_story(path: Path) -> Story:
    """Read a file; `.yaml` and `.yml` are YAML, all else TOML. Pack files stand beside it.

    Raises:
        InvalidInputError: it is malformed, or a pack is not there.
    """
    data = path.read_bytes()
    return parse_story(data, yaml=path.suffix in {".yaml", ".yml"}, beside=path.parent)


def parse_story(data: bytes, *, yaml: bool = False, beside: Path | None = None) -> Story:
    """Read a story from bytes.

    Raises:
        InvalidInputError: it is malformed, or a pack is not there.
    """
    body = STORY.read(_yaml(data) if yaml else _toml(data), "story")
    head = body["scenario"]
    zone = head.get("zone", "Asia/Shanghai")
    check_zone(zone)
    ZoneInfo(zone)
    named = [*head["packs"], *(name for step in body["step"] for name in step.get("adopt", ()))]
    _check_words(body)
    own = {one["name"]: one["text"].encode() for one in body.get("pack", ())}
    if len(own) != len(body.get("pack", ())) or own.keys() & set(bundled()):
        raise InvalidInputError("pack: two packs are called alike", hint="a story's own packs have names of their own")
    return Story(
        id=head["id"],
        title=head["title"],
        zone=zone,
        start=moment(head["start"], _EPOCH, zone, "scenario.start"),
        seed=head.get("seed", 1),
        body=body,
        packs={name: own[name] if name in own else _pack(name, beside) for name in named},
    )


def _toml(data: bytes) -> object:
    problem = ""
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        problem = "not UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
    raise InvalidInputError(f"the story is not TOML: {problem}", hint="docs/how-to/write-a-scenario.md begins with one")


def _yaml(data: bytes) -> object:
    problem = ""
    try:
        from yaml import YAMLError, safe_load  # noqa: PLC0415  an extra: `pip install carelink[scenarios]`
    except ImportError:
        raise InvalidInputError(
            "stories in YAML need another package", hint="pip install 'carelink[scenarios]', or write TOML"
        ) from None
    try:
        return safe_load(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        problem = "not UTF-8"
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = f"{getattr(error, 'problem', None) or 'malformed'}, line {mark.line + 1 if mark else '?'}"
    raise InvalidInputError(f"the story is not YAML: {problem}", hint="docs/how-to/write-a-scenario.md begins with one")


def _pack(name: str, beside: Path | None) -> bytes:
    if name in bundled():
        return bundled_bytes(name)
    if beside is not None and (file := beside / name).is_file():
        return file.read_bytes()
    raise InvalidInputError(
        "scenario.packs: neither a bundled pack nor a file beside the story, nor a `[[pack]]` in it",
        hint=f"bundled: {', '.join(bundled())}",
    )


def _check_words(body: Mapping[str, Any]) -> None:
    """Words that are keys: kinds of entries, effects and reasons."""
    counted = frozenset((*_EFFECTS, *ReasonCode))
    places = [("totals", body.get("totals", {}))]
    places += [(f"step[{number}].expect", step.get("expect", {})) for number, step in enumerate(body["step"], 1)]
    for where, place in places:
        for word in _strange(place.get("entries", {}), KINDS):
            raise InvalidInputError(f"{where}.entries: `{word}` is no kind of entry", hint=", ".join(sorted(KINDS)))
        for word in _strange(place.get("counts", {}), counted):
            raise InvalidInputError(f"{where}.counts: `{word}` is no effect and no reason", hint=", ".join(_EFFECTS))


def _strange(given: Mapping[str, object], known: frozenset[str]) -> Iterator[str]:
    return (word for word in given if word not in known)
