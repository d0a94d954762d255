"""The people of the bundled demo: who they are, what is on record for them, and what must become of each.

Everybody is invented. Phone numbers are `+1 212 555 01xx`, the range set aside for fiction, also for people with
Chinese names: a plausible mainland number is somebody's phone (docs/adr/0014). Addresses end in `example.invalid`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs

from carelink.consent.reasons import ReasonCode
from carelink.vocabulary import Effect

__all__ = ["CASES", "SEED", "Case", "Consent", "Guardian", "Person", "cast"]

SEED: Final = 20260115
"""The seed of the bundled files."""

_HOME: Final = "Asia/Shanghai"
_CARE: Final = ("care",)
_BOTH: Final = ("email", "sms")
_NINE: Final = "T09:00:00+08:00"
_GUARDIAN: Final = ReasonCode.GUARDIAN_REQUIRED
_AGE: Final = ReasonCode.AGE_UNKNOWN
_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class Case:
    """A kind of patient, how many of them, and what a recheck reminder by mail comes to at the demo's instant.

    Attributes:
        key: short name.
        says: description in English and Chinese.
        reason: the reason that must be among those given; None where it is permitted.
    """

    key: str
    says: tuple[str, str]
    count: int
    effect: Effect = Effect.PERMIT
    reason: ReasonCode | None = None


def _refused(key: str, english: str, chinese: str, count: int, reason: ReasonCode) -> Case:
    return Case(key=key, says=(english, chinese), count=count, effect=Effect.REFUSE, reason=reason)


def _permitted(key: str, english: str, chinese: str, count: int) -> Case:
    return Case(key=key, says=(english, chinese), count=count)


CASES: Final = (
    _permitted("plain", "adult who agreed to messages about care", "成年,已同意诊疗类联系", 29),
    _permitted("family", "mother and two children, one phone and mailbox", "母亲与两个孩子,共用电话和邮箱", 3),
    _permitted("child", "under 14: goes to the verified guardian", "未满 14 岁:发给已核实的监护人", 2),
    _refused("child_alone", "under 14, no guardian on record", "未满 14 岁,无监护人记录", 2, _GUARDIAN),
    _refused("child_unchecked", "under 14, guardian never verified", "未满 14 岁,监护人未经核实", 1, _GUARDIAN),
    _permitted("teenager", "16 years old, agreed in person", "16 岁,本人同意", 1),
    _refused("deceased", "died; the consent is still on record", "已去世,同意记录仍在", 3, ReasonCode.SUBJECT_DECEASED),
    _refused("birth_unknown", "birth date unknown, or the year only", "出生日期不明或仅有年份", 3, _AGE),
    _refused("withdrawn", "took the consent back", "已撤回同意", 2, ReasonCode.WITHDRAWN),
    _refused("expired", "consent ended last year", "同意已于去年到期", 2, ReasonCode.CONSENT_EXPIRED),
    _refused("not_yet", "consent begins next month", "同意下月起生效", 1, ReasonCode.CONSENT_NOT_YET_VALID),
    _refused("other_purpose", "agreed to something else only", "仅同意其他目的或渠道", 2, ReasonCode.NO_CONSENT),
    _refused("no_consent", "was never asked", "从未征求同意", 2, ReasonCode.NO_CONSENT),
    _permitted("no_zone", "no time zone on record", "无时区记录", 2),
    Case(key="abroad", says=("lives in London, where it is night", "住在伦敦,当地为夜间"), count=1,
         effect=Effect.DEFER, reason=ReasonCode.QUIET_HOURS),
    _permitted("bad_number", "phone number invalid, mail address good", "电话号码无效,邮箱可用", 2),
    _refused("no_mail", "no mail address on record", "无邮箱记录", 1, ReasonCode.CONTACT_MISSING),
    _permitted("two_numbers", "two medical record numbers, one person", "同一人有两个病案号", 2),
)  # fmt: skip
"""In the order of the patients' numbers."""


@attrs.frozen(kw_only=True)
class Consent:
    """A grant, or one that was taken back at `ended`. Instants are RFC 3339 text."""

    purposes: tuple[str, ...] = _CARE
    channels: tuple[str, ...] = _BOTH
    by: str = "self"
    since: str = f"2025-03-03{_NINE}"
    until: str = ""
    separate: bool = False
    ended: str = ""


@attrs.frozen(kw_only=True)
class Guardian:
    """A related person who acts for a child."""

    given: str
    verified: bool
    phone: str
    mail: str


@attrs.frozen(kw_only=True)
class Person:
    """One invented patient. `number` counts from 1; `replaced_by` is the number of the record that goes on."""

    number: int
    case: str
    language: str
    family: str
    given: str
    gender: str
    born: str
    mrns: tuple[str, ...]
    zone: str = _HOME
    phone: str = ""
    mail: str = ""
    died: str = ""
    guardian: Guardian | None = None
    consents: tuple[Consent, ...] = (Consent(),)
    replaced_by: int | None = None


_NAMES: Final = {
    "zh": (
        tuple("林陈周吴徐孙朱胡郭何高罗郑梁谢宋唐许韩冯"),
        {
            "female": ("小满", "静宜", "雨桐", "慧敏", "思远", "秀兰", "晓岚", "佳音", "若溪", "文琪"),
            "male": ("安平", "志诚", "明轩", "立群", "国栋", "浩然", "子墨", "伟业", "景行", "建华"),
        },
    ),
    "en": (
        ("Ashdown", "Birchall", "Calloway", "Dunmore", "Ellery", "Fairwood", "Greaves", "Holloway", "Ingleby", "Jessop",
         "Kestrel", "Larkin", "Merriman", "Norwood", "Oakes", "Penrose", "Quill", "Ravenscroft", "Selwyn", "Thorne"),
        {
            "female": ("Ada", "Beatrix", "Clara", "Edith", "Flora", "Greta", "Iris", "Mabel", "Nora", "Rosalind"),
            "male": ("Alban", "Basil", "Conrad", "Edmund", "Felix", "Hugo", "Jasper", "Leopold", "Oscar", "Rufus"),
        },
    ),
}  # fmt: skip


class _Draw:
    """A stream of choices that is the same for a seed on every machine and Python: SHA-256 of seed and count."""

    def __init__(self, seed: int) -> None:
        self._seed, self._count = seed, 0

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both possible."""
        self._count += 1
        digest = hashlib.sha256(f"carelink demo/{self._seed}/{self._count}".encode()).digest()
        return low + int.from_bytes(digest[:8], "big") % (high - low + 1)

    def pick(self, items: Sequence[_T]) -> _T:
        """One of them."""
        return items[self.number(0, len(items) - 1)]

    def day(self, first: int, last: int) -> str:
        """A date within these years."""
        return f"{self.number(first, last)}-{self.number(1, 12):02d}-{self.number(1, 28):02d}"


def _phone(number: int) -> str:
    return f"+1 212 555 {100 + number:04d}"


def _person(number: int, case: str, draw: _Draw) -> Person:
    """An adult with phone, mail and consent to care; `_special` changes what makes the case special."""
    language, gender = ("zh", "en")[number % 2], draw.pick(("female", "male"))
    families, given = _NAMES[language]
    return Person(
        number=number,
        case=case,
        language=language,
        family=draw.pick(families),
        given=draw.pick(given[gender]),
        gender=gender,
        born=draw.day(1938, 2006),
        mrns=(f"MRN-{2000 + number}",),
        phone=_phone(number),
        mail=f"patient-{number:03d}@example.invalid",
    )


def _guarded(person: Person, draw: _Draw, *, verified: bool) -> Person:
    adult = draw.pick(_NAMES[person.language][1]["female"])
    guardian = Guardian(
        given=adult,
        verified=verified,
        phone=_phone(person.number),
        mail=f"guardian-{person.number:03d}@example.invalid",
    )
    return attrs.evolve(person, phone="", mail="", guardian=guardian, consents=(Consent(by="guardian"),))


def _plain(person: Person) -> Person:
    """Some agreed to more than care, so that other purposes have somebody to go to."""
    more: tuple[Consent, ...] = ()
    if person.number % 3 == 0:
        more += (Consent(purposes=("education.health",), channels=("email",)),)
    if person.number % 4 == 0:
        more += (Consent(purposes=("marketing.event",), channels=("email",), separate=True),)
    return attrs.evolve(person, consents=(*person.consents, *more))


def _family(people: list[Person], draw: _Draw) -> list[Person]:
    """The first is the mother; the children's guardian record repeats her phone and mailbox."""
    mother = attrs.evolve(people[0], gender="female", born=draw.day(1986, 1989), given=draw.pick(_girls(people[0])))
    guardian = Guardian(given=mother.given, verified=True, phone=mother.phone, mail=mother.mail)
    children = [
        attrs.evolve(person, language=mother.language, family=mother.family, born=born, phone="", mail="",
                     given=draw.pick(_NAMES[mother.language][1][person.gender]), guardian=guardian,
                     consents=(Consent(by="guardian"),))
        for person, born in zip(people[1:], (draw.day(2015, 2016), draw.day(2019, 2020)), strict=True)
    ]  # fmt: skip
    return [mother, *children]


def _girls(person: Person) -> tuple[str, ...]:
    return _NAMES[person.language][1]["female"]


def _changes(place: int) -> dict[str, dict[str, Any]]:
    """What makes the people of a case special. `place` counts the people of one case from 0."""
    consent = Consent()
    other = (Consent(purposes=("marketing.event",), separate=True), Consent(channels=("sms",)))
    return {
        "teenager": {"born": "2009-06-15"},
        "deceased": {"died": ("true", "2025-11-02", "2024-08-19")[place % 3]},
        "birth_unknown": {"born": ("", "", "1971")[place % 3]},
        "withdrawn": {"consents": (attrs.evolve(consent, ended=f"2025-10-0{place + 1}{_NINE}"),)},
        "expired": {"consents": (attrs.evolve(consent, until=f"2025-12-{place + 1}1{_NINE}"),)},
        "not_yet": {"consents": (attrs.evolve(consent, since=f"2026-02-01{_NINE}"),)},
        "other_purpose": {"consents": other[place % 2 : place % 2 + 1]},
        "no_consent": {"consents": ()},
        "no_zone": {"zone": ""},
        "abroad": {"zone": "Europe/London"},
        "bad_number": {"phone": ("+86 1390", "+1 212 555 01")[place % 2]},
        "no_mail": {"mail": ""},
    }


def _special(person: Person, place: int, draw: _Draw) -> Person:
    if person.case == "plain":
        return _plain(person)
    if person.case.startswith("child"):
        child = attrs.evolve(person, born=draw.day(2014 + 5 * (place % 2), 2015 + 5 * (place % 2)))
        return child if person.case == "child_alone" else _guarded(child, draw, verified=person.case == "child")
    if person.case == "two_numbers" and place == 0:
        return attrs.evolve(person, mrns=(*person.mrns, f"OLD-{900 + person.number}"))
    return attrs.evolve(person, **_changes(place).get(person.case, {}))


def cast(seed: int = SEED) -> Iterator[Person]:
    """Everybody, in order of number; last the older record that the last person's replaced."""
    draw, number, last = _Draw(seed), 0, None
    for case in CASES:
        people = []
        for _ in range(case.count):
            number += 1
            people.append(_person(number, case.key, draw))
        if case.key == "family":
            people = _family(people, draw)
        else:
            people = [_special(person, place, draw) for place, person in enumerate(people)]
        yield from people
        last = people[-1]
    assert last is not None
    yield attrs.evolve(last, number=last.number + 1, mrns=(f"OLD-{900 + last.number}",), consents=(), mail="",
                       replaced_by=last.number)  # fmt: skip
