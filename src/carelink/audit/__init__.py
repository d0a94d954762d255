"""The audit log: entries, tree, checkpoints, proofs, verification, replay. Bytes in, findings out; no I/O."""
