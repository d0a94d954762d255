"""The key providers' conformance kit: what docs/reference/key-provider.md promises, as tests that anyone can run.

    pytest --carelink-key-provider=package.module:name

The name is a class or function without arguments that gives a provider, or a `KeyProviderCase` that also tells how to
open it again, how to break its far end, and what must never show. It is called anew for every test.
"""

from __future__ import annotations
