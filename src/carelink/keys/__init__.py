"""Where keys live: the key folder (root and signing key) and the key store (epochs, data keys, tombstones)."""
