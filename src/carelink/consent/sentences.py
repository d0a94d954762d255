"""One sentence for each reason code, in English and Chinese, for people who do not know the codes."""

from __future__ import annotations

from typing import Final

from carelink.consent.reasons import ReasonCode

__all__ = ["SENTENCES", "sentence"]

SENTENCES: Final[dict[ReasonCode, tuple[str, str]]] = {
    ReasonCode.RULE_FAILED: ("A rule could not be worked out, so nothing is sent.", "有规则无法判断,因此不发送。"),
    ReasonCode.RULE_UNKNOWN: ("A rule of an unknown kind is in force.", "存在无法识别的规则。"),
    ReasonCode.POLICY_MISSING: ("No policy is in force.", "没有生效的规则包。"),
    ReasonCode.POLICY_NOT_IN_FORCE: ("A policy pack is outside its dates of validity.", "规则包不在有效期内。"),
    ReasonCode.FACT_UNKNOWN: ("Something the rule must know is not known.", "规则所需的信息缺失。"),
    ReasonCode.FACT_STALE: ("Something the rule must know is too old to rely on.", "规则所需的信息已过时。"),
    ReasonCode.STORE_RESTORED: (
        "The store was restored from a backup and must be reconciled first.",
        "数据库由备份恢复,须先核对。",
    ),
    ReasonCode.CLOCK_UNTRUSTED: ("The clock cannot be trusted right now.", "系统时钟目前不可信。"),
    ReasonCode.KEYS_UNAVAILABLE: ("The keys cannot be reached right now.", "目前无法取得密钥。"),
    ReasonCode.LOG_UNPUBLISHED: ("The log is too far behind its publication.", "日志发布滞后过多。"),
    ReasonCode.MODE_SANDBOX: (
        "This deployment is in sandbox mode: nothing leaves the machine.",
        "沙箱模式:不向外发送。",
    ),
    ReasonCode.MODE_TEAM: (
        "This deployment is in team mode and the address is not on the list.",
        "团队模式:该地址不在名单内。",
    ),
    ReasonCode.CHANNEL_UNAVAILABLE: ("The channel is not available right now.", "渠道目前不可用。"),
    ReasonCode.PLUGIN_VETO: ("An installed plugin objects.", "已安装的插件提出否决。"),
    ReasonCode.SUBJECT_ERASED: ("The patient's data were erased.", "患者数据已被删除。"),
    ReasonCode.SUBJECT_DECEASED: ("The patient has died.", "患者已去世。"),
    ReasonCode.SUBJECT_MERGED: ("The record was merged into another one.", "该档案已并入另一档案。"),
    ReasonCode.RECIPIENT_UNAVAILABLE: ("The person who would receive it cannot be contacted.", "收件人不可联系。"),
    ReasonCode.SUPPRESSED: ("Contact was stopped for this purpose or channel.", "该目的或渠道已被停止联系。"),
    ReasonCode.OPTED_OUT: ("The person said stop.", "本人已要求停止。"),
    ReasonCode.CONTACT_MISSING: ("There is no address for this channel.", "没有该渠道的联系方式。"),
    ReasonCode.CONTACT_INVALID: (
        "The address is known not to work or to belong to someone else.",
        "联系方式无效或已易主。",
    ),
    ReasonCode.CONTACT_STALE: ("The address has not been checked for too long.", "联系方式过久未核实。"),
    ReasonCode.AGE_UNKNOWN: ("The age is unknown: it may be a child's.", "年龄不明,可能是未成年人。"),
    ReasonCode.GUARDIAN_REQUIRED: (
        "A child is contacted through a verified guardian only.",
        "未成年人须通过经核实的监护人联系。",
    ),
    ReasonCode.MINOR_EXCLUDED: ("Minors are not contacted for this purpose.", "该目的不得联系未成年人。"),
    ReasonCode.DISCLOSURE_DENIED: ("The patient has not opened this to that person.", "患者未授权向该人披露。"),
    ReasonCode.NO_CONSENT: (
        "No consent for this purpose and channel is on record.",
        "没有涵盖该目的与渠道的同意记录。",
    ),
    ReasonCode.WITHDRAWN: ("The consent was withdrawn.", "同意已被撤回。"),
    ReasonCode.CONSENT_EXPIRED: ("The consent has expired.", "同意已过期。"),
    ReasonCode.CONSENT_NOT_YET_VALID: ("The consent is not yet valid.", "同意尚未生效。"),
    ReasonCode.PURPOSE_MISMATCH: (
        "The text was reviewed for another purpose or channel.",
        "内容经审核用于其他目的或渠道。",
    ),
    ReasonCode.CONTENT_UNREVIEWED: ("The text has not been reviewed by enough people.", "内容未经足够人员审核。"),
    ReasonCode.CONTENT_WITHDRAWN: ("The text was withdrawn.", "内容已被撤回。"),
    ReasonCode.CONTENT_EXPIRED: ("The text is past its date.", "内容已过有效期。"),
    ReasonCode.CAP_EXCEEDED: ("The person or address was contacted often enough.", "该人或该地址的联系次数已达上限。"),
    ReasonCode.GAP_TOO_SHORT: ("It is too soon after the last contact.", "距上次联系时间过短。"),
    ReasonCode.TOO_LATE: ("The message would come too late to be of use.", "消息已过有用时间。"),
    ReasonCode.TOO_EARLY: ("It is too early for this message.", "尚未到发送时间。"),
    ReasonCode.ZONE_UNKNOWN: ("The recipient's local time is unknown.", "收件人所在时区不明。"),
    ReasonCode.QUIET_HOURS: (
        "It is outside the hours for contact where the recipient is.",
        "收件人当地处于免打扰时段。",
    ),
    ReasonCode.PROCESSOR_DENIED: (
        "There is no processing agreement in force with the provider of this channel.",
        "与该渠道的服务商没有有效的委托处理协议。",
    ),
    ReasonCode.REGION_DENIED: (
        "The provider of this channel would process the data in a place that is not allowed.",
        "该渠道的服务商将在不允许的地区处理数据。",
    ),
    ReasonCode.CONSENT_INVALID: (
        "The consent came about in a way that does not count for this purpose.",
        "同意的取得方式对该目的无效。",
    ),
    ReasonCode.RECONFIRM_REQUIRED: (
        "The patient has reached an age at which the consent must be confirmed again.",
        "患者已到须重新确认同意的年龄。",
    ),
    ReasonCode.THIRD_PARTY_NO_CONSENT: (
        "The person named by a third party has not consented.",
        "第三方提供的人员本人未同意。",
    ),
    ReasonCode.ASKED_TOO_SOON: (
        "Consent was refused or asked for too recently to ask again.",
        "距上次拒绝或询问过近,不得再次征求同意。",
    ),
    ReasonCode.DATA_EXCEEDS_PURPOSE: (
        "The choice of the patient, or the text, reads data that this purpose may not use.",
        "筛选或文本所用的数据超出该目的的范围。",
    ),
    ReasonCode.CREDENTIAL_INVALID: ("A reviewer's credential is no longer valid.", "审核人的执业资质已失效。"),
    ReasonCode.CLINICIAN_REQUIRED: ("This content needs a named clinician behind it.", "此类内容须由具名医师负责。"),
    ReasonCode.APPROVAL_NUMBER_MISSING: (
        "There is no valid approval number of the regulator.",
        "没有有效的审查批准文号。",
    ),
    ReasonCode.PROVIDER_TEMPLATE_MISSING: (
        "The provider of this channel has not approved this template.",
        "该渠道的服务商尚未批准此模板。",
    ),
    ReasonCode.CLAIM_PROHIBITED: ("The text makes a claim that is not allowed.", "文本含有禁止的宣传用语。"),
    ReasonCode.PRESSURE_PROMO: ("The text puts pressure on the patient to buy.", "文本含有促销施压内容。"),
    ReasonCode.INCENTIVE_PROHIBITED: ("The text offers a reward that is not allowed.", "文本含有禁止的奖励。"),
    ReasonCode.MIXED_PURPOSE: ("The text mixes another purpose into this one.", "文本混入了其他目的。"),
    ReasonCode.SENSITIVE_CONTENT: (
        "The text or the sender would tell others of a sensitive condition.",
        "文本或署名会泄露敏感病情。",
    ),
    ReasonCode.CONTENT_OBFUSCATED: ("The text holds hidden or disguised characters.", "文本含有隐藏或伪装的字符。"),
    ReasonCode.CONTENT_HELD: ("The text must be looked at by a person first.", "文本须先经人工复核。"),
    ReasonCode.MARK_MISSING: ("The text lacks a mark that is required here.", "文本缺少必需的标识。"),
    ReasonCode.DUPLICATE: ("The same contact was made already.", "同一联系已经进行过。"),
    ReasonCode.NOT_DUE: ("The plan does not want this contact at this time.", "按计划此时不应联系。"),
    ReasonCode.CALENDAR_UNKNOWN: ("The calendar does not reach this day.", "日历未覆盖该日期。"),
    ReasonCode.NOT_A_WORKING_DAY: ("It is not a working day.", "当日非工作日。"),
}


def sentence(code: ReasonCode, lang: str = "en") -> str:
    """The sentence for a code; `lang` is "en" or "zh"."""
    return SENTENCES[code][1 if lang == "zh" else 0]
