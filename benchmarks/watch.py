"""Runs a command and tells what it used: `python benchmarks/watch.py COMMAND...` prints one line of JSON.

A process of its own, small, because Linux counts the memory of whoever starts a process as the least that process used.
Standard error of the command is a terminal, so that it shows its progress; how often that moved is counted.
"""

import json
import os
import pty
import re
import subprocess
import sys
import time


def main(command: list[str]) -> int:
    """Run it."""
    ours, theirs = pty.openpty()
    began = time.monotonic()
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    steps: set[bytes] = set()
    tail = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # how Linux says that the other end is closed
            break
        if not data:
            break
        steps.update(re.findall(rb"(\d+)/\d+", data))
        tail = (tail + data)[-2000:]
    assert run.stdout is not None
    out = run.stdout.read()
    _, status, used = os.wait4(run.pid, 0)
    print(
        json.dumps(
            {
                "code": os.waitstatus_to_exitcode(status),
                "wall": round(time.monotonic() - began, 1),
                "cpu": round(used.ru_utime + used.ru_stime, 1),
                "megabytes": used.ru_maxrss // 1024,
                "steps": len(steps),
                "last": out.decode().strip().rpartition("\n")[2],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
