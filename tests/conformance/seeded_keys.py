"""Key providers for the kit's own tests: those that ship, and some with one fault each."""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from carelink.errors import ConflictError, DecryptError, KeyCheckError, KeyProviderError
from carelink.keys.folder import KeyFolder, PassphraseCost
from carelink.keys.provider import KekContext, RootKey, RootKeys
from carelink.keys.routing import Providers
from carelink.system import entropy
from carelink.testing.key_provider_case import KeyProviderCase
from carelink.vault.personal import SecretKey

PASSPHRASE = "canary passphrase 7f3a"
ROOT = b"canary root key of 32 bytes ....."[:32]


def roots(kind=RootKeys):
    return kind([RootKey(SecretKey(entropy(32)), entropy)])


def memory():
    return KeyProviderCase(provider=roots(), other=roots)


def routed():
    """As a deployment has it: behind a name, beside another."""

    def made():
        root, other = roots(), roots()
        return Providers("memory", {"memory": lambda: root, "folder": lambda: other})

    return KeyProviderCase(provider=made(), other=made)


def _folder(passphrase, wrapper=lambda folder: folder):
    place = Path(tempfile.mkdtemp())
    path = place / "keys"
    options = {"passphrase": passphrase, "cost": PassphraseCost(1, 64, 1)} if passphrase else {}

    @contextmanager
    def gone():
        path.rename(place / "away")
        try:
            yield
        finally:
            (place / "away").rename(path)

    first = KeyFolder.create(path, **options)
    known = b"" if passphrase else (path / "root.key").read_bytes()
    return KeyProviderCase(
        provider=wrapper(first),
        reopen=lambda: wrapper(KeyFolder.open(path, passphrase=passphrase)),
        other=lambda: wrapper(KeyFolder.create(Path(tempfile.mkdtemp(dir=place)) / "keys", **options)),
        faults={"outage": gone},
        secrets=[secret for secret in ((passphrase or "").encode(), known) if secret],
        finish=lambda: shutil.rmtree(place),
    )


def folder_raw():
    return _folder(None)


def folder_passphrase():
    return _folder(PASSPHRASE)


class Bad(RootKeys):
    """A good one, to be spoilt."""


def spoilt(kind):
    return lambda: KeyProviderCase(provider=roots(kind), other=roots, secrets=[ROOT])


def broken(kind):
    """With a far end that can be cut off."""

    def make():
        provider = roots(kind)
        provider.away = False

        @contextmanager
        def outage():
            provider.away = True
            try:
                yield
            finally:
                provider.away = False

        return KeyProviderCase(provider=provider, faults={"outage": outage}, secrets=[ROOT])

    return make


class Remote(RootKeys):
    """A far end: each call may fail."""

    away = False

    def _reach(self):
        if self.away:
            raise KeyProviderError("out of reach")

    def wrap(self, kek, context):
        self._reach()
        return super().wrap(kek, context)

    def unwrap(self, wrapped, context):
        self._reach()
        return super().unwrap(wrapped, context)

    def versions(self):
        self._reach()
        return super().versions()

    def rotate(self):
        self._reach()
        return super().rotate()

    def destroy(self, version):
        self._reach()
        super().destroy(version)


remote = broken(Remote)


@spoilt
class bad_other_key(Bad):
    def unwrap(self, wrapped, context):
        key = super().unwrap(wrapped, context)
        return SecretKey(bytes(32)) if context.epoch == 5 else key


@spoilt
class bad_bytes(Bad):
    def unwrap(self, wrapped, context):
        return super().unwrap(wrapped, context).use(bytes)


@spoilt
class bad_text(Bad):
    def wrap(self, kek, context):
        return super().wrap(SecretKey(kek.use(lambda raw: raw.replace(b"\n", b" "))), context)


@spoilt
class bad_context(Bad):
    def wrap(self, kek, context):
        return super().wrap(kek, KekContext("", context.epoch))

    def unwrap(self, wrapped, context):
        return super().unwrap(wrapped, KekContext("", context.epoch))


@spoilt
class bad_epoch(Bad):
    def wrap(self, kek, context):
        return super().wrap(kek, KekContext(context.tenant, context.epoch % 256))

    def unwrap(self, wrapped, context):
        return super().unwrap(wrapped, KekContext(context.tenant, context.epoch % 256))


@spoilt
class bad_narrow(Bad):
    def wrap(self, kek, context):
        if len(context.tenant) > 40:
            raise ValueError("too long")
        return super().wrap(kek, context)


@spoilt
class bad_deterministic(Bad):
    def __init__(self, given):
        super().__init__([RootKey(SecretKey(entropy(32)), bytes)])


@spoilt
class bad_open(Bad):
    def wrap(self, kek, context):
        return super().wrap(kek, context) + kek.use(bytes)

    def unwrap(self, wrapped, context):
        return super().unwrap(wrapped[:77], context)


@spoilt
class bad_lax(Bad):
    """Reads as far as it needs."""

    def unwrap(self, wrapped, context):
        return super().unwrap(wrapped[:77], context)


@spoilt
class bad_slack(Bad):
    def wrap(self, kek, context):
        return super().wrap(kek, context) + b"\0"

    def unwrap(self, wrapped, context):
        if len(wrapped) != 78 or wrapped[-1] & 0xF0:
            raise DecryptError("a wrapped key does not open here")
        return super().unwrap(wrapped[:-1], context)


@spoilt
class bad_outage_of_damage(Bad):
    def unwrap(self, wrapped, context):
        try:
            return super().unwrap(wrapped, context)
        except DecryptError:
            pass
        raise KeyProviderError("the far end said no")


@spoilt
class bad_talkative(Bad):
    def unwrap(self, wrapped, context):
        problem = ""
        try:
            return super().unwrap(wrapped, context)
        except DecryptError:
            problem = f"a key of {len(wrapped)} bytes does not open for epoch {context.epoch}"
        raise DecryptError(problem)


@spoilt
class bad_wrong_root(Bad):
    def unwrap(self, wrapped, context):
        try:
            return super().unwrap(wrapped, context)
        except KeyCheckError:
            pass
        raise DecryptError("a wrapped key does not open here")


@spoilt
class bad_names(Bad):
    def versions(self):
        return tuple(f"key of Mr {name}" for name in super().versions())


@spoilt
class bad_counter(Bad):
    """Names its versions by number: another root's are called the same."""

    def versions(self):
        return tuple(str(number) for number, _ in enumerate(super().versions()))


@spoilt
class bad_idle(Bad):
    def rotate(self):
        return self.versions()[-1]


@spoilt
class bad_forgetful(Bad):
    def rotate(self):
        old = self.versions()
        new = super().rotate()
        for version in old:
            super().destroy(version)
        return new


@spoilt
class bad_suicidal(Bad):
    def destroy(self, version):
        self._roots.pop(version, None)


@spoilt
class bad_keeper(Bad):
    def destroy(self, version):
        if version == self.versions()[-1]:
            raise ConflictError("in use")


@spoilt
class bad_once(Bad):
    def destroy(self, version):
        if version not in self.versions():
            raise KeyError(version)
        super().destroy(version)


@spoilt
class bad_printer(Bad):
    def __repr__(self):
        return f"Roots({ROOT!r})"


@spoilt
class bad_pickler(Bad):
    def __reduce__(self):
        return (bytes, (ROOT,))


@spoilt
class bad_chainer(Bad):
    def unwrap(self, wrapped, context):
        try:
            return super().unwrap(wrapped, context)
        except DecryptError:
            raise DecryptError("a wrapped key does not open here") from None


@spoilt
class bad_local(Bad):
    def unwrap(self, wrapped, context):
        token = ROOT
        assert token
        return super().unwrap(wrapped, context)


@spoilt
class bad_teller(Bad):
    def unwrap(self, wrapped, context):
        problem = None
        try:
            return super().unwrap(wrapped, context)
        except DecryptError:
            problem = DecryptError("a wrapped key does not open here", hint=ROOT.hex())
        raise problem


@spoilt
class bad_logger(Bad):
    def unwrap(self, wrapped, context):
        sys.stderr.write(ROOT.hex())
        return super().unwrap(wrapped, context)


@spoilt
class bad_mixer(Bad):
    """Keeps what it works on where another thread finds it."""

    __slots__ = ("kek",)

    def wrap(self, kek, context):
        self.kek = kek
        os.sched_yield()
        for _ in range(2000):
            pass
        return super().wrap(self.kek, context)

    def unwrap(self, wrapped, context):
        self.kek = super().unwrap(wrapped, context)
        for _ in range(2000):
            pass
        os.sched_yield()
        return self.kek


@broken
class bad_raiser(Remote):
    def _reach(self):
        if self.away:
            raise ConnectionError("refused")


@broken
class bad_damage_of_outage(Remote):
    def _reach(self):
        if self.away:
            raise DecryptError("a wrapped key does not open here")


@broken
class bad_empty(Remote):
    def versions(self):
        return () if self.away else super().versions()


@broken
class bad_asker(Remote):
    def version_of(self, wrapped):
        self._reach()
        return super().version_of(wrapped)


@broken
class bad_half(Remote):
    """Adds the new version before it knows that it is there."""

    def rotate(self):
        if self.away:
            self._roots["f" * 32] = None
        return super().rotate()


@broken
class bad_sticky(Remote):
    def _reach(self):
        self.stuck = getattr(self, "stuck", False) or self.away
        if self.stuck:
            raise KeyProviderError("out of reach")


@broken
class bad_deaf(Remote):
    """Its fault is none."""

    def _reach(self):
        pass
