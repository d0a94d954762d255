"""Hypothesis strategies for policy packs; part of `carelink.testing.strategies`, which is where to import them from."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from carelink.consent.pack import Pack, parse_pack
from carelink.consent.policy import BASELINE, Policy
from carelink.model.scope import ANY
from carelink.packs.loader import DEFAULT_PACKS, load_bundled
from carelink.vocabulary import (
    ChannelKind,
    ContactStatus,
    DataClass,
    Family,
    GrantMethod,
    LifecycleStage,
    Purpose,
    RecipientRole,
)

__all__ = ["RULE_KINDS", "pack_texts", "packs", "policies"]

_FLAG: Final = st.booleans()
_TENTH: Final = st.integers(0, 9).map(lambda number: number == 7)  # the ends of a range are drawn too often
_PURPOSES: Final = (ANY, *(family.value for family in Family), *(purpose.value for purpose in Purpose))
_CHANNELS: Final = (ANY, *(kind.value for kind in ChannelKind))
_ROLES: Final = tuple(role.value for role in RecipientRole)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


_LENGTH: Final = st.sampled_from(("PT1H", "PT6H", "P1D", "P1DT12H", "P2D", "P7D", "P30D"))
_CLOCK: Final = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02d}:{quarter % 4 * 15:02d}")
_PURPOSE_NAMES: Final = st.lists(st.sampled_from(_PURPOSES), min_size=1, max_size=2)
_CHANNEL_NAMES: Final = st.lists(st.sampled_from(_CHANNELS), min_size=1, max_size=2)
_ROLE_NAMES: Final = st.lists(st.sampled_from(_ROLES), min_size=1, max_size=2)
_STATUSES: Final = st.lists(st.sampled_from([status.value for status in ContactStatus]), min_size=1, max_size=4)
_COUNTING: Final[dict[str, st.SearchStrategy[Any]]] = {
    "counts": st.sampled_from(["person", "address", "both"]),
    "purposes": _PURPOSE_NAMES,
    "except_purposes": _PURPOSE_NAMES,
    "channels": _CHANNEL_NAMES,
    "replies": _FLAG,
    "plans": st.sampled_from(("any", "same", "none")),
}
_DATA: Final = st.lists(st.sampled_from([name.value for name in DataClass]), min_size=1, max_size=6)
_CATEGORIES: Final = st.sampled_from((["absolute", "sensitive"], ["pressure"]))
_NOTHING: Final[tuple[dict[str, st.SearchStrategy[Any]], dict[str, st.SearchStrategy[Any]]]] = ({}, {})
_KINDS: Final = {
    "gate": _NOTHING,
    "reach": _NOTHING,
    "subject": _NOTHING,
    "suppression": _NOTHING,
    "disclosure": _NOTHING,
    "time_window": _NOTHING,
    "veto": _NOTHING,
    "minors_marketing": _NOTHING,
    "due": _NOTHING,
    "approval_number": _NOTHING,
    "contact": ({}, {"statuses": _STATUSES, "max_age": _LENGTH}),
    "grant": ({}, {"separate": _FLAG, "by": _ROLE_NAMES, "if_data": _DATA}),
    "duplicate": ({"within": _LENGTH}, {}),
    "consent_method": ({"not": st.lists(st.sampled_from([m.value for m in GrantMethod]), min_size=1, max_size=3)}, {}),
    "reconfirm": ({"age": st.sampled_from((14, 18))}, {}),
    "ask_again": ({"cool_down": _LENGTH}, {}),
    "processor": ({}, {"agreement": _FLAG, "regions": st.sampled_from((["CN"], ["CN", "US"]))}),
    "review": ({"clinical": st.integers(1, 3)}, {"commercial": st.integers(0, 1), "ethics": st.integers(0, 1)}),
    "provider_template": ({}, {"required": _FLAG}),
    "screening": ({}, {"required": _FLAG, "categories": _CATEGORIES, "hold": st.just(["absolute"])}),
    "marks": ({"marks": st.sampled_from((["identity"], ["identity", "opt_out"]))}, {}),
    "clinician": ({}, {"always": _FLAG}),
    "data_purpose": ({"allowed": _DATA}, {}),
    "working_days": ({"calendar": st.sampled_from(("CN", "US"))}, {}),
    "given_by": ({"by": _ROLE_NAMES}, {}),
    "guardian": ({"under_age": st.sampled_from((8, 14, 18))}, {}),
    "content": ({}, {"min_approvals": st.integers(1, 4)}),
    "frequency_cap": ({"max": st.integers(0, 4), "window": _LENGTH}, _COUNTING),
    "minimum_gap": ({"gap": _LENGTH}, _COUNTING),
    "quiet_hours": ({"allowed_from": _CLOCK, "allowed_to": _CLOCK}, {"replies": _FLAG}),
}
"""Parameters, required and optional, of every rule kind."""
_PARAMS: Final = {kind: st.fixed_dictionaries(one, optional=two) for kind, (one, two) in _KINDS.items()}
_WHEN: Final = st.fixed_dictionaries(
    {},
    optional={
        "purposes": _PURPOSE_NAMES,
        "channels": _CHANNEL_NAMES,
        "roles": _ROLE_NAMES,
        "automated": _FLAG,
        "plan": _FLAG,
        "stages": st.lists(st.sampled_from([stage.value for stage in LifecycleStage]), min_size=1, max_size=2),
    },
)

RULE_KINDS: Final = tuple(_KINDS)
"""Every rule kind."""


@st.composite
def _rule_texts(draw: st.DrawFn, name: str, kinds: tuple[str, ...]) -> str:
    kind = draw(st.sampled_from(kinds))
    params = draw(_PARAMS[kind])
    if kind == "quiet_hours" and params["allowed_from"] == params["allowed_to"]:
        params.update(allowed_from="08:00", allowed_to="21:00")
    when = draw(_WHEN) if draw(st.sampled_from((False, False, True))) else {}
    dates = ("in_force = 2021-11-01", "encoded = 2026-01-01") if draw(_TENTH) else ()
    return "\n".join(
        (
            "[[rule]]",
            f'id = "{name}"',
            f'kind = "{kind}"',
            'authority = "hospital"',
            'certainty = "I"',
            'title = { en = "a rule", zh = "规则" }',
            'sources = [{ instrument = "none", version = "2026-01-01" }]',
            *dates,
            "[rule.when]",
            *(f"{key} = {_toml(value)}" for key, value in when.items()),
            "[rule.params]",
            *(f"{key} = {_toml(value)}" for key, value in params.items()),
        )
    )


@st.composite
def pack_texts(
    draw: st.DrawFn, name: str = "drawn", *, kinds: tuple[str, ...] = RULE_KINDS, max_rules: int = 4, dated: bool = True
) -> bytes:
    """The TOML of a pack with rules of any kind.

    Args:
        name: its id, from which the ids of its rules are made.
        kinds: the rule kinds to draw from.
        max_rules: at most so many rules; at least one.
        dated: now and then it comes into force or lapses within days of `NOW`.
    """
    rules = [draw(_rule_texts(f"{name.upper()}.{number}", kinds)) for number in range(draw(st.integers(1, max_rules)))]
    since, until = ("2020-01-01", None)
    if dated and draw(_TENTH):
        since, until = draw(st.sampled_from((("2026-03-11", None), ("2020-01-01", "2026-03-11"))))
    head = (
        "[pack]",
        f'id = "{name}"',
        'jurisdiction = "*"',
        'version = "1"',
        f"valid_from = {since}",
        *(() if until is None else (f"valid_until = {until}",)),
        'title = { en = "drawn", zh = "随机" }',
    )
    return "\n".join((*head, *rules, "")).encode()


def packs(name: str = "drawn", **more: Any) -> st.SearchStrategy[Pack]:
    """As `pack_texts`, read."""
    return pack_texts(name, **more).map(parse_pack)


def policies(**more: Any) -> st.SearchStrategy[Policy]:
    """The baseline alone, the bundled packs, or the baseline with a drawn pack (`more` is for `pack_texts`)."""
    baseline = load_bundled(BASELINE)
    fixed = [Policy.compose([baseline]), Policy.compose([load_bundled(name) for name in DEFAULT_PACKS])]
    return st.sampled_from(fixed) | packs(**more).map(lambda pack: Policy.compose([baseline, pack]))
