"""Acceptance test 20: what people and tools do with values shows neither a personal value nor a key."""

import copy
import json
import logging
import pickle
import shelve
import subprocess
import sys
import textwrap
import traceback
from concurrent.futures import ProcessPoolExecutor
from io import StringIO
from multiprocessing import get_context
from pprint import pformat
from string import Template

import attrs
import pytest
import structlog
from hypothesis.vendor.pretty import pretty as hypothesis_pretty
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from carelink.engine.safe import Held, Safe
from carelink.keys.store import MemoryKeyStore
from carelink.vault.datakey import DataKey, Kek
from carelink.vault.personal import Personal, SecretKey
from carelink.vault.suites import SM4_GCM

CANARY = "wang-xiaoming-canary"
KEY = CANARY.encode() + bytes(12)
OWNER = "a" * 32


def hidden():
    store = MemoryKeyStore("t1")
    data = DataKey(SecretKey(KEY), "t1", OWNER, suite=SM4_GCM)
    cipher = data.cipher
    return [Personal(CANARY), SecretKey(KEY), data, cipher, Kek(SecretKey(KEY), 1), Held(data, "t1", store), store]


@attrs.frozen
class Record:
    inner: object


def boom(value):
    local = value
    raise RuntimeError(f"with {local!r} and {[local]}")


def with_locals(value):
    try:
        boom(value)
    except RuntimeError as error:
        plain = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        out = StringIO()
        Console(file=out, width=200).print(Traceback.from_exception(type(error), error, None, show_locals=True))
        fancy = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        Console(file=out, width=200).print(fancy)
        return "".join(plain) + out.getvalue()
    raise AssertionError


def logged(value):
    out = StringIO()
    logger = logging.getLogger("carelink-leak")
    handler = logging.StreamHandler(out)
    logger.addHandler(handler)
    logger.warning("%s %r %s", value, value, {"value": value})
    logger.removeHandler(handler)
    struct = structlog.wrap_logger(
        structlog.PrintLogger(out), processors=[structlog.processors.KeyValueRenderer()], wrapper_class=None
    )
    struct.info("opened", value=value, many=[value])
    return out.getvalue()


def copied(value):
    try:
        return [copy.copy(value), copy.deepcopy(value)]
    except TypeError as refusal:  # keys in use are not copied either
        return refusal


CHANNELS = {
    "repr": repr,
    "str": str,
    "format": lambda v: f"{v} {v!r} {v!s} {[v]} {(v,)} {{1: v}}",
    "percent": lambda v: "%s %r" % (v, v),  # noqa: UP031  old code does it
    "template": lambda v: Template("$v").substitute(v=v),
    "ascii": ascii,
    "pprint": lambda v: pformat({"v": v}),
    "rich": lambda v: pretty_repr([v, Record(v)]),
    "hypothesis": hypothesis_pretty,
    "attrs": lambda v: repr(Record(v)),
    "attrs dict": lambda v: repr(attrs.asdict(Record(v))),
    "json default": lambda v: json.dumps({"v": v}, default=str) + json.dumps({"v": v}, default=repr),
    "dir sweep": lambda v: repr([getattr(v, name, None) for name in dir(v) if name not in ("use", "reveal")]),
    "copy": lambda v: repr([copied(v)]),
    "traceback with locals": with_locals,
    "logging": logged,
    "exception": lambda v: "".join(traceback.format_exception(ValueError(v, [v]))),
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_20_shows_nothing(channel):
    for value in hidden():
        shown = CHANNELS[channel](value)
        for form in (CANARY, CANARY.encode().hex(), repr(CANARY.encode())):
            assert form not in shown, type(value).__name__


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_20_pickle_is_refused(protocol):
    for value in hidden():
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.dumps([value], protocol)


def test_20_shelve_process_pool_and_vars_are_refused(tmp_path):
    for value in hidden()[:3]:
        with shelve.open(str(tmp_path / "shelf")) as shelf, pytest.raises(TypeError):
            shelf["v"] = value
        with pytest.raises(TypeError):
            vars(value)
    assert not any(CANARY.encode() in path.read_bytes() for path in tmp_path.iterdir())
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool, pytest.raises(TypeError):
        pool.submit(repr, Personal(CANARY)).result(20)


def test_20_pytest_and_faulthandler_output(tmp_path):
    """A failing test about personal values, and a crash dump in the middle of one."""
    (tmp_path / "test_leak.py").write_text(
        textwrap.dedent(f"""
        import faulthandler
        from carelink.vault.personal import Personal, SecretKey
        def test_it():
            value, key = Personal({CANARY!r:}.upper()), SecretKey(bytes(32))
            faulthandler.dump_traceback()
            assert [value, key] == [Personal("x"), key]
        """)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-l", "-vv", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "Personal(***)" in done.stdout
    assert CANARY.upper() not in done.stdout + done.stderr


def test_20_what_a_safe_holds_is_no_secret_to_show():
    assert CANARY not in repr(Safe(MemoryKeyStore("t1"), "t1"))
