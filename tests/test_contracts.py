"""The rooms: imports point down, the core does no I/O, and nothing is imported behind the contracts' back."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "carelink"
CORE = ("model", "consent", "content", "audit", "vocabulary.py", "errors.py")
HIDDEN = {"__import__", "import_module", "importlib", "exec", "eval", "compile", "open"}


@pytest.mark.integration
def test_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    found = str(command) if command.is_file() else shutil.which("lint-imports")
    if found is None:
        pytest.skip("import-linter is not installed: it comes with the extra `dev`")
    ran = subprocess.run([found, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout[ran.stdout.find("Contracts") :]


def _hidden(tree: ast.AST) -> list[str]:
    """Names by which something could be imported, run or opened without an import statement."""
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [name.id for name in called if isinstance(name, ast.Name) and name.id in HIDDEN]
    return names + [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.name in HIDDEN or getattr(node, "module", None) in HIDDEN
    ]


def _files() -> list[Path]:
    places = [SOURCE / name for name in CORE]
    return sorted(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_core_imports_and_opens_nothing_in_hiding(path: Path) -> None:
    assert _hidden(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text", ["__import__('os')", "import importlib", "from importlib import import_module", "eval('1')", "open('x')"]
)
def test_the_walk_finds_what_it_looks_for(text: str) -> None:
    assert _hidden(ast.parse(text))
