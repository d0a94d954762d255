"""Tables of the normaliser that Unicode does not give: look-alikes, radicals, homophones, split characters, pinyin.

Curated by hand for the characters that prohibited words are made of; they claim no completeness.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALIKE", "CONFUSABLES", "NUMERALS", "PINYIN", "RADICALS", "RARE", "SPLIT", "VISIBLE_GREEK"]

_GREEK: Final = "ΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXαaοoνvρpιiκkυuϲcϹC"
_CYRILLIC: Final = "АAВBСCЕEНHІIЈJКKМMОOРPЅSТTХXУYаaсcеeіiјjоoрpѕsхxуyһhԁdԛqԝwґrпnкkтtмm"
_OTHERS: Final = "ıiɡgɑaօoոnսuհhℓlǃ!ᴏoᴄcᴠvᴡwᴢz"
_PAIRS: Final = _GREEK + _CYRILLIC + _OTHERS
CONFUSABLES: Final[dict[str, str]] = dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True))
"""Letter of another script -> the Latin one it looks like (a part of https://www.unicode.org/reports/tr39/)."""

VISIBLE_GREEK: Final = frozenset("αακνρι")
"""Small Greek letters that medicine writes beside Latin ones (alpha, kappa, nu, rho, iota): not a disguise by themselves."""

_RADICALS: Final = (
    "⺁厂⺄乙⺆冂⺈刀⺋卩⺒巳⺔幺⺗心⺟母⺠民⺡水⺣火⺤爪⺧牛⺩王⺫目⺬示⺮竹⺯糸⺰丝⺱网⺲网⺳网⺶羊⺷羊⺸羊⺹老⺺聿⺼肉⺾草⺿草"
    "⻀草⻂衣⻄西⻅见⻆角⻈言⻉贝⻋车⻌辶⻐金⻑长⻒长⻓长⻔门⻗雨⻘青⻙韦⻚页⻛风⻜飞⻝食⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻫齐⻬齐⻮齿⻰龙⻳龟"
)
RADICALS: Final[dict[str, str]] = dict(zip(_RADICALS[::2], _RADICALS[1::2], strict=True))
"""CJK Radicals Supplement -> the character it is drawn as; compatibility folding leaves most of them."""

RARE: Final[dict[str, str]] = dict(zip("蕞朂㝡攰苐欵厷蓺薇徽", "最最最疗第款公艺微微", strict=True))
"""Characters that ordinary text hardly has -> the one they stand for."""

NUMERALS: Final[dict[str, str]] = dict(
    zip("0123456789〇壹贰叁肆伍陆柒捌玖拾", "零一二三四五六七八九零一二三四五六七八九十", strict=True)
)
"""Digits and formal numerals -> Chinese numerals."""

ALIKE: Final[dict[str, str]] = {
    pair[0]: pair[1:]
    for pair in (
        "最嘴醉罪 佳嘉加 第弟地苐 一壹依 级极及 极及级 权全 威薇 顶鼎 领令 先仙 家佳 绝决 治志制冶智 愈逾喻玉育欲 根跟艮 断段 "
        "效笑校孝 见建健 显险 著箸 特忒 神绅 永勇咏 复负付腹 发法乏 弹坛谈 副付负 作做 无吾芜 毒独读 安按 全泉 痛疼 零灵另 "
        "险显 成诚城程 功工公攻 率律绿 有友又 存村 活火 缓换 解介 保宝饱报 证正征政 承诚程 诺若 签千 约月 退腿推 款欵宽 包苞胞 "
        "患换 者着 案按 例列 真针 实石时食 体休提 验检眼 推腿 荐建 名铭 医一依 祖组 传船 秘蜜密泌 方芳 军君 院愿 优忧悠 于与 "
        "远原元 超抄 同铜 行形 排牌 免兔勉 费废弗 赠增 抽丑 奖讲将 红洪虹宏 返反饭 现线限显 满慢 减简 特忒 价介 半伴 优犹 惠会 "
        "券卷劵 限现线 时石实 量亮 抢枪 秒妙淼 杀沙煞刹 团困抟 购够构勾 倒到 计记 好号 评平苹坪 转专砖 朋鹏 友有 礼里理 赞攒 "
        "分纷 享响 介界 绍邵 佣拥 后候 果裹 严盐言 重种種众 癌岩 变便遍 失施 明名 艾爱埃 滋兹资姿 病并疒 梅霉煤 毒独读 抑仰亦 "
        "郁育玉 症正证 精晶 乙已 肝干杆 肿种 瘤留流 化花 疗料辽 点典 击鸡机积 买卖 加嘉 微薇徽威 信芯 扫嫂 码马 下夏 单丹 "
        "据剧 统桶 计记 研言 究九 表标 数术 据剧 糖唐 尿料 白百 内那 障章帐 专砖 检捡 捡检 付负"
    ).split()
}
"""Character -> others that sound or look like it. Words of three characters and more are also found with one replaced."""

SPLIT: Final[dict[str, str]] = dict(
    pair.split("=")
    for pair in (
        "木及=极 纟及=级 糹及=级 木又=权 女子=好 木艮=根 氵台=治 牛寺=特 交力=效 工力=功 亻呆=保 讠正=证 言正=证 亻专=传 禾必=秘 "
        "纟工=红 弗贝=费 禾少=秒 氵少=沙 禾火=秋 木每=梅 月中=肿 疒留=瘤 贝勾=购 疒俞=愈 疒正=症 讠平=评 氵咸=减 氵囬=洄 亻介=价 亻尤=优 "
        "走取=趣 扌仑=抡 扌由=抽 扌仓=抢 木羊=样 讠人=认 讠若=诺 贝曾=赠 口我=哦 火丁=灯 亻本=体 马佥=验 车专=转 衤申=神 礻申=神 "
        "丷夫=关 忄卬=仰 阝有=随 氵去=法 氵每=海 彳复=复 讠殳=设 月任=胜 亻木=休 日月=明 王见=现 矢豆=短 田介=界 疒丙=病 疒因=癌"
    ).split()
)
"""Two parts that are written side by side -> the character they make."""

_SYLLABLES: Final = (
    "zui最 jia佳家价加 hao好 guo国果 ji级极计疾击机 shi世时试实使市 jie界解介 gao高 xian先现限显线险 jin进金 quan权全券 wei威唯微卫位 di第底 "
    "yi一医已依疑抑乙 du独度毒 shou首手收 ding顶 jian尖荐见检减健剑 zhi治至致制证之肢 ling领零 jun军 wang王 pai牌排 jue绝 dui对 yong永 "
    "jiu久就 wan万 neng能 gen根 yu愈郁预于裕 quan痊 duan断 chu除处初 yao药要 dao到道 bing病 li立利礼里丽 gan竿肝 ying影应 xiao效笑 kuai快 te特 "
    "qi奇器 shen神身深 fu复副服附 fa发 tan弹 bu不 wu无武 zuo作做 an安案 tong痛通统同 feng风 chuang创 ci次瓷 lv率 you有优右 "
    "cheng成承 gong功公 cun存 huo活 huan缓患换环 bao保包报 zheng证症正整 nuo诺 qian签前 yue约越 liao疗料 tui推退 kuan款 man满 zhe者折 jian见 kang康 "
    "li例 zhen真诊 qin亲 ti体提 yan验研严言 guan官关观 ming名明 jiao教 shou授 xing星行性 da大打 shi师 zu祖 chuan传 mi秘密 fang方访 jing警精静 yuan院员 "
    "bi比 qi其 yuan远 chao超 bie别 pai排 pi媲 mei美梅每 mian免面 fei费 ti体 zeng赠 song送 chou抽 jiang奖 hong红 fan返反 jian减 jia价 ban半 hui惠会 "
    "chong充 liang量 qiang抢枪 miao秒 sha杀 tuan团 gou购 pin拼 dao倒 ping评平 zhuan转专 peng朋 you友 zan赞 fen分 xiang享 shao绍 yong佣 lao老 dai带 xin新信心 "
    "si死 ai癌艾 bian变 cuo错 guo过 jia佳 ji机 hou后 zhong重肿种 shi失 zi滋子 ling淋 liu瘤 hua化 jing精 ke科 jie结 he核 dian点 mai买 sao扫 ma码 xia下 dan单 "
    "jia加 zu族 shu术数 tang糖 niao尿 bai白百 nei内 zhang障涨 ju据 biao表 jiu究 zhu著助 fu副 ka卡 ri日 tian天 ban办 yong用 wu五 quan圈 ji集即 liu流 chan产 ting停 quan券"
)
PINYIN: Final[dict[str, str]] = {
    mark: syllable.rstrip(marks)
    for syllable, marks in ((part, part.lstrip("abcdefghijklmnopqrstuvwxyz")) for part in _SYLLABLES.split())
    for mark in marks
}
"""Character -> its syllable without tone, `v` for ü. Only for the words that a list offers to the pinyin view."""
