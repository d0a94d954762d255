"""The PKCS#11 provider against SoftHSM2, whose module `CARELINK_SOFTHSM` names: a token of its own for each case."""

import atexit
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from carelink.keys.pkcs11 import Pkcs11Provider
from carelink.system import entropy
from carelink.testing.key_provider_case import KeyProviderCase
from carelink.vault.personal import Personal

PIN = "canary-pin-7f3a"
MODULE = os.environ.get("CARELINK_SOFTHSM", "")

_numbers = count(1)


def _place():
    """SoftHSM reads its configuration once in a process: all tokens of a process lie in one folder."""
    if "SOFTHSM2_CONF" not in os.environ:
        place = Path(tempfile.mkdtemp(prefix="carelink-softhsm-"))
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        (place / "tokens").mkdir()
        (place / "softhsm2.conf").write_text(
            f"directories.tokendir = {place}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        os.environ["SOFTHSM2_CONF"] = str(place / "softhsm2.conf")
    return Path(os.environ["SOFTHSM2_CONF"]).parent


def token(pin=PIN):
    """A new token; the options that reach it."""
    place, label = _place(), f"t{os.getpid()}-{next(_numbers)}"
    done = subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "12345678"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    import pkcs11

    if pkcs11._loaded:  # a module that is loaded learns of new tokens when it is initialised again
        pkcs11.lib(MODULE).reinitialize()
    return {"module_file": MODULE, "token": label, "pin": Personal(pin)}, place


def softhsm():
    options, place = token()

    @contextmanager
    def outage():
        (place / "tokens").rename(place / "away")
        try:
            yield
        finally:
            (place / "away").rename(place / "tokens")

    provider = Pkcs11Provider(options, entropy)
    return KeyProviderCase(
        provider=provider,
        reopen=lambda: Pkcs11Provider(options, entropy),
        other=lambda: Pkcs11Provider(token()[0], entropy),
        faults={"outage": outage},
        secrets=[PIN.encode()],
        finish=lambda: shutil.rmtree(place / "away", ignore_errors=True),
    )
