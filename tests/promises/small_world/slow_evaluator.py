"""A second evaluator of policy, slow and plain, written from DESIGN.md's promises and docs/reference/pack.md.

It imports nothing of carelink: it reads the packs' TOML and the facts as the log writes them, and answers with an effect
and the set of (rule, reason) that stand against it. Where it and carelink differ, one of them is wrong.
"""

from __future__ import annotations

import re
import tomllib

REFUSE, DEFER, PERMIT = "refuse", "defer", "permit"
ABSENT = ("UNKNOWN", "STALE")
SECOND = 1_000_000
DAY = 86_400 * SECOND
BELOW = {8: {"0-7"}, 14: {"0-7", "8-13"}, 18: {"0-7", "8-13", "14-17"}}
READ = (
    "standing", "recipient_standing", "age", "contact", "guardian", "grants", "stops", "touches", "content", "channel",
    "zones", "mode", "clock", "store", "keys_available", "vetoes",
)  # fmt: skip


def length(text):
    """Microseconds of an ISO 8601 duration of weeks, days, hours, minutes, seconds."""
    found = re.fullmatch(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 * SECOND + seconds * SECOND


def clock(text):
    hours, minutes = str(text).split(":")[:2]
    return int(hours) * 3600 + int(minutes) * 60


def covers(names, purpose):
    return any(name in ("*", purpose, purpose.partition(".")[0]) for name in names)


def in_scope(scope, ask):
    return covers(scope["purposes"], ask["purpose"]) and (
        "*" in scope["channels"] or ask["channel_kind"] in scope["channels"]
    )


def holds(since, until, at):
    return since <= at and (until is None or at < until)


class Evaluator:
    """A set of packs."""

    def __init__(self, packs):
        self.packs = [tomllib.loads(text) for text in packs]

    def decide(self, facts):
        """(effect, {(rule, reason)}) of facts in the log's form."""
        against, effects = set(), []
        for pack in self.packs:
            begins, ends = (self._day(pack["pack"].get(key)) for key in ("valid_from", "valid_until"))
            for rule in pack["rule"]:
                if not self._speaks(rule.get("when", {}), facts):
                    continue
                if not holds(begins, ends, facts["at"]):
                    effect, reason = REFUSE, "POLICY_NOT_IN_FORCE"
                else:
                    judge = getattr(self, "_" + rule["kind"])
                    effect, reason = judge(rule.get("params", {}), rule.get("when", {}), facts) or (PERMIT, None)
                effects.append(effect)
                if effect != PERMIT:
                    against.add((rule["id"], reason))
        if not effects:
            return REFUSE, {("CARELINK.GATE", "POLICY_MISSING")}
        missing = [name for name in READ if facts[name] in ABSENT]
        if missing and REFUSE not in effects:
            return REFUSE, None  # nothing that is not known permits, whoever looks at it; its wording is not compared
        effect = next(each for each in (REFUSE, DEFER, PERMIT) if each in effects)
        return effect, against

    @staticmethod
    def _day(value):
        if value is None:
            return None
        return (value.toordinal() - 719_163) * DAY

    @staticmethod
    def _speaks(when, facts):
        ask = facts["ask"]
        channels, roles = when.get("channels", ["*"]), when.get("roles", [])
        return (
            covers(when.get("purposes", ["*"]), ask["purpose"])
            and ("*" in channels or ask["channel_kind"] in channels)
            and (not roles or facts["role"] in roles)
            and when.get("automated", ask["automated"]) == ask["automated"]
        )

    # -- kinds of rules: None permits --------------------------------------------------------------------------

    def _gate(self, _params, _when, facts):
        for name in ("store", "clock", "keys_available"):
            if facts[name] in ABSENT:
                return REFUSE, "FACT_" + facts[name]
        if facts["store"] == "restored":
            return REFUSE, "STORE_RESTORED"
        if facts["clock"] != "trusted":
            return DEFER, "CLOCK_UNTRUSTED"
        if facts["keys_available"] is not True:
            return DEFER, "KEYS_UNAVAILABLE"
        return None if facts["store"] == "current" else (DEFER, "LOG_UNPUBLISHED")

    def _reach(self, _params, _when, facts):
        mode, channel = facts["mode"], facts["channel"]
        for fact in (mode, channel):
            if fact in ABSENT:
                return REFUSE, "FACT_" + fact
        near = channel["local"] or (mode == "team" and channel["allow_listed"])
        if mode != "live" and not near:
            return REFUSE, "MODE_TEAM" if mode == "team" else "MODE_SANDBOX"
        return None if channel["usable"] else (DEFER, "CHANNEL_UNAVAILABLE")

    def _subject(self, _params, _when, facts):
        for name in ("standing", "recipient_standing"):
            if facts[name] in ABSENT:
                return REFUSE, "FACT_" + facts[name]
        if facts["standing"] != "active":
            return REFUSE, "SUBJECT_" + facts["standing"].upper()
        return None if facts["recipient_standing"] == "active" else (REFUSE, "RECIPIENT_UNAVAILABLE")

    def _contact(self, params, _when, facts):
        contact = facts["contact"]
        if contact in ABSENT or "address" not in facts:
            return REFUSE, "FACT_STALE" if contact == "STALE" else "CONTACT_MISSING"
        if contact["status"] not in params.get("statuses", ["valid", "unverified"]):
            return REFUSE, "CONTACT_INVALID"
        if "max_age" in params:
            verified = contact.get("verified_at")
            if verified is None or facts["at"] - verified >= length(params["max_age"]):
                return REFUSE, "CONTACT_STALE"
        return None

    def _suppression(self, _params, _when, facts):
        if facts["stops"] in ABSENT:
            return REFUSE, "FACT_" + facts["stops"]
        standing = [
            stop
            for stop in facts["stops"]
            if in_scope(stop["scope"], facts["ask"]) and (stop.get("until") is None or facts["at"] < stop["until"])
        ]
        said = {"reply", "unsubscribe", "complaint", "provider"}
        if not standing:
            return None
        return REFUSE, "OPTED_OUT" if any(stop["source"] in said for stop in standing) else "SUPPRESSED"

    def _given_by(self, params, _when, facts):
        if facts["grants"] in ABSENT:
            return REFUSE, "FACT_" + facts["grants"]
        carrying = self._carrying(facts)
        good = not carrying or any(grant["by"] in params["by"] for grant in carrying)
        return None if good else (REFUSE, "NO_CONSENT")

    def _carrying(self, facts):
        """Grants in force that cover the request."""
        return [
            grant
            for grant in facts["grants"]
            if in_scope(grant["scope"], facts["ask"]) and self._stands(grant, facts["at"])
        ]

    def _consent_method(self, params, _when, facts):
        if facts["grants"] in ABSENT:
            return REFUSE, "FACT_" + facts["grants"]
        ways = [grant.get("method", "explicit") for grant in self._carrying(facts)]
        return (REFUSE, "CONSENT_INVALID") if ways and all(way in params["not"] for way in ways) else None

    def _reconfirm(self, params, _when, facts):
        age, young = facts["age"], BELOW[params["age"]]
        if age in ABSENT:
            return REFUSE, "FACT_STALE" if age == "STALE" else "AGE_UNKNOWN"
        if facts["grants"] in ABSENT:
            return REFUSE, "FACT_" + facts["grants"]
        given_at = [grant.get("age", "18+") for grant in self._carrying(facts)]
        old = age not in young and given_at and all(then in young for then in given_at)
        return (REFUSE, "RECONFIRM_REQUIRED") if old else None

    def _ask_again(self, params, _when, facts):
        for name in ("grants", "stops"):
            if facts[name] in ABSENT:
                return REFUSE, "FACT_" + facts[name]
        noes = [grant["ended_at"] for grant in facts["grants"]
                if grant["state"] in ("withdrawn", "revoked") and "ended_at" in grant]  # fmt: skip
        noes += [s["since"] for s in facts["stops"] if s["source"] in ("reply", "unsubscribe", "complaint", "provider")]
        soon = any(facts["at"] - no < length(params["cool_down"]) for no in noes)
        return (REFUSE, "ASKED_TOO_SOON") if soon else None

    def _duplicate(self, params, _when, facts):
        if facts["touches"] in ABSENT:
            return REFUSE, "FACT_" + facts["touches"]
        topic, within = facts["ask"].get("topic", ""), length(params["within"])
        if not topic:
            return None
        if facts["touches"]["since"] > max(facts["at"] - within, 0):
            return REFUSE, "FACT_UNKNOWN"
        last = [at for at, _, _, binds, *marks in facts["touches"]["items"]
                if f"topic:{topic}" in marks and "s" in binds]  # fmt: skip
        return (REFUSE, "DUPLICATE") if any(facts["at"] - at < within for at in last) else None

    def _grant(self, params, _when, facts):
        if facts["grants"] in ABSENT:
            return REFUSE, "FACT_" + facts["grants"]
        if "if_data" in params:
            known = facts["content"] not in ABSENT
            read = [*facts["ask"].get("data", []), *(facts["content"].get("data", []) if known else params["if_data"])]
            if not set(read) & set(params["if_data"]):
                return None
        at, fitting = facts["at"], []
        for grant in facts["grants"]:
            if in_scope(grant["scope"], facts["ask"]) and (grant["separate"] or not params.get("separate", False)):
                fitting.append(grant)
        if any(self._stands(grant, at) for grant in fitting):
            return None
        if any(at < grant["since"] and self._stands(grant, grant["since"]) for grant in fitting):
            return REFUSE, "CONSENT_NOT_YET_VALID"
        if any(self._taken_back(grant, at) for grant in fitting):
            return REFUSE, "WITHDRAWN"
        return REFUSE, "CONSENT_EXPIRED" if fitting else "NO_CONSENT"

    @staticmethod
    def _stands(grant, at):
        ended = grant.get("ended_at")
        whole = grant["state"] == "given" and (ended is None or at < ended)
        return whole and holds(grant["since"], grant.get("until"), at)

    @staticmethod
    def _taken_back(grant, at):
        if grant["state"] == "given":
            return grant.get("ended_at") is not None and grant["ended_at"] <= at
        return grant["state"] in ("withdrawn", "revoked")

    def _guardian(self, params, _when, facts):
        age, guardian = facts["age"], facts["guardian"]
        if age in ABSENT:
            return REFUSE, "FACT_STALE" if age == "STALE" else "AGE_UNKNOWN"
        if age not in BELOW[params["under_age"]]:
            return None
        if guardian in ABSENT:
            return REFUSE, "FACT_" + guardian
        good = facts["role"] == "guardian" and guardian and guardian["verified"] and guardian["acts"]
        if good and holds(guardian["since"], guardian.get("until"), facts["at"]):
            return None
        return REFUSE, "GUARDIAN_REQUIRED"

    def _minors_marketing(self, _params, _when, facts):
        if facts["age"] in ABSENT:
            return REFUSE, "FACT_STALE" if facts["age"] == "STALE" else "AGE_UNKNOWN"
        return None if facts["age"] == "18+" else (REFUSE, "MINOR_EXCLUDED")

    def _disclosure(self, _params, _when, facts):
        if facts["role"] == "self" and facts["recipient"] == facts["subject"]:
            return None
        person = facts["guardian"]
        if person in ABSENT:
            return REFUSE, "FACT_" + person
        if not person:
            return REFUSE, "DISCLOSURE_DENIED"
        child = facts["age"] not in ABSENT and facts["age"] != "18+"
        stands_in = facts["role"] == "guardian" and person["acts"] and person["verified"] and child
        opened = facts["ask"].get("disclosure") in person["scopes"]
        good = (stands_in or opened) and holds(person["since"], person.get("until"), facts["at"])
        return None if good else (REFUSE, "DISCLOSURE_DENIED")

    def _content(self, params, _when, facts):
        content, at = facts["content"], facts["at"]
        if content in ABSENT:
            return REFUSE, "FACT_STALE" if content == "STALE" else "CONTENT_UNREVIEWED"
        if content["status"] == "withdrawn":
            return REFUSE, "CONTENT_WITHDRAWN"
        if content["status"] != "approved" or content["approvals"] < max(1, params.get("min_approvals", 1)):
            return REFUSE, "CONTENT_UNREVIEWED"
        if not in_scope(content, facts["ask"]):
            return REFUSE, "PURPOSE_MISMATCH"
        if content.get("until") is not None and content["until"] <= max(at, content["since"]):
            return REFUSE, "CONTENT_EXPIRED"
        return (REFUSE, "CONTENT_UNREVIEWED") if at < content["since"] else None

    def _time_window(self, _params, _when, facts):
        early, late = (facts["ask"].get(key) for key in ("not_before", "useless_after"))
        if late is not None and (late <= facts["at"] or (early is not None and late <= early)):
            return REFUSE, "TOO_LATE"
        return (DEFER, "TOO_EARLY") if early is not None and facts["at"] < early else None

    def _veto(self, _params, _when, facts):
        if facts["vetoes"] in ABSENT:
            return REFUSE, "FACT_" + facts["vetoes"]
        return (REFUSE, "PLUGIN_VETO") if facts["vetoes"] else None

    def _counted(self, params, when, facts):
        """For each of subject, recipient and address: instants of what counts."""
        letters = {"person": "sr", "address": "a", "both": "sra"}[params.get("counts", "both")]
        purposes = params.get("purposes", when.get("purposes", ["*"]))
        channels, spared = params.get("channels", ["*"]), params.get("except_purposes", [])
        counted = []
        for at, purpose, kind, binds, *reply in facts["touches"]["items"]:
            if (
                covers(purposes, purpose)
                and not covers(spared, purpose)
                and ("*" in channels or kind in channels)
                and ("reply" not in reply or params.get("replies", False))
            ):
                counted.append((at, binds))
        return [sorted(at for at, binds in counted if letter in binds) for letter in letters]

    def _frequency_cap(self, params, when, facts):
        if facts["touches"] in ABSENT:
            return REFUSE, "FACT_" + facts["touches"]
        if facts["ask"]["reply"] and not params.get("replies", False):
            return None
        window = length(params["window"])
        if facts["touches"]["since"] > max(facts["at"] - window, 0):
            return REFUSE, "FACT_UNKNOWN"
        fullest = max(sum(facts["at"] - at < window for at in each) for each in self._counted(params, when, facts))
        if fullest < params["max"]:
            return None
        return DEFER if facts["ask"]["wait"] and params["max"] else REFUSE, "CAP_EXCEEDED"

    def _minimum_gap(self, params, when, facts):
        if facts["touches"] in ABSENT:
            return REFUSE, "FACT_" + facts["touches"]
        if facts["ask"]["reply"] and not params.get("replies", False):
            return None
        gap = length(params["gap"])
        if facts["touches"]["since"] > max(facts["at"] - gap, 0):
            return REFUSE, "FACT_UNKNOWN"
        lasts = [each[-1] for each in self._counted(params, when, facts) if each]
        if all(facts["at"] - last >= gap for last in lasts):
            return None
        return DEFER if facts["ask"]["wait"] else REFUSE, "GAP_TOO_SHORT"

    def _quiet_hours(self, params, _when, facts):
        zones, at = facts["zones"], facts["at"]
        if facts["ask"]["reply"] and params.get("replies", True):
            return None
        if zones in ABSENT:
            return REFUSE, "FACT_STALE" if zones == "STALE" else "ZONE_UNKNOWN"
        candidates = zones["candidates"]
        if not candidates or any(not line or line[0][0] > at for line in candidates) or at >= zones["until"]:
            return REFUSE, "ZONE_UNKNOWN"
        opens, closes = clock(params["allowed_from"]), clock(params["allowed_to"])
        for line in candidates:
            offset = [seconds for since, seconds in line if since <= at][-1]
            local = (at // SECOND + offset) % 86_400
            inside = opens <= local < closes if opens < closes else not closes <= local < opens
            if not inside:
                return DEFER, "QUIET_HOURS"
        return None
