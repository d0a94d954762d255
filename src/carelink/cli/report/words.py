"""The report's words in English and Chinese. A text is shown in one language at a time; both are in the file."""

from __future__ import annotations

from html import escape
from typing import Final

__all__ = ["WORDS", "both", "t"]

WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Audit report", "审计报告"),
    "skip": ("Skip to content", "跳到正文"),
    "print": ("Print", "打印"),
    "language": ("中文", "English"),
    "status": ("Verification", "验证结果"),
    "checking": ("This page is checking its own hashes …", "本页正在校验自身的哈希值……"),
    "no_script": (
        "Scripts are off: nothing on this page was checked by your browser.",
        "脚本已禁用:浏览器未对本页作任何校验。",
    ),
    "made": (
        "When this file was made, carelink verified and replayed the export:",
        "生成本文件时,carelink 对导出文件夹验证并重放的结果:",
    ),
    "verify": ("verify", "验证"),
    "replay": ("replay", "重放"),
    "key": ("Fingerprint of the key (SHA-256 of the verifier key line)", "密钥指纹(验证密钥行的 SHA-256)"),
    "head": ("Signed head", "已签名的树头"),
    "entries": ("entries", "条记录"),
    "newest": ("Newest entry", "最新记录"),
    "fresh": (
        "Nothing recorded after that instant is covered.",
        "该时刻之后的记录不在本报告范围内。",
    ),
    "trust": (
        (
            "A file can show anything. This page can say only that its table is consistent with a key. Compare the "
            "fingerprint with the one you obtained elsewhere, and check the exported folder with a verifier you obtained "
            "elsewhere: carelink audit verify, verifier/carelink_verify.py (Python's standard library only), or any "
            "C2SP tlog-tiles verifier."
        ),
        (
            "文件可以显示任何内容。本页只能说明表中记录与某个密钥一致。请将指纹与您另行取得的指纹核对,并用您另行取得的"
            "验证程序检查导出文件夹:carelink audit verify、verifier/carelink_verify.py(仅用 Python 标准库),"
            "或任何 C2SP tlog-tiles 验证程序。"
        ),
    ),
    "limits": (
        (
            "Not shown by any log: messages sent outside carelink, a second log kept beside this one, and a rewrite by the "
            "key's holder that nobody remembers a checkpoint against."
        ),
        "任何日志都无法显示:在 carelink 之外发送的消息、另存的第二份日志,以及密钥持有者在无人留存检查点时的改写。",
    ),
    "figures_note": (
        (
            "The figures below were counted by carelink from all entries. Your browser re-checks the table of decisions, "
            "not these figures."
        ),
        "以下数字由 carelink 统计全部记录得出。浏览器复核的是决定表,而非这些数字。",
    ),
    "volume": ("Decisions over time", "决定数量变化"),
    "by_purpose": ("By purpose", "按目的"),
    "by_channel": ("By channel", "按渠道"),
    "permit": ("permit", "准许"),
    "defer": ("defer", "推迟"),
    "refuse": ("refuse", "拒绝"),
    "period": ("from", "起始日"),
    "total": ("total", "合计"),
    "refusals": ("Why not: rules that did not permit", "未准许的规则及依据"),
    "refusals_note": (
        (
            "One decision can fail several rules; each is counted. Certainty: T read in the text, S secondary source, "
            "K not checked, I interpretation or proposed default."
        ),
        "一次决定可能不满足多条规则,均计入。确定性:T 已读原文,S 二手来源,K 未核实,I 解释或建议默认值。",
    ),
    "rule": ("rule", "规则"),
    "reason": ("reason", "原因"),
    "source": ("source", "依据"),
    "authority": ("authority", "效力"),
    "certainty": ("certainty", "确定性"),
    "count": ("count", "次数"),
    "caps": ("Frequency caps", "频次上限"),
    "caps_note": (
        "How full the rolling window was at each permit, that message included.",
        "每次准许时滚动窗口内的条数(含本条)。",
    ),
    "window": ("window", "窗口"),
    "limit": ("cap", "上限"),
    "fullest": ("fullest window", "最满窗口"),
    "refused_by": ("refused", "因此拒绝"),
    "hours": ("Local hour of the recipient at hand-over", "交付时收件人当地时刻"),
    "hours_note": ("Allowed hours of the policy in force:", "现行策略允许的时段:"),
    "hour": ("hour", "时"),
    "attempts": ("attempts", "交付次数"),
    "coverage": ("Consent coverage", "同意覆盖"),
    "family": ("purpose family", "目的类别"),
    "granted": ("with a standing grant", "现有有效同意"),
    "ended": ("taken back or expired", "已撤回或过期"),
    "never": ("none on record", "无记录"),
    "persons": ("Persons on record", "在册人数"),
    "outcomes": ("Outcomes of hand-over attempts", "交付结果"),
    "outcome": ("outcome", "结果"),
    "delivery": ("Last delivery report", "最近送达报告"),
    "unknown": (
        "UNKNOWN means: may have been delivered. It counts against caps and is never repeated.",
        "UNKNOWN 表示可能已送达:计入频次,且不会重发。",
    ),
    "unknown_list": ("Requests with an unknown outcome", "结果未知的请求"),
    "openings": ("Who opened personal data", "个人信息查阅记录"),
    "no_openings": ("No person opened personal data through carelink.", "没有人通过 carelink 查阅个人信息。"),
    "who": ("who (pseudonym)", "查阅人(化名)"),
    "what": ("what", "内容"),
    "purpose": ("purpose", "目的"),
    "channel": ("channel", "渠道"),
    "at": ("instant (UTC)", "时刻(UTC)"),
    "entry": ("entry", "记录号"),
    "changes": ("Changes of policy, mode, plugins and content", "策略、模式、插件与内容的变更"),
    "change": ("change", "变更"),
    "kind": ("kind", "种类"),
    "loosens": ("loosens", "放宽"),
    "decisions": ("Decisions, checked by your browser", "决定明细(由浏览器复核)"),
    "decisions_note": (
        "Each row is made from the entry's own bytes, after they were hashed and found under the signed root.",
        "每行均由记录原始字节生成,且已先经哈希并确认在签名树根之下。",
    ),
    "newest_only": ("The newest entries of kind decision and claim.", "最新的决定与认领记录。"),
    "search": ("Search: request, purpose, channel, rule, reason", "搜索:请求、目的、渠道、规则、原因"),
    "effect": ("effect", "效果"),
    "all": ("all", "全部"),
    "request": ("request", "请求"),
    "earliest": ("earliest", "最早可行"),
    "shown": ("shown", "显示"),
    "none": ("none", "无"),
    "made_by": ("Made by", "生成者"),
}
"""key -> (English, Chinese)."""


def both(english: str, chinese: str) -> str:
    """A text in both languages, as HTML; style sheet and button show one of them."""
    return f'<span lang="en">{escape(english)}</span><span lang="zh-CN">{escape(chinese)}</span>'


def t(key: str) -> str:
    """A text of the table, as HTML."""
    return both(*WORDS[key])
