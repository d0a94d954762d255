"""`carelink demo`: the whole story in one command, on bundled people or on data declared synthetic.

It runs on a virtual clock in a throw-away home that can never leave sandbox mode, and uses what any caller of carelink
could use. Every step checks itself; the exit code is 0 only if the story came out as promised.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from carelink.app import CareLink
from carelink.cli.common import console, error_console, is_chinese
from carelink.cli.consent import load_grants
from carelink.cli.demo_proof import prove
from carelink.cli.demo_send import Demo, Place, again, late_stop, requests, says, send
from carelink.cli.exit_codes import Exit
from carelink.cli.patients import import_records
from carelink.cli.preview import print_forecasts
from carelink.cli.teller import Teller
from carelink.consent.reasons import ReasonCode
from carelink.engine.outcome import Forecast
from carelink.errors import ConflictError
from carelink.home import init
from carelink.interop.fhir import read_fhir
from carelink.interop.records import GrantRecord, PatientRecord, Problem
from carelink.interop.synthetic import DEMO_DATA, enrich
from carelink.model.moment import parse_instant
from carelink.system import entropy
from carelink.testing.fakes import FakeClock
from carelink.vocabulary import Mode, Standing

__all__ = ["add", "run"]

_REVIEWERS: Final = ("Dr Chen", "Dr Novak", "Nurse Li")
_LISTED: Final = 3
_TEXTS: Final = {
    "en": ("Recheck", "A six-month recheck for {patient_name} is due on {day}. Reply STOP to end these reminders."),
    "zh": ("复查提醒", "{patient_name}的半年复查安排在{day}。如不需要此类提醒,请回复“退订”。"),
}
_BUNDLED: Final = Place("2026-01-15T10:00:00+08:00", "Asia/Shanghai", "CN", "退订")
_SAMPLE: Final = Place("2026-01-15T10:00:00-05:00", "America/New_York", "US", "STOP")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:  # noqa: UP037
    """Register the parser."""
    parser = commands.add_parser("demo", help="the whole story on invented people; nothing leaves the machine")
    parser.add_argument("--fhir", type=Path, metavar="DIR", help="run on this FHIR R4 bulk export instead")
    invented = "the people in --fhir are invented: add made-up consents, guardians and addresses"
    parser.add_argument("--synthetic", action="store_true", help=invented)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what the demo makes in this folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell the story."""
    if args.synthetic and args.fhir is None:
        error_console.print("carelink: --synthetic says something about the people in --fhir DIR: name that folder too")
        return Exit.USAGE
    if args.fhir is not None:
        next(read_fhir(args.fhir), None)  # a folder without patients ends here, before anything is made
    folder = Path(tempfile.mkdtemp(prefix="carelink-demo-")) if args.keep is None else args.keep
    try:
        return _tell(args, folder)
    finally:
        if args.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _tell(args: argparse.Namespace, folder: Path) -> int:
    teller, place = Teller(chinese=is_chinese(args)), _BUNDLED if args.fhir is None else _SAMPLE
    clock = FakeClock(parse_instant(place.at))
    console.print(
        teller.words(
            f"carelink demo. It is {place.at} on a virtual clock, in a throw-away home that can never go live.",
            f"carelink 演示。虚拟时钟为 {place.at};临时目录,永远不能切换到正式模式。",
        ),
        markup=False,
    )
    teller.step("A new home: store, keys, log, policy", "新建目录:数据库、密钥、日志、规则包")
    with init(
        folder / "home", zone=place.zone, region=place.region, synthetic=True, clock=clock, entropy=entropy
    ) as link:
        demo = Demo(
            fhir=args.fhir,
            synthetic=args.synthetic,
            folder=folder,
            teller=teller,
            place=place,
            clock=clock,
            link=link,
        )
        _sandbox(demo)
        _load(demo)
        _review(demo)
        forecasts = _preview(demo)
        permitted = send(demo, forecasts)
        if permitted:
            late_stop(demo, permitted)
        again(demo)
        prove(link, teller, folder, asked=demo.asked, files=len(demo.outbox))
        return _finish(demo, args.keep)


def _sandbox(demo: Demo) -> None:
    policy = demo.link.policy()
    packs = ", ".join(f"{pack.id} {pack.version}" for pack in policy.packs) if policy is not None else ""
    demo.teller.say(f"policy: {packs}", f"规则包:{packs}")
    refused = False
    try:
        demo.link.set_mode(Mode.LIVE, actor="demo", checks=0)
    except ConflictError:
        refused = True
    demo.teller.expect(
        refused and demo.link.mode() is Mode.SANDBOX,
        "sandbox mode; live mode was asked for and refused: a demo home stays in the sandbox for good",
        "沙箱模式;请求切换到正式模式被拒绝:演示目录只能留在沙箱模式",
    )


def _load(demo: Demo) -> None:
    teller, link = demo.teller, demo.link
    bundled = teller.words("the bundled people", "内置的虚构人员")
    source = bundled if demo.fhir is None else demo.fhir.resolve().name
    teller.step(f"Patients and consents in (FHIR R4): {source}", f"导入患者与同意(FHIR R4):{source}")
    grants: list[GrantRecord] = []
    problems: list[Problem] = []
    for item in read_fhir(DEMO_DATA if demo.fhir is None else demo.fhir):
        if isinstance(item, PatientRecord):
            demo.records.append(item)
        elif isinstance(item, GrantRecord):
            grants.append(item)
        else:
            problems.append(item)
    if demo.synthetic:
        today = datetime.fromisoformat(demo.place.at).date()
        demo.records, made = enrich(demo.records, today)
        grants.extend(made)
        guardians = sum(len(record.related) for record in demo.records)
        teller.say(
            f"SYNTHETIC, made up and marked as such: {len(made)} consents, {guardians} guardians, "
            f"{len(demo.records)} addresses at example.invalid",
            f"虚构数据(均有 SYNTHETIC 标记):{len(made)} 条同意、{guardians} 名监护人、"
            f"{len(demo.records)} 个 example.invalid 邮箱",
        )
    import_records(link, demo.records, problems.append)
    loaded = load_grants(link, grants)
    demo.consents = loaded["recorded"]
    _report(teller, problems)
    patients = list(link.patients())
    dead = sum(row.standing is Standing.DECEASED for row in patients)
    merged = sum(record.same_as is not None for record in demo.records)
    more = f" ({merged} was the older record of another)" if merged else ""
    teller.say(
        f"{len(demo.records)} records{more}: {len(patients)} patients, {dead} of them deceased; "
        f"{loaded['recorded']} consents, {loaded['withdrawn']} of them withdrawn",
        f"{len(demo.records)} 份档案,{len(patients)} 名患者,其中 {dead} 名已去世;"
        f"{loaded['recorded']} 条同意,其中 {loaded['withdrawn']} 条已撤回",
    )
    lost = sum(problem.lost for problem in problems)
    teller.expect(
        len(patients) == len(demo.records) - merged and loaded["recorded"] == len(grants),
        f"everybody and every consent is on record; {lost} rows could not be used",
        f"全部患者与同意均已登记;无法使用的行:{lost}",
    )


def _report(teller: Teller, problems: Sequence[Problem]) -> None:
    """What readers had to say, a few of each kind."""
    for code in dict.fromkeys(problem.code for problem in problems):
        alike = [problem for problem in problems if problem.code == code]
        for problem in alike[:_LISTED]:
            teller.say(str(problem), str(problem))
        if len(alike) > _LISTED:
            more = len(alike) - _LISTED
            teller.say(f"and {more} more with {code}", f"另有 {more} 条 {code}")


def _review(demo: Demo) -> None:
    teller, link = demo.teller, demo.link
    teller.step("A recheck reminder, in two languages, reviewed", "复查提醒(中英文),送审")
    for language, (subject, body) in _TEXTS.items():
        link.template(
            f"recheck.{language}",
            body,
            subject=subject,
            purposes=["care.appointment"],
            channels=["email", "sms"],
            language=language,
        )
    drafts = link.preview_many(requests(demo, "draft", "email", 0))
    unreviewed = sum(says(item, ReasonCode.CONTENT_UNREVIEWED) for item in drafts)
    teller.expect(
        unreviewed == len(drafts),
        "as a draft it may go to nobody: CONTENT_UNREVIEWED for all",
        "草稿不得发给任何人:全部为 CONTENT_UNREVIEWED",
    )
    for language in _TEXTS:
        for reviewer in _REVIEWERS:
            link.approve(f"recheck.{language}", actor=reviewer)
    teller.say(f"approved by {len(_REVIEWERS)} reviewers", f"{len(_REVIEWERS)} 人已审核通过")


def _log_size(link: CareLink) -> int:
    head = link.publish()
    return 0 if head is None else head.size


def _preview(demo: Demo) -> list[Forecast]:
    """Preview both ways, and give back what was forecast for mail."""
    teller, link = demo.teller, demo.link
    teller.step("Preview: what would happen, by mail and by text message", "预览:邮件与短信各会怎样")
    before = _log_size(link)
    demo.asked = requests(demo, "recheck", "email", 0)
    teller.say("by mail", "邮件")
    by_mail = link.preview_many(demo.asked)
    print_forecasts(by_mail, chinese=teller.chinese, zone=demo.place.zone)
    console.print()
    teller.say("by text message", "短信")
    by_sms = link.preview_many(requests(demo, "sms", "sms", 0))
    print_forecasts(by_sms, chinese=teller.chinese, zone=demo.place.zone)
    invalid = sum(says(item, ReasonCode.CONTACT_INVALID) for item in by_sms)
    console.print()
    teller.say(
        f"{invalid} of {len(by_sms)} have a phone number that no text message can reach: CONTACT_INVALID",
        f"{len(by_sms)} 人中有 {invalid} 人的电话号码无效:CONTACT_INVALID",
    )
    teller.expect(_log_size(link) == before, "the log did not grow by one entry", "日志一条也没有增加")
    return by_mail


def _finish(demo: Demo, keep: Path | None) -> int:
    teller = demo.teller
    console.print()
    if keep is not None:
        verify = f"carelink audit verify {keep / 'export'} --key {demo.link.key.text}"
        teller.say(f"kept in {keep}; check the log yourself: {verify}", f"保存在 {keep};可自行验证日志:{verify}")
    if teller.broken:
        teller.say(
            f"{len(teller.broken)} of {teller.checked} checks did not come out as promised.",
            f"{teller.checked} 项检查中有 {len(teller.broken)} 项未达到。",
        )
        return Exit.COULD_NOT_RUN
    if not demo.outbox:
        teller.say(
            "Nothing could be permitted: no consent is on record for these patients, and none was invented.",
            "没有一项获准:这些患者没有同意记录,演示也未虚构。",
        )
        teller.say(
            "Consent is loaded, with its evidence, by: carelink consent import --csv FILE",
            "请连同证据一起导入同意:carelink consent import --csv FILE",
        )
    teller.say(f"All {teller.checked} checks passed. Now yours:", f"{teller.checked} 项检查全部通过。轮到您了:")
    teller.say(f"  carelink init --zone {demo.place.zone}", f"  carelink init --zone {demo.place.zone}")
    return Exit.OK
