"""The judge of a replay: decides recorded facts under the policy that earlier entries adopted."""

from __future__ import annotations

import attrs

from carelink.consent.decide import decide
from carelink.consent.facts import Facts
from carelink.consent.policy import Policy
from carelink.consent.verdict import Decision

__all__ = ["PolicyJudge"]


@attrs.define
class PolicyJudge:
    """Compiles each policy once and decides under it."""

    _policies: dict[str, Policy] = attrs.field(factory=dict)

    def policy(self, packs: tuple[bytes, ...]) -> str:
        """Digest of the policy these packs make.

        Raises:
            PolicyError: this release cannot read one of them.
        """
        policy = Policy.from_bytes(packs)
        self._policies[policy.digest] = policy
        return policy.digest

    def decide(self, facts: Facts, policy: str | None) -> Decision:
        """The decision under the policy with this digest; None where none was ever adopted."""
        return decide(facts, None if policy is None else self._policies[policy])
