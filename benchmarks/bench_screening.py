"""Screening a message beside what a few lines of Python would do. All ratios in one run.

    python benchmarks/bench_screening.py [--rounds N] [--no-limit]

Ours: `screen_rendered` with the bundled lists, all views, on a text of 500 characters.
naive: `[word for word in words if word in text]` over as many words as the automaton has forms. It finds no disguise.
bare: NFKC and case folding, then one regular expression of all listed words, without places in the original.

Texts: `calm` has nothing in it, `benign` is full of benign phrases, `loud` has a claim in every sentence, `latin` is English, `pinyin` has
syllables in it. Of the rounds, the fastest counts, of the processor. Limit: 1 ms a text. Exit code 1: above it.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence

from carelink.content.screening.screen import screen_rendered
from carelink.packs.screening_lists import bundled_lists, default_lists, load_list
from carelink.vocabulary import ChannelKind, Purpose

LIMIT = 1e-3
"""Seconds a text of SIZE characters may take."""
SIZE = 500
SENTENCES = {
    "calm": "您好，请于明天上午九点来院复查，请携带病历本和检验报告，家属可以陪同前来，停车请走东门。",
    "benign": "请到第一人民医院第一诊区，第一次复查最好空腹，请保证睡眠，唯一标识请妥善保存。",
    "loud": "三天根·治鼻炎，无效退款，国家级专家，限时三天，到店抽奖领红包。",
    "latin": "Please bring your card and a list of your medicines to the desk on the second floor. ",
    "pinyin": "本院zuijia团队，近视zhiyu不是梦，请来复查。",
}


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the processor of the fastest of the rounds, each of ten calls."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(10):
            work()
        best = min(best, (time.process_time() - began) / 10)
    return best


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--no-limit", action="store_true", help="report only")
    args = parser.parse_args(argv)
    began = time.process_time()
    lists = default_lists()
    built = time.process_time() - began
    listed = [word for name in bundled_lists() for entry in load_list(name).entries for word in entry.words]
    words = [lists.folded(word.replace("#", "三").replace("~", "的")) for word in listed]
    words += [f"{word}{place}" for place in range(9) for word in words][: max(0, len(lists.words) - len(words))]
    bare = re.compile("|".join(map(re.escape, sorted(listed, key=len, reverse=True))))
    print(f"{len(lists.words)} forms, {len(lists.patterns)} patterns; ready in {built * 1e3:.0f} ms")
    good = True
    for name, sentence in SENTENCES.items():
        text = (sentence * (SIZE // len(sentence) + 1))[:SIZE]
        folded = unicodedata.normalize("NFKC", text)

        def ours(text: str = text) -> object:
            return screen_rendered(
                {"body": text}, purpose=Purpose.MARKETING_SERVICE, channel_kind=ChannelKind.SMS, lists=lists
            )

        def naive(text: str = text) -> object:
            return [word for word in words if word in text]

        def plain(text: str = text) -> object:
            return bare.findall(unicodedata.normalize("NFKC", text).casefold())

        took = fastest(ours, args.rounds)
        beside = fastest(naive, args.rounds), fastest(plain, args.rounds)
        held = took <= LIMIT
        good = good and held
        print(
            f"{name:8} {len(folded)} characters  {took * 1e6:6.0f} us   {took / beside[0]:5.2f} times naive ({beside[0] * 1e6:.0f} us)   "
            f"{took / beside[1]:5.2f} times bare ({beside[1] * 1e6:.0f} us)   limit {LIMIT * 1e6:.0f} us: {'held' if held else 'MISSED'}"
        )
    return 0 if good or args.no_limit else 1


if __name__ == "__main__":
    sys.exit(main())
