"""Headings and words of the tables, in English and Chinese. Sentences of reason codes are the core's
(`carelink.consent.sentences`); codes, names and options stay as they are in either language.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

__all__ = ["speaker"]

_CHINESE: Final = {
    "Preview: nothing was reserved, recorded or sent": "预览:未预留、未记录、未发送",
    "Reasons (a request may have several)": "原因(一项请求可有多个)",
    "Sent": "发送结果",
    "effect": "结论",
    "requests": "请求数",
    "reason": "原因",
    "would pass from": "最早可发时间",
    "meaning": "含义",
    "state": "状态",
    "for example": "例如",
    "permit": "允许",
    "defer": "推迟",
    "refuse": "拒绝",
    "refused": "已拒绝",
    "deferred": "已推迟",
    "handed over": "已交付",
    "sent before": "此前已发送",
    "in flight": "正在交付",
    "released": "许可已释放",
    "permit waiting": "许可待用",
    "error": "请求有误",
    "handed over before": "此前已交付",
    "not decided": "未判断",
    "nothing matches this selection: no patient fits": "没有符合条件的患者",
    "No consent is on record for these patients, so nothing can be sent.": "这些患者没有同意记录,因此不能发送。",
    "Nothing can be sent; requests without a consent on record": "没有可发送的请求;其中没有同意记录的请求",
    "Load it with its evidence": "请连同证据一起导入",
    "why one was refused": "查看某一项的原因",
    "policy": "规则包",
    "decided again now": "现在重新判断",
    "the same": "一致",
    "DIFFERENT": "不一致",
    "rule": "规则",
    "Every rule": "全部规则",
    "Facts": "所用事实",
    "What happened": "经过",
    "entry": "日志条目",
}


def speaker(args: argparse.Namespace) -> Callable[[str], str]:
    """Gives each phrase in the language that was asked for; what has no Chinese stays English."""
    if getattr(args, "lang", "en") != "zh":
        return lambda text: text
    return lambda text: _CHINESE.get(text, text)
