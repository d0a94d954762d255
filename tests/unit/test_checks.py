"""Checks: every one is a finding; one that breaks is a complaint without its text."""

from __future__ import annotations

from carelink.checks import Check, Severity, run_checks
from carelink.errors import StoreError


def _raise(error: Exception) -> str:
    raise error


def test_findings_in_order_whatever_breaks() -> None:
    found = run_checks(
        [
            Check("E1", "it is well", lambda: ""),
            Check("E2", "x", lambda: "it is not", "do this"),
            Check("W3", "x", lambda: "not quite", severity=Severity.WARNING),
            Check("E4", "x", lambda: _raise(StoreError("the database refused"))),
            Check("E5", "x", lambda: _raise(PermissionError(13, "Permission denied", "/home/lin"))),
            Check("E6", "x", lambda: _raise(ValueError("Lin, 13800138000"))),
        ]
    )
    assert [(item.id, item.severity.value, item.says) for item in found] == [
        ("E1", "ok", "it is well"),
        ("E2", "error", "it is not"),
        ("W3", "warning", "not quite"),
        ("E4", "error", "store.failed: the database refused"),
        ("E5", "error", "the system refused: Permission denied"),
        ("E6", "error", "it broke: ValueError"),
    ]
    assert found[1].hint == "do this"
    assert found[0].hint == ""
