"""What a patient may ask for, why it may be refused, and the receipt that every answer gives.

Sources: PIPL 44-50, GDPR 12-21; reasons of a refusal as the law knows them, in the order it is worth looking at them.
A refusal is written and says why (PIPL 50, 未成年人网络保护条例 34, GDPR 12(4)).
"""

from __future__ import annotations

import json
from typing import Any, Final

import attrs

from carelink.model.access import Refusal, Right
from carelink.model.moment import Instant, iso
from carelink.rights.outcome import FieldOutcome

__all__ = ["REFUSALS", "RightsReceipt", "refusal_letter"]

_FORM: Final = "carelink-rights-receipt/1"

REFUSALS: Final[dict[Refusal, tuple[str, str]]] = {
    Refusal.IDENTITY: (
        "We could not make sure that the request comes from the person, or from somebody who may act for them.",
        "无法确认请求人即为本人或其有权代理人。",
    ),
    Refusal.OTHERS: (
        "The answer would tell about other people, and could not be given without that.",
        "答复将涉及他人的个人信息,且无法分离。",
    ),
    Refusal.LEGAL_DUTY: (
        "A law obliges us to keep this; we store and protect it, and do nothing else with it.",
        "法律规定须予保存;我们仅存储并采取安全保护措施,不作其他处理。",
    ),
    Refusal.NOT_HELD: ("We hold nothing of the kind.", "我们未持有该类信息。"),
    Refusal.CORRECT: ("What is recorded is right, as far as we could find out.", "经核实,现有记录无误。"),
    Refusal.REPEATED: (
        "The same was answered a short time ago, and nothing has changed since.",
        "短期内已作相同答复,情况未变。",
    ),
}  # fmt: skip
"""Why a request is refused, as sentences in English and Chinese."""

_ASKED: Final[dict[Right, tuple[str, str]]] = {
    Right.ACCESS: ("to see the data we hold about you", "查阅个人信息"),
    Right.COPY: ("for a copy of the data we hold about you", "复制个人信息"),
    Right.EXPORT: ("to have your data in a form that other systems read", "转移个人信息"),
    Right.CORRECT: ("to correct data we hold about you", "更正、补充个人信息"),
    Right.RESTRICT: ("to restrict what we do with your data", "限制处理个人信息"),
    Right.UNRESTRICT: ("to lift the restriction of your data", "解除处理限制"),
    Right.ERASE: ("to erase your data", "删除个人信息"),
}


@attrs.frozen(kw_only=True)
class RightsReceipt:
    """A dated receipt of one answer. It holds ids, codes, counts and instants, and nothing about the person.

    Attributes:
        receipt: its id, which the log's entry names.
        by: pseudonym of who answered.
        refusal: why it was refused; None where it was done.
        fields: outcome of each field.
    """

    receipt: str
    right: Right
    patient: str
    at: Instant
    by: str
    fields: tuple[FieldOutcome, ...] = ()
    refusal: Refusal | None = None

    def to_text(self) -> str:
        """Its JSON text; absent is left out."""
        form: dict[str, Any] = {
            "form": _FORM,
            "receipt": self.receipt,
            "right": self.right.value,
            "patient": self.patient,
            "at": iso(self.at),
            "by": self.by,
            "result": "done" if self.refusal is None else "refused",
            "fields": [field.to_json() for field in self.fields],
        }
        if self.refusal is not None:
            form["refusal"] = self.refusal.value
        return json.dumps(form, sort_keys=True, indent=1)


def refusal_letter(receipt: RightsReceipt, contact: str = "") -> str:
    """The written refusal, in English and Chinese: what was asked, why not, what can be done about it.

    Args:
        receipt: of a refusal.
        contact: whom to write to; "" where the settings do not say.
    """
    assert receipt.refusal is not None
    asked, why = _ASKED[receipt.right], REFUSALS[receipt.refusal]
    where = (contact or "the hospital's office for personal data", contact or "医院个人信息保护负责部门")
    day = iso(receipt.at)[:10]
    return (
        f"# Answer to your request · 对您请求的答复\n\n{day} · {receipt.receipt}\n\n"
        f"You asked {asked[0]}. We did not do it, because: {why[0]}\n\n"
        f"If you think this is wrong, write to {where[0]} and give the number above. You may also complain to the "
        "authority for the protection of personal data, or go to court.\n\n"
        f"您请求{asked[1]}。我们未予办理,理由:{why[1]}\n\n"
        f"如有异议,请凭以上编号联系{where[1]};您也可以向履行个人信息保护职责的部门投诉,或向人民法院起诉。\n"
    )
