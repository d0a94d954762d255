"""Text of the README inside an exported log: what the folder is, how to check it, and what a check cannot show.

The export entry holds the text's SHA-256, so that the verifier tells a README that somebody changed. Nothing in it
depends on the head, which is signed after that entry.
"""

from __future__ import annotations

from typing import Final

from carelink.audit.checkpoint import VerifierKey

__all__ = ["export_readme"]

_TEXT: Final = """\
# Audit log of `{origin}`

Exported by carelink. This file explains the folder. It is no evidence of anything; the verifier checks that it is the
text that was exported with the log.

## What is here

| path | what |
| --- | --- |
| `checkpoint` | the signed head: origin, number of entries, root hash, signature (c2sp.org/tlog-checkpoint) |
| `checkpoints/<size>` | earlier heads, each signed when it was published |
| `tile/entries/...` | the entries, 256 to a file, each behind its length (c2sp.org/tlog-tiles) |
| `tile/<level>/...` | the hashes of the RFC 6962 tree over them |

## How to check it

You need the log's verifier key, one line of text, in a file outside this folder. Get it another way than with this
folder: from the hospital's published notice, from a contract, on paper. A key that lies in this folder proves nothing,
and the verifier refuses it.

    carelink audit verify . --key @/elsewhere/log.vkey
    carelink audit verify . --key @/elsewhere/log.vkey --since /elsewhere/remembered.checkpoint
    carelink audit replay . --key @/elsewhere/log.vkey

Exit codes: 0 all well, 3 tampered, 4 a decision is not what its recorded facts give, 5 cannot judge.
Keep a copy of `checkpoint` outside this folder when you are done: the next export must extend it (`--since`).

This export claims to be signed by the key with id `{key_id}`, whose verifier key line has the SHA-256

    {fingerprint}

Compare it with the key you hold; do not take it from here.

## What a check shows, and what it does not

- Shown: no byte of an entry was changed, removed, inserted or moved after the head was signed.
- Shown with `--since`: nothing was rewritten up to the checkpoint you kept. Without it, whoever holds the signing key
  could have rewritten the log and signed it again.
- Shown by `replay`: each decision follows from its recorded facts, from the entries before it and from the policy then
  in force.
- Not shown: messages that were sent outside carelink, entries of a second log, and a fork that nobody remembered a
  checkpoint of.
- Not shown: that an event was recorded at all, or that a recorded fact is true. Compare with the records of the
  providers that delivered the messages.
- Not shown: when something happened, beyond the clock of the machine that recorded it.
- Not shown: what was recorded after the head. The verifier says when its newest entry was written.

The entries hold no names, numbers, addresses or message texts. Persons appear as random pseudonyms, which stay personal
data for whoever holds the mapping: store and share this folder accordingly.
"""


def export_readme(key: VerifierKey) -> str:
    """The README for exports of the log this key signs; the key's fingerprint stands in it as a claim."""
    return _TEXT.format(origin=key.name, key_id=key.key_id.hex(), fingerprint=key.fingerprint)
