"""Entries told to the person they are about: one sentence each, in English and Chinese, without a code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from carelink.audit.bodies import (
    AccessBody,
    Body,
    ConsentEndedBody,
    ConsentGrantedBody,
    HandoverBody,
    InboundBody,
    OpenedBody,
    ReceiptBody,
    RecoveredBody,
    ReleasedBody,
    RightsBody,
    SubjectBody,
    SuppressionAddedBody,
    SuppressionCarriedBody,
)
from carelink.audit.decided import ClaimBody, DecidedBody
from carelink.audit.kinds import Kind
from carelink.consent.sentences import SENTENCES
from carelink.model.access import AccessAction, Right
from carelink.model.scope import ANY
from carelink.vocabulary import ChannelKind, ContactStatus, Effect, Family, Outcome, Purpose, Standing

__all__ = ["CHANNEL_WORDS", "PURPOSE_WORDS", "tell"]

Pair = tuple[str, str]
"""English, Chinese."""

PURPOSE_WORDS: Final[dict[str, Pair]] = {
    ANY: ("any purpose", "任何目的"),
    Family.CARE: ("your care", "诊疗"),
    Family.PUBLIC_HEALTH: ("public health", "公共卫生"),
    Family.EDUCATION: ("health education", "健康科普"),
    Family.EXPERIENCE: ("surveys", "满意度调查"),
    Family.MARKETING: ("marketing", "推广"),
    Family.REFERRAL: ("referral invitations", "转介绍邀请"),
    Family.RESEARCH: ("research", "研究"),
    Family.ADMIN: ("administration", "行政事务"),
    Family.SYSTEM: ("messages about these records", "与记录有关的通知"),
    Purpose.CARE_APPOINTMENT: ("an appointment", "就诊预约"),
    Purpose.CARE_TREATMENT: ("your treatment", "治疗"),
    Purpose.CARE_PREPARATION: ("preparing for a visit or procedure", "就诊或检查准备"),
    Purpose.CARE_RESULT_READY: ("a result that is ready", "结果已出"),
    Purpose.CARE_MEDICATION: ("your medication", "用药"),
    Purpose.CARE_POSTOP_FOLLOWUP: ("follow-up after an operation", "术后随访"),
    Purpose.CARE_CHRONIC: ("long-term care", "慢病管理"),
    Purpose.CARE_RECALL_SAFETY: ("a safety recall", "安全召回"),
    Purpose.PUBLIC_HEALTH_NOTICE: ("a public-health notice", "公共卫生通知"),
    Purpose.EDUCATION_HEALTH: ("health education", "健康科普"),
    Purpose.EXPERIENCE_SURVEY: ("a survey", "满意度调查"),
    Purpose.MARKETING_SERVICE: ("an offer", "服务推广"),
    Purpose.MARKETING_EVENT: ("an event", "活动邀请"),
    Purpose.REFERRAL_INVITATION: ("an invitation to refer others", "转介绍邀请"),
    Purpose.RESEARCH_RECRUITMENT: ("taking part in research", "研究招募"),
    Purpose.ADMIN_BILLING: ("a bill", "账单"),
    Purpose.SYSTEM_CONSENT_REQUEST: ("asking for your consent", "征求同意"),
    Purpose.SYSTEM_OPTOUT_CONFIRM: ("confirming your stop", "确认退订"),
    Purpose.SYSTEM_BREACH_NOTICE: ("a data breach", "数据泄露通知"),
    Purpose.SYSTEM_RIGHTS: ("your rights request", "权利请求答复"),
    Purpose.SYSTEM_TEST: ("a test", "测试"),
}
CHANNEL_WORDS: Final[dict[str, Pair]] = {
    ANY: ("any channel", "任何渠道"),
    ChannelKind.SMS: ("text message", "短信"),
    ChannelKind.EMAIL: ("email", "邮件"),
    ChannelKind.CHAT: ("chat message", "聊天消息"),
    ChannelKind.TASK: ("a call or message by staff", "工作人员联系"),
}
_OUTCOMES: Final[dict[Outcome, Pair]] = {
    Outcome.ACCEPTED: ("It was sent.", "已发出。"),
    Outcome.AWAITING_HUMAN: ("It waits for a member of staff to send it.", "等待工作人员发送。"),
    Outcome.REFUSED: ("The provider refused it; it was not delivered.", "服务商拒绝,未送达。"),
    Outcome.OPTED_OUT: ("The provider said that you had opted out; it was not delivered.", "服务商表示您已退订,未送达。"),
    Outcome.RECIPIENT_LIMIT: ("The provider's limit for your address was reached; it was not delivered.",
                              "已达服务商对该地址的上限,未送达。"),
    Outcome.THROTTLED: ("The provider was busy; it was not delivered.", "服务商繁忙,未送达。"),
    Outcome.NOT_SENT: ("It was not sent.", "未发出。"),
    Outcome.ACCOUNT: ("It could not be sent because of the hospital's account; it was not delivered.",
                      "因医院账户问题未发出。"),
    Outcome.UNKNOWN: ("It may have been delivered; nobody can tell, and it is not sent again.",
                      "可能已送达,无法确认,不会重发。"),
}  # fmt: skip
_STANDINGS: Final[dict[Standing, Pair]] = {
    Standing.ACTIVE: ("Your record was opened.", "建立了您的档案。"),
    Standing.DECEASED: ("It was recorded that the person died.", "登记为已去世。"),
    Standing.MERGED: ("This record was joined with another one.", "该档案已并入另一档案。"),
    Standing.ERASED: ("The record was erased.", "该档案已删除。"),
}
_CONTACTS: Final[dict[ContactStatus, Pair]] = {
    ContactStatus.VALID: ("is confirmed to reach you", "已确认可联系到您"),
    ContactStatus.UNVERIFIED: ("is on record, not confirmed", "已登记,未核实"),
    ContactStatus.INVALID: ("does not work", "无效"),
    ContactStatus.RECYCLED: ("belongs to somebody else now", "已属于他人"),
}
_ACCESS: Final[dict[AccessAction, Pair]] = {
    AccessAction.APPROVED: (
        "A member of staff was allowed to look at your data for a time.",
        "批准一名工作人员在限期内查阅您的信息。",
    ),
    AccessAction.DENIED: ("Somebody asked to look at your data and was refused.", "有人申请查阅您的信息,被拒绝。"),
    AccessAction.REVIEWED: (
        "An opening of your data in an emergency was reviewed.",
        "对紧急情况下查阅您信息的行为进行了复核。",
    ),
}
_RIGHTS: Final[dict[Right, Pair]] = {
    Right.ACCESS: ("You were shown the data held about you.", "已向您提供个人信息查阅。"),
    Right.COPY: ("You were given a copy of the data held about you.", "已向您提供个人信息副本。"),
    Right.EXPORT: ("You were given your data in a form that other systems read.", "已向您提供可转移的个人信息。"),
    Right.CORRECT: ("Data about you were corrected.", "您的个人信息已更正。"),
    Right.RESTRICT: ("What is done with your data was restricted.", "已限制处理您的个人信息。"),
    Right.UNRESTRICT: ("The restriction of your data was lifted.", "已解除对您个人信息的处理限制。"),
    Right.ERASE: ("Your request to be erased was answered.", "已答复您的删除请求。"),
}
_RIGHTS_REFUSED: Final[Pair] = (
    "A request of yours about your data was refused; you were told why in writing.",
    "您的一项个人信息请求未予办理,已书面说明理由。",
)
_PLAIN: Final[dict[Kind, Pair]] = {
    Kind.MERGED: ("Two records of yours were joined.", "您的两份档案已合并。"),
    Kind.SUPPRESSION_LIFTED: ("A stop was lifted.", "停止联系已解除。"),
    Kind.STOPPED: ("Messages that were waiting were withdrawn because of your stop.", "因您要求停止,待发消息已撤销。"),
    Kind.ERASING: ("The erasure of your data began.", "开始删除您的信息。"),
    Kind.ERASED: ("Your data were erased. Only what the law requires and what no longer names you remains.",
                  "您的信息已删除,仅保留法律要求且无法识别您的内容。"),
}  # fmt: skip


def _both(pairs: Sequence[Pair], english: str, chinese: str) -> Pair:
    return english.join(pair[0] for pair in pairs), chinese.join(pair[1] for pair in pairs)


def _a(noun: str) -> str:
    return f"{'An' if noun[0] in 'aeiou' else 'A'} {noun}"


def _scope(purposes: Sequence[str], channels: Sequence[str]) -> Pair:
    what = _both([PURPOSE_WORDS[each] for each in purposes], ", ", "、")
    how = _both([CHANNEL_WORDS[each] for each in channels], ", ", "、")
    return f"{what[0]}, by {how[0]}", f"{what[1]}({how[1]})"


def tell(body: Body, *, own: bool = True) -> Pair:
    """One entry in plain words: English, Chinese.

    Args:
        body: what the entry says.
        own: the message was about the reader; False where they received it for somebody else.
    """
    if isinstance(body, DecidedBody):
        return _decided(body, own=own)
    if isinstance(body, (HandoverBody, RecoveredBody)):
        return _OUTCOMES[body.outcome]
    if isinstance(body, (ConsentGrantedBody, SuppressionAddedBody, SuppressionCarriedBody)):
        return _scoped(body)
    if isinstance(body, SubjectBody):
        return _subject(body)
    return _other(body)


def _decided(body: DecidedBody, *, own: bool) -> Pair:
    ask = body.facts.ask
    what, how = PURPOSE_WORDS[ask.purpose], CHANNEL_WORDS[ask.channel_kind]
    who = ("", "") if own else (" to you, for somebody you act for,", "(由您代收)")
    again = (
        (" It was checked once more just before sending.", "发送前再次核查。")
        if isinstance(body, ClaimBody)
        else ("", "")
    )
    reasons = _both([SENTENCES[v.reason] for v in body.reasons if v.reason is not None], " ", "")
    if body.effect is Effect.PERMIT:
        return (
            f"{_a(how[0])}{who[0]} about {what[0]} was permitted.{again[0]}",
            f"准许发送{how[1]}{who[1]},事由:{what[1]}。{again[1]}",
        )
    said = {Effect.REFUSE: ("was not permitted", "未准许"), Effect.DEFER: ("was put off", "推迟")}[body.effect]
    return (
        f"{_a(how[0])}{who[0]} about {what[0]} {said[0]}: {reasons[0]}{again[0]}",
        f"{said[1]}发送{how[1]}{who[1]},事由:{what[1]}。原因:{reasons[1]}{again[1]}",
    )


def _scoped(body: ConsentGrantedBody | SuppressionAddedBody | SuppressionCarriedBody) -> Pair:
    scope = _scope(body.purposes, body.channels)
    if isinstance(body, ConsentGrantedBody):
        return f"Consent was recorded for: {scope[0]}.", f"登记同意:{scope[1]}。"
    return f"Contact was stopped for: {scope[0]}.", f"停止联系:{scope[1]}。"


def _subject(body: SubjectBody) -> Pair:
    told: list[Pair] = []
    if body.standing is not None:
        told.append(_STANDINGS[body.standing])
    if body.contact is not None:
        kind = {
            "phone": ("phone number", "电话"),
            "email": ("email address", "邮箱"),
            "chat": ("chat account", "聊天账号"),
        }
        name, status = kind[body.contact.kind.value], _CONTACTS[body.contact.status]
        told.append(
            (f"{_a(name[0])} of yours is no longer used.", f"您的一个{name[1]}不再使用。")
            if body.contact.ended
            else (f"{_a(name[0])} of yours {status[0]}.", f"您的一个{name[1]}{status[1]}。")
        )
    if body.guardian is not None:
        told.append(("Somebody who is related to you was recorded or changed.", "登记或变更了您的相关人员。"))
    if body.age is not None and not told:
        told.append(("Your age band was recorded.", "登记了年龄段。"))
    return _both(told, " ", "") if told else ("Your record was changed.", "您的档案有变更。")


def _other(body: Body) -> Pair:
    if isinstance(body, ConsentEndedBody):
        ends = {"withdrawn": ("taken back", "撤回"), "revoked": ("revoked", "撤销"), "expired": ("over", "到期")}
        word = ends[body.state.value]
        return f"A consent is {word[0]}.", f"一项同意已{word[1]}。"
    if isinstance(body, ReleasedBody):
        return "The message was not sent after all.", "该消息最终未发送。"
    if isinstance(body, ReceiptBody):
        return f"The provider reported: {body.event.value.replace('_', ' ')}.", f"服务商报告:{body.event.value}。"
    if isinstance(body, InboundBody):
        return "Something came in from your address and was acted on.", "收到来自您地址的消息并已处理。"
    if isinstance(body, RightsBody):
        return _RIGHTS_REFUSED if body.refusal is not None else _RIGHTS[body.right]
    if isinstance(body, AccessBody):
        return _ACCESS[body.action]
    if isinstance(body, OpenedBody):
        return (
            f"A member of staff opened: {body.what}, for: {body.purpose}.",
            f"工作人员查阅:{body.what};用途:{body.purpose}。",
        )
    return _PLAIN.get(body.kind, ("Something about your record was written down.", "有一项与您有关的记录。"))
