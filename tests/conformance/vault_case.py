"""The Vault transit provider against a peer of our own that follows the engine's documented API, with real AES-GCM, over
a line that can be broken. No real server could be had here: what the documents do not say is not shown by this.
"""

import base64
import json
import os
from itertools import count

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from line import Line

from carelink.keys.vault_transit import VaultTransitProvider
from carelink.system import entropy
from carelink.testing.key_provider_case import FAULTS, KeyProviderCase
from carelink.vault.personal import Personal

TOKEN = "hvs.canary-token-7f3a"
JSON = "application/json"


class Peer:
    """`/v1/transit/`: keys, config, rotate, trim, encrypt, decrypt."""

    def __init__(self):
        self.keys, self.seen, self.clock = {}, [], count(1_700_000_000)

    def ask(self, method, path, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        self.seen.append((method, path))
        if headers.get("x-vault-token") != TOKEN:
            return self.errors(403, "permission denied")
        parts = path.removeprefix("/v1/").split("/")
        if parts[0] != "transit":
            return self.errors(404, f"no handler for route {path!r}")
        given = json.loads(body) if body else {}
        answer = getattr(self, f"{method.lower()}_{'_'.join([parts[1], *parts[3:]])}", None)
        return self.errors(404) if answer is None else answer(parts[2], given)

    def errors(self, status, *texts):
        return status, JSON, json.dumps({"errors": list(texts)}).encode()

    def data(self, **data):
        return 200, JSON, json.dumps({"request_id": "x", "data": data}).encode()

    def get_keys(self, name, _):
        key = self.keys.get(name)
        if key is None:
            return self.errors(404)
        return self.data(
            **{each: value for each, value in key.items() if each != "secrets"},
            name=name,
            latest_version=max(key["secrets"]),
            keys={str(n): at for n, (at, _) in key["secrets"].items() if n >= key["min_decryption_version"]},
        )

    def post_keys(self, name, given):
        if name not in self.keys:
            self.keys[name] = {
                "type": given.get("type", "aes256-gcm96"),
                "derived": False,
                "exportable": bool(given.get("exportable")),
                "allow_plaintext_backup": False,
                "deletion_allowed": False,
                "min_decryption_version": 1,
                "min_encryption_version": 0,
                "min_available_version": 0,
                "secrets": {},
            }
            self.post_keys_rotate(name, {})
        return 204, JSON, b""

    def post_keys_rotate(self, name, _):
        secrets = self.keys[name]["secrets"]
        secrets[max(secrets, default=0) + 1] = (next(self.clock), AESGCM(os.urandom(32)))
        return self.get_keys(name, {})

    def post_keys_config(self, name, given):
        key = self.keys[name]
        new = {**key, **given}
        latest = max(key["secrets"])
        if not 0 < new["min_decryption_version"] <= latest or new["min_encryption_version"] > latest:
            return self.errors(400, "cannot set min version")
        if 0 < new["min_encryption_version"] < new["min_decryption_version"]:
            return self.errors(400, "min encryption version must be greater than or equal to min decryption version")
        key.update(new)
        return self.get_keys(name, {})

    def post_keys_trim(self, name, given):
        key, lowest = self.keys[name], given["min_available_version"]
        if (
            not key["min_available_version"]
            <= lowest
            <= min(key["min_encryption_version"], key["min_decryption_version"])
        ):
            return self.errors(400, "minimum available version cannot be set")
        key["min_available_version"] = lowest
        for number in [number for number in key["secrets"] if number < lowest]:
            del key["secrets"][number]
        return self.get_keys(name, {})

    def post_encrypt(self, name, given):
        if name not in self.keys:
            self.post_keys(name, {})  # as Vault does for a token that may create
        key = self.keys[name]
        number = given.get("key_version") or max(key["secrets"])
        if number not in key["secrets"] or number < key["min_encryption_version"]:
            return self.errors(400, "requested version for encryption is less than the minimum encryption key version")
        nonce = os.urandom(12)
        aad = base64.b64decode(given.get("associated_data", ""))
        sealed = key["secrets"][number][1].encrypt(nonce, base64.b64decode(given["plaintext"]), aad)
        text = base64.b64encode(nonce + sealed).decode()
        return self.data(ciphertext=f"vault:v{number}:{text}", key_version=number)

    def post_decrypt(self, name, given):
        key = self.keys.get(name)
        if key is None:
            return self.errors(400, "encryption key not found")
        _, version, text = given["ciphertext"].split(":")
        number, blob = int(version[1:]), base64.b64decode(text)
        if number < key["min_decryption_version"]:
            return self.errors(400, "ciphertext or signature version is disallowed by policy (too old)")
        if number not in key["secrets"]:
            return self.errors(400, "invalid ciphertext: version is too new")
        try:
            aad = base64.b64decode(given.get("associated_data", ""))
            plain = key["secrets"][number][1].decrypt(blob[:12], blob[12:], aad)
        except InvalidTag:
            return self.errors(400, "cipher: message authentication failed")
        return self.data(plaintext=base64.b64encode(plain).decode())


def _told(status, text):
    return status, JSON, json.dumps({"errors": [text]}).encode()


ANSWERS = {
    "throttled": _told(429, "request path quota exceeded"),
    "server_error": _told(503, "Vault is sealed"),
    "no_permission": _told(403, "permission denied"),
}


def options(address, key="carelink-root"):
    return {"address": address, "token": Personal(TOKEN), "key": key, "timeout": 0.8}


def line(tls=None):
    made = Line(None, ANSWERS, tls)
    made.peer = Peer()
    made.ask = made.peer.ask
    return made


def transit():
    made = line()
    return KeyProviderCase(
        provider=VaultTransitProvider(options(made.address), entropy),
        reopen=lambda: VaultTransitProvider(options(made.address), entropy),
        other=lambda: VaultTransitProvider(options(made.address, "other-root"), entropy),
        faults=made.faults(FAULTS),
        secrets=[TOKEN.encode()],
        finish=made.close,
    )


def brisk():
    """Without the fault that takes its time."""
    made = transit()
    return attrs.evolve(made, faults={name: fault for name, fault in made.faults.items() if name != "timeout"})
