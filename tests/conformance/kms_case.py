"""The AWS KMS provider against moto, an emulator of AWS that is not ours, over a line that can be broken."""

import atexit
import json
import os
import re
import subprocess
import sys
from itertools import count

from line import Line

from carelink.keys.aws_kms import AwsKmsProvider
from carelink.system import entropy
from carelink.testing.key_provider_case import FAULTS, KeyProviderCase
from carelink.vault.personal import Personal

SECRET = "canary+secret/access+key+7f3a"

_numbers = count(1)
_running = []


def server():
    """The port of moto, started once in a process."""
    if not _running:
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        port = next(int(found[1]) for line in process.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
        # What it tells is read on, else it would block.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        process.stderr.close()
        _running.append(port)

        @atexit.register
        def stop():
            process.kill()
            process.wait()
            drain.wait()

    return _running[0]


def _error(status, code):
    return status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": "no"}).encode()


ANSWERS = {
    "throttled": _error(400, "ThrottlingException"),
    "server_error": _error(500, "KMSInternalException"),
    "no_permission": _error(400, "AccessDeniedException"),
}


def options(address, alias):
    return {
        "alias": alias,
        "region": "eu-central-1",
        "endpoint": address,
        "access_key_id": Personal("canaryid"),
        "secret_access_key": Personal(SECRET),
        "timeout": 0.8,
        "attempts": 1,
    }


def moto():
    line = Line(server(), ANSWERS)

    def open_(alias):
        return AwsKmsProvider(options(line.address, alias), entropy)

    alias = f"alias/test/{os.getpid()}-{next(_numbers)}"
    return KeyProviderCase(
        provider=open_(alias),
        reopen=lambda: open_(alias),
        other=lambda: open_(f"{alias}-other"),
        faults=line.faults(FAULTS),
        secrets=[SECRET.encode()],
        finish=line.close,
    )
