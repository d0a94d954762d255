"""Operators' log lines: safe keys only, never on standard output, never in the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from carelink.telemetry import configure, logger


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Each test finds structlog as a host that set nothing up would, and leaves it as it was."""
    configured, before = structlog.is_configured(), structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if configured:
        structlog.configure(**before)


def test_without_a_hosts_configuration_warnings_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logger().warning("publication_failed", code="store.failed", lag=3)
    logger().info("published", size=3)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "publication_failed" in seen.err
    assert seen.err.count("\n") == 1


def test_the_command_line_says_more_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    configure(verbose=True)
    logger().info("published", size=3)
    assert capsys.readouterr().err == "event='published' level='info' size=3\n"
    configure()
    logger().info("published", size=3)
    assert capsys.readouterr().err == ""


def test_the_hosts_own_logger_is_used_and_gets_safe_keys_only() -> None:
    seen: list[dict[str, object]] = []

    def keep(_: object, __: str, event: dict[str, object]) -> dict[str, object]:
        seen.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    logger().warning("x", code="a", name="Lin", address="13800138000")
    assert seen == [{"event": "x", "code": "a"}]


def test_what_others_log_through_the_command_lines_set_up_is_stripped_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.get_logger("plugin").warning("x", patient="Lin", size=1)
    assert capsys.readouterr().err == "event='x' level='warning' code='fields_dropped' size=1\n"


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    def broken(_: object, __: str, event: object) -> object:
        raise OSError("disk full")

    structlog.configure(processors=[broken])
    logger().warning("x")
    logger().info("x")


@pytest.mark.parametrize("configured", [True, False])
def test_a_hosts_tests_can_capture_the_lines(configured: bool) -> None:
    if configured:
        configure()
    with structlog.testing.capture_logs() as told:
        logger().warning("x", size=1)
    assert told == [{"event": "x", "size": 1, "log_level": "warning"}]
