"""Compares carelink with the slow evaluator over the small world: `python compare.py [--sample N] [--seed S] [--part I/N]`.

Exit 1 and the first differences where the two disagree, or where something is permitted without consent.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from slow_evaluator import PERMIT, Evaluator
from worlds import NEEDS_NO_CONSENT, SIZE, consented, facts_of

from carelink.audit.facts_read import facts_from_json
from carelink.audit.judge import PolicyJudge
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes

LISTED = 5


def compare(numbers, *, tell=print):
    """Effects counted, and the number of differences."""
    packs = [bundled_bytes(name) for name in DEFAULT_PACKS]
    slow, fast = Evaluator([pack.decode() for pack in packs]), PolicyJudge()
    digest = fast.policy(tuple(packs))
    effects, wrong = Counter(), 0
    for number in numbers:
        facts = facts_of(number)
        effect, against = slow.decide(facts)
        decision = fast.decide(facts_from_json(facts), digest)
        effects[effect] += 1
        told = {(verdict.rule, verdict.reason.value) for verdict in decision.reasons}
        same = decision.effect.value == effect and (against is None or told == against)
        secret = (
            decision.effect.value == PERMIT and facts["ask"]["purpose"] not in NEEDS_NO_CONSENT and not consented(facts)
        )
        if not same or secret:
            wrong += 1
            if wrong <= LISTED:
                what = "permitted without consent" if secret else "differs"
                tell(f"state {number}: {what}: carelink {decision.effect.value} {sorted(told)}")
                tell(f"  slow evaluator {effect} {sorted(against or ())}")
    return effects, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    numbers = range(SIZE) if args.sample is None else random.Random(args.seed).sample(range(SIZE), args.sample)
    effects, wrong = compare(numbers)
    print(f"{len(numbers):,} of {SIZE:,} states: {dict(effects)}; differences {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
