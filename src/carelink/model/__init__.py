"""The nouns: patients, contact points, grants, suppressions, requests, touchpoints. No I/O, no clock."""
