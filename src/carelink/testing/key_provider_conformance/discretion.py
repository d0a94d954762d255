"""Discretion and threads: no secret shows anywhere, and calls from several threads do not mix."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from carelink.errors import CarelinkError
from carelink.keys.provider import KekContext, KeyProvider
from carelink.testing.key_provider_case import KeyProviderCase
from carelink.testing.key_provider_conformance.fixtures import CONTEXT, TENANT, kek, raw, shown

_THREADS = 6


def _dumped(provider: object) -> Iterator[bytes]:
    """What pickle, copies and a JSON encoder make of it, where they make anything."""
    makers: tuple[Callable[[], bytes], ...] = (
        lambda: pickle.dumps(provider),
        lambda: repr(copy.copy(provider)).encode(),
        lambda: json.dumps(provider, default=lambda thing: getattr(thing, "__dict__", repr(thing))).encode(),
    )
    for make in makers:
        try:
            yield make()
        except Exception:  # noqa: BLE001  refused is best
            continue


def test_printing_it_shows_nothing(provider: KeyProvider, secrets: list[bytes]) -> None:
    """By repr, str, format, nor the repr of what it is made of."""
    provider.unwrap(provider.wrap(kek(), CONTEXT), CONTEXT)
    names = {*getattr(provider, "__dict__", {}), *getattr(type(provider), "__slots__", ())}
    parts = [repr(getattr(provider, name, None)) for name in names]
    assert not shown("\n".join([repr(provider), str(provider), f"{provider}", *parts]), secrets)


def test_dumping_it_shows_nothing(provider: KeyProvider, secrets: list[bytes]) -> None:
    """It is refused, or empty of secrets."""
    provider.unwrap(provider.wrap(kek(), CONTEXT), CONTEXT)
    for dump in _dumped(provider):
        assert not shown(dump, secrets)


def _failures(case: KeyProviderCase) -> Iterator[BaseException]:
    """Errors of every kind that the case can bring about."""
    provider = case.provider
    form = provider.wrap(kek(), CONTEXT)
    calls: list[Callable[[], object]] = [
        lambda: provider.unwrap(form[:-1] + bytes([form[-1] ^ 1]), CONTEXT),
        lambda: provider.unwrap(form[:-5], CONTEXT),
        lambda: provider.unwrap(form, KekContext(TENANT, 9)),
        lambda: provider.destroy(provider.versions()[-1]),
    ]
    for call in calls:
        yield from _raised(call)
    for fault in case.faults.values():
        with fault():
            for call in (lambda: provider.wrap(kek(2), CONTEXT), lambda: provider.unwrap(form, CONTEXT), *calls):
                yield from _raised(call)


def _raised(call: Callable[[], object]) -> Iterator[BaseException]:
    try:
        call()
    except CarelinkError as error:
        yield error


def test_errors_show_nothing(case: KeyProviderCase, secrets: list[bytes]) -> None:
    """Neither in their text, nor in their arguments, nor in what they came from."""
    found = 0
    for error in _failures(case):
        found += 1
        each: BaseException | None = error
        while each is not None:
            assert not shown(f"{each} {each!r} {each.args!r} {vars(each)!r}", secrets)
            each = each.__cause__ or each.__context__
    assert found >= 4


def test_errors_come_from_nowhere(case: KeyProviderCase) -> None:
    """`from None` hides what an error came from in print, and keeps it: raise outside `except`."""
    for error in _failures(case):
        assert error.__context__ is None
        assert error.__cause__ is None


def test_tracebacks_with_variables_show_nothing(case: KeyProviderCase, secrets: list[bytes]) -> None:
    """Error trackers record the variables of every frame."""
    for error in _failures(case):
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        # The kit's own frames hold what they hold.
        frames = [frame for frame in trace.stack if "key_provider_conformance" not in frame.filename]
        assert not shown("".join(f"{frame.name} {frame.locals}" for frame in frames), secrets)


def test_logs_and_output_show_nothing(
    case: KeyProviderCase, secrets: list[bytes], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even at the most talkative level of whatever library is below."""
    provider = case.provider
    with caplog.at_level(logging.DEBUG):
        form = provider.wrap(kek(1), CONTEXT)
        provider.unwrap(form, CONTEXT)
        provider.rotate()
        provider.wrap(kek(2), CONTEXT)
        provider.destroy(provider.version_of(form))
        list(_failures(case))
    told = capfd.readouterr()
    records = [f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in caplog.records]
    assert not shown("\n".join([*records, caplog.text, told.out, told.err]), secrets)


def test_the_key_it_is_given_stays_as_it_is(provider: KeyProvider) -> None:
    """Nor is it kept under a name of its own."""
    given = kek(5)
    form = provider.wrap(given, CONTEXT)
    assert given == kek(5)
    assert not any(isinstance(part, bytes) and raw(5) in part for part in getattr(provider, "__dict__", {}).values())
    assert provider.unwrap(form, CONTEXT) is not given


def test_threads_do_not_mix(provider: KeyProvider) -> None:
    """Each gets its own key back, and no two the same bytes."""

    def work(number: int) -> bytes:
        context = KekContext(TENANT, number + 1)
        form = provider.wrap(kek(number), context)
        assert provider.unwrap(form, context) == kek(number)
        return form

    with ThreadPoolExecutor(_THREADS) as pool:
        forms = list(pool.map(work, range(_THREADS * 6)))
    assert len(set(forms)) == len(forms)


def test_a_rotation_amid_threads_loses_nothing(provider: KeyProvider) -> None:
    """Whatever was wrapped while the root was rotated opens."""

    def work(number: int) -> bytes:
        if number == _THREADS:
            provider.rotate()
        return provider.wrap(kek(number), CONTEXT)

    with ThreadPoolExecutor(_THREADS) as pool:
        forms = list(pool.map(work, range(_THREADS * 3)))
    for number, form in enumerate(forms):
        assert provider.version_of(form) in provider.versions()
        assert provider.unwrap(form, CONTEXT) == kek(number)


def test_two_of_one_root_do_not_mix(provider: KeyProvider, reopen: Callable[[], KeyProvider]) -> None:
    """As two processes would, at the same time."""
    both: list[Any] = [provider, reopen()]

    def work(number: int) -> None:
        one, two = both[number % 2], both[1 - number % 2]
        assert two.unwrap(one.wrap(kek(number), CONTEXT), CONTEXT) == kek(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(16)))


def test_two_rotations_at_once_are_two_or_one(provider: KeyProvider, reopen: Callable[[], KeyProvider]) -> None:
    """The second waits, or is refused; either way both see the same versions afterwards."""
    both = [provider, reopen()]
    form = provider.wrap(kek(), CONTEXT)

    def work(one: KeyProvider) -> int:
        try:
            one.rotate()
        except CarelinkError:
            return 0
        return 1

    with ThreadPoolExecutor(2) as pool:
        done = sum(pool.map(work, both))
    assert done
    names = reopen().versions()
    assert 2 <= len(names) <= 3
    for each in both:
        assert each.unwrap(form, CONTEXT) == kek()
        assert each.unwrap(reopen().wrap(kek(3), CONTEXT), CONTEXT) == kek(3)
