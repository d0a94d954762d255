"""A key provider as a stranger would write it: its root keys stand in a file, newest last. For tests, not for use."""

from pathlib import Path

from carelink.errors import KeyProviderError, SettingsError
from carelink.keys.forms import pack, unpack
from carelink.keys.provider import RootKey, RootKeys
from carelink.vault.personal import SecretKey


class Stranger:
    def __init__(self, options, entropy):
        if set(options) - {"place", "token"}:
            raise SettingsError("`[keys.stranger]` has an unknown option")
        self.place, self.token, self.entropy = Path(options["place"]), options.get("token"), entropy

    def roots(self):
        if not self.place.parent.exists():
            raise KeyProviderError("the stranger is out of reach")
        data = self.place.read_bytes() if self.place.exists() else b""
        return [
            RootKey(SecretKey(data[at : at + 32]), self.entropy)
            for at in range(0, len(data), 32)
            if any(data[at : at + 32])
        ]

    def wrap(self, kek, context):
        root = self.roots()[-1]
        return pack(root.version, root.wrap(kek, context))

    def unwrap(self, wrapped, context):
        _, blob = unpack(wrapped)
        return RootKeys(self.roots()).unwrap(blob, context)

    def versions(self):
        return tuple(root.version for root in self.roots())

    def version_of(self, wrapped):
        return unpack(wrapped)[0]

    def rotate(self):
        with self.place.open("ab") as file:
            file.write(self.entropy(32))
        return self.versions()[-1]

    def destroy(self, version):
        *old, _ = self.versions()
        if version in old:
            data = self.place.read_bytes()
            at = 32 * self.versions().index(version)
            self.place.write_bytes(data[:at] + data[at + 32 :])


def raising(options, entropy):
    raise RuntimeError("the token is s3cr3t")


def incomplete(options, entropy):
    return object()
