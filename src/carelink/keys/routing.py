"""Several key providers as one: the chosen one wraps, and whichever a wrapped KEK names unwraps it.

Only providers that the settings name are asked. What a wrapped KEK says of itself is written by whoever can write to
the key store, and must not bring in a root key that nobody chose. An error that is none of carelink's, from whatever
library a provider stands on, becomes KeyProviderError: sends are held. Its text goes nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from carelink.errors import CarelinkError, KeyCheckError, KeyProviderError, SettingsError
from carelink.keys.forms import FOLDER, VERSION, claim, claimed
from carelink.keys.provider import KekContext, KeyProvider
from carelink.vault.personal import SecretKey

__all__ = ["Providers"]

T = TypeVar("T")


class Providers:
    """The providers of one deployment. Each is opened when it is first needed; safe to share between threads."""

    __slots__ = ("_chosen", "_lock", "_open", "_openers")

    def __init__(self, chosen: str, openers: Mapping[str, Callable[[], KeyProvider]]) -> None:
        """`openers`: by name, how each is opened."""
        self._openers = dict(openers)
        self._open: dict[str, KeyProvider] = {}
        self._lock = threading.RLock()
        self.choose(chosen)

    def __repr__(self) -> str:
        return f"Providers({', '.join(sorted(self._openers))})"

    def choose(self, name: str) -> None:
        """Another provider wraps from now on.

        Raises:
            SettingsError: the settings do not name it.
        """
        if name not in self._openers:
            raise SettingsError(f"no table `[keys.{name[:32]}]` says how to reach this key provider")
        self._chosen = name

    def load(self) -> None:
        """Open the chosen provider now, so that a start does not hide what is wrong with it."""
        name = self._chosen
        self._asked(name, lambda provider: provider)

    @property
    def chosen(self) -> str:
        """Name of the provider that wraps."""
        return self._chosen

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK, under the chosen provider's newest version."""
        name = self._chosen
        return claim(name, self._asked(name, lambda provider: bytes(provider.wrap(kek, context))))

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `KeyProvider.unwrap`, and KeyCheckError for a provider that was not chosen."""
        name, own = claimed(wrapped)
        key = self._asked(name, lambda provider: provider.unwrap(own, context))
        if not isinstance(key, SecretKey):
            raise _broken(name)
        return key

    def versions(self) -> tuple[str, ...]:
        """Versions of the chosen provider's root, oldest first, each behind the provider's name but in the key folder's
        case.
        """
        name = self._chosen
        found = self._asked(name, lambda provider: tuple(provider.versions()))
        if not all(VERSION.fullmatch(_full(name, str(each))) for each in found):
            raise _broken(name)
        return tuple(_full(name, each) for each in found)

    def version_of(self, wrapped: bytes) -> str:
        """The provider and version that a wrapped KEK names. Another provider than the chosen one is not asked, and
        need not be reachable, unless it is set up.
        """
        name, own = claimed(wrapped)
        if name not in self._openers:
            return f"{name}:unknown"
        return _full(name, self._asked(name, lambda provider: provider.version_of(own)))

    def rotate(self) -> str:
        """A new version of the chosen provider's root; its first, if it has none."""
        name = self._chosen
        return _full(name, self._asked(name, lambda provider: provider.rotate()))

    def destroy(self, version: str) -> None:
        """Destroy an older version of the chosen provider's root; errors as in `KeyProvider.destroy`."""
        name = self._chosen
        prefix = _full(name, "")
        if not version.startswith(prefix):
            raise KeyCheckError("this version of a root key is another provider's")
        self._asked(name, lambda provider: provider.destroy(version.removeprefix(prefix)))

    def _provider(self, name: str) -> KeyProvider:
        with self._lock:
            if name not in self._open:
                opener = self._openers.get(name)
                if opener is None:
                    raise KeyCheckError(
                        f"a key was wrapped by the provider `{name}`, which the settings do not name",
                        hint=f"add a table `[keys.{name}]`, or restore the key store that belongs here",
                    )
                self._open[name] = opener()
            return self._open[name]

    def _asked(self, name: str, ask: Callable[[KeyProvider], T]) -> T:
        """What the provider answers; whatever it raises that is no error of carelink's becomes one, and is let go."""
        answers: list[T] = []
        try:
            answers.append(ask(self._provider(name)))
        except CarelinkError:
            raise
        except Exception:  # noqa: BLE001  a provider's library may raise anything, with anything in it
            answers.clear()
        if not answers:
            raise KeyProviderError(f"the key provider `{name}` failed", hint="see its own log")
        return answers[0]


def _full(name: str, version: str) -> str:
    return version if name == FOLDER else f"{name}:{version}"


def _broken(name: str) -> KeyProviderError:
    return KeyProviderError(f"the key provider `{name}` breaks its contract", hint="see docs/reference/key-provider.md")
