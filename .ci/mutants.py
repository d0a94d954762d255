#!/usr/bin/env python3
"""Mutation testing of the decision core and of the two log primitives that everything else rests on.

    .ci/mutants.py --sample 60 --seed 7     what .ci/run does
    .ci/mutants.py --all                    what .ci/full does
    .ci/mutants.py --all --only consent/decide.py
    .ci/mutants.py --list

A mutant is one small change of one source file: another comparison, a constant off by one, PERMIT for REFUSE, a lost
`not`, a lost statement. The fast tests of that file must fail on it. One that they let live is printed with its
place and its diff, and the run exits 1, unless `.ci/mutants.waived` explains it:

    consent/decide.py:decide:a < b -> a <= b  because REASON

Where a function holds the same change more than once, the second is named `... -> a <= b #2`, and so on downwards.

The package is copied once for each worker; a worker loads pytest and Hypothesis once and forks for each mutant, so that a
mutant costs the imports and tests of carelink and nothing else. The source tree is never written. docs/adr/0007.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import difflib
import json
import os
import queue
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "carelink"
WAIVERS = ROOT / ".ci" / "mutants.waived"

# Module (a file, or a folder with a trailing slash) -> the tests that must notice. First match counts.
TESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("audit/encoding.py", ("tests/unit/audit/test_encoding.py", "tests/unit/audit/test_entry.py")),
    ("audit/merkle.py", ("tests/unit/audit/test_merkle.py", "tests/property/audit")),
    ("consent/", ("tests/unit/consent", "tests/property/consent")),
    ("content/", ("tests/unit/content",)),
)
# Sentences for people are data: no rule hangs on them.
# Screening finds words; what a finding does is decided in `consent`. Its tests walk whole corpora, too long for each mutant.
# The example request is where fixtures start: any valid facts would do.
# The opt-out grammar reads replies; what a stop does is decided in `consent`. What it reads is held by corpora, too.
EXCLUDED = (
    "consent/sentences", "consent/example.py", "consent/__init__.py", "consent/optout/", "content/__init__.py",
    "content/screening/",
)
# So many test files are run before the rest is collected.
NEAREST = 2
# Only these files of tests/property/audit speak of the tree.
ONLY_MERKLE = "merkle"

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SKIPPED_FUNCTIONS = {"__repr__", "__str__"}


@dataclass(frozen=True)
class Mutant:
    """One change. `start` and `end` are byte offsets in the file; `number` tells apart what is named alike."""

    path: str
    function: str
    line: int
    start: int
    end: int
    old: str
    new: str
    number: int = 1

    @property
    def description(self) -> str:
        def short(text: str) -> str:
            text = " ".join(text.split())
            return text if len(text) <= 70 else text[:67] + "..."

        return f"{short(self.old)} -> {short(self.new)}"

    @property
    def name(self) -> str:
        plain = f"{self.path}:{self.function}:{self.description}"
        return plain if self.number == 1 else f"{plain} #{self.number}"

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


def enums() -> dict[str, list[str]]:
    """Every enumeration of the package, with its members in order."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Enum") for base in node.bases):
                members = [
                    target.id
                    for item in node.body
                    if isinstance(item, ast.Assign)
                    for target in item.targets
                    if isinstance(target, ast.Name)
                ]
                if len(members) > 1:
                    found[node.name] = members
    return found


class Finder(ast.NodeVisitor):
    """Collects the mutants of one file."""

    def __init__(self, path: str, source: bytes, vocabulary: dict[str, list[str]]) -> None:
        self.path, self.source, self.vocabulary = path, source, vocabulary
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.names: list[str] = []
        self.found: list[Mutant] = []

    def offset(self, line: int, column: int) -> int:
        return self.starts[line - 1] + column

    def add(self, node: ast.expr | ast.stmt, new: ast.AST | str) -> None:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start, end = self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)
        if isinstance(new, str):
            text = new
        else:
            text = ast.unparse(ast.fix_missing_locations(new))
            if isinstance(new, ast.expr):
                text = f"({text})" if isinstance(new, (ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp)) else text
        old = self.source[start:end].decode()
        self.found.append(Mutant(self.path, ".".join(self.names) or "module", node.lineno, start, end, old, text))

    # -- where not to look -------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in _SKIPPED_FUNCTIONS:
            return
        self.names.append(node.name)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self.block(node.body, last_is_tail=True)
        self.names.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names.append(node.name)
        for item in node.body:
            self.visit(item)
        self.names.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts for people."""

    def visit_Import(self, node: ast.Import) -> None: ...
    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...
    def visit_Assert(self, node: ast.Assert) -> None: ...

    # -- statements --------------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt], *, last_is_tail: bool = False) -> None:
        for place, item in enumerate(body):
            tail = last_is_tail and place == len(body) - 1
            if isinstance(item, (ast.Raise, ast.AugAssign, ast.Continue)) or (
                isinstance(item, ast.Return) and not tail and item.value is not None
            ):
                self.add(item, "pass")
            elif isinstance(item, ast.Expr) and not isinstance(item.value, ast.Constant):
                self.add(item, "pass")
            self.visit(item)

    def visit_If(self, node: ast.If) -> None:
        self.condition(node.test)
        self.visit(node.test)
        self.block(node.body)
        self.block(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self.block(node.body)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self.block(node.body)
        self.block(node.orelse)

    def visit_With(self, node: ast.With) -> None:
        self.block(node.body)

    def visit_Try(self, node: ast.Try) -> None:
        self.block(node.body)
        for handler in node.handlers:
            self.block(handler.body)
        self.block(node.finalbody)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Only whether it is raised; its words are for people."""

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self.condition(node.guard)
            self.visit(node.guard)
        self.block(node.body)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.visit(node.value)

    # -- expressions -------------------------------------------------------------------------------------------

    def condition(self, test: ast.expr) -> None:
        """A condition without an operator of its own is turned round as a whole."""
        if isinstance(test, (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.NamedExpr)):
            self.add(test, f"(not ({ast.unparse(test)}))")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        for test in node.ifs:
            self.add(test, "True")
            self.visit(test)

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            for other in _COMPARISONS.get(type(operator), ()):
                ops = [*node.ops]
                ops[place] = other()
                self.add(node, ast.Compare(node.left, ops, node.comparators))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.add(node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        for value in node.values:
            self.condition(value)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.add(node, f"({ast.unparse(node.operand)})")
        elif isinstance(node.op, ast.USub):
            self.add(node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = (node.left, node.right)
        if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
            return
        if not any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in texts):
            other = _OPERATORS.get(type(node.op))
            if other is not None:
                self.add(node, ast.BinOp(node.left, other(), node.right))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, str(not node.value))
        elif isinstance(node.value, int):
            self.add(node, f"({node.value + 1})")
            self.add(node, f"({node.value - 1})")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.attr in self.vocabulary.get(node.value.id, ()):
            enum, members = node.value.id, self.vocabulary[node.value.id]
            others = (
                [member for member in members if member != node.attr]
                if len(members) <= 3
                else [members[(members.index(node.attr) + 1) % len(members)]]
            )
            for other in others:
                self.add(node, f"{enum}.{other}")
            return
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            self.add(node.func, _CALLS[node.func.id])
        if ast.unparse(node.func).endswith(("NewType", "TypeVar", "re.compile")):
            return
        self.generic_visit(node)


def targets() -> list[Path]:
    """The files under test."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(EXCLUDED):
            continue
        if any(name == module or (module.endswith("/") and name.startswith(module)) for module, _ in TESTS):
            found.append(path)
    return found


def tests_of(name: str) -> list[str]:
    """Test files for a module: those named like it first, so that most mutants die early."""
    for module, places in TESTS:
        if name == module or (module.endswith("/") and name.startswith(module)):
            break
    else:
        raise SystemExit(f"no tests are mapped to {name}")
    files: list[Path] = []
    for place in places:
        path = ROOT / place
        if path.is_dir():
            files += sorted(path.rglob("test_*.py"))
        elif path.is_file():
            files.append(path)
    if module == "audit/merkle.py":
        files = [path for path in files if ONLY_MERKLE in path.name]
    stem = Path(name).stem
    chosen = sorted(files, key=lambda path: (stem not in path.stem, "property" in path.parts, path.as_posix()))
    return [path.relative_to(ROOT).as_posix() for path in dict.fromkeys(chosen)]


def mutants() -> list[Mutant]:
    """Every mutant, in a stable order, each text once."""
    vocabulary = enums()
    found: dict[tuple[str, int, int, str], Mutant] = {}
    for path in targets():
        source = path.read_bytes()
        finder = Finder(path.relative_to(PACKAGE).as_posix(), source, vocabulary)
        finder.visit(ast.parse(source))
        for mutant in finder.found:
            try:
                ast.parse(mutant.apply(source))
            except SyntaxError:
                continue
            found.setdefault((mutant.path, mutant.start, mutant.end, mutant.new), mutant)
    inorder = sorted(found.values(), key=lambda mutant: (mutant.path, mutant.start, mutant.end, mutant.new))
    seen = Counter[str]()
    for place, mutant in enumerate(inorder):
        seen[mutant.name] += 1
        inorder[place] = replace(mutant, number=seen[mutant.name])
    return inorder


def waivers() -> dict[str, str]:
    """Names of the mutants that may live, with the reason of each."""
    found = {}
    if WAIVERS.is_file():
        for number, line in enumerate(WAIVERS.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, because, reason = line.rpartition("  because ")
            if not because or not reason.strip():
                raise SystemExit(f"{WAIVERS.name}:{number}: no reason is given (`NAME  because REASON`)")
            found[name.strip()] = reason.strip()
    return found


# -- the worker: one copy of the package, one fork for each mutant ---------------------------------------------------


def make_copy(folder: Path) -> None:
    """The package, its tests and a configuration without plugins or random order."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".hypothesis", "golden_*/__pycache__")
    shutil.copytree(PACKAGE, folder / "src" / "carelink", ignore=ignore)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder / "project.toml")
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    markers = "\n".join(f"  {marker}" for marker in options["markers"])
    (folder / "pytest.ini").write_text(
        f"[pytest]\naddopts = --import-mode=importlib -m 'not slow and not peer'\nfilterwarnings = error\n"
        f"xfail_strict = true\nmarkers =\n{markers}\n",
        encoding="utf-8",
    )
    compileall.compile_dir(folder / "src", quiet=2)


def child(folder: Path, tests: list[str]) -> int:
    """Run the tests in this process, which is thrown away afterwards."""
    os.setpgid(0, 0)
    sink = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    import pytest  # noqa: PLC0415  loaded before the fork

    arguments = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:randomly", "-p", "no:cacheprovider"]
    # The nearest tests alone first: most mutants die there, before all the others are even collected.
    near, far = tests[:NEAREST], tests[NEAREST:]
    code = int(pytest.main([*arguments, *near]))
    return int(pytest.main([*arguments, *far])) if code == 0 and far else code


def worker(folder: Path) -> None:
    """Answer one line for each line: {path, source, tests, timeout} -> {code, seconds}."""
    sys.dont_write_bytecode = True
    os.environ.update(HYPOTHESIS_PROFILE="mutants", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHONDONTWRITEBYTECODE="1")
    sys.path.insert(0, str(folder / "src"))
    os.chdir(folder)
    # Everything that is not carelink, once.
    import hypothesis.stateful  # noqa: F401, PLC0415
    import hypothesis.strategies  # noqa: F401, PLC0415
    import pytest  # noqa: F401, PLC0415

    try:
        import attrs  # noqa: F401, PLC0415
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401, PLC0415
    except ImportError:
        pass
    # As the profile `ci`, but a counterexample need not be made small: that it exists is enough.
    hypothesis.settings.register_profile(
        "mutants",
        max_examples=120,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    assert not any(name.partition(".")[0] == "carelink" for name in sys.modules)
    for line in sys.stdin:
        order = json.loads(line)
        path = folder / "src" / "carelink" / order["path"] if order["path"] else None
        original = path.read_bytes() if path else b""
        stamp = path.stat().st_mtime if path else 0.0
        started = time.monotonic()
        if path:
            path.write_bytes(order["source"].encode())
            os.utime(path, (stamp + 100, stamp + 100))  # its compiled form no longer counts
        pid = os.fork()
        if pid == 0:
            code = 3
            try:
                code = child(folder, order["tests"])
            except BaseException:  # noqa: BLE001  whatever it is, this process ends here
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        handle = os.pidfd_open(pid)
        done, _, _ = select.select([handle], [], [], order["timeout"])
        timed_out = not done
        if timed_out:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(handle)
        code = -9 if timed_out else os.waitstatus_to_exitcode(status)
        if path:
            path.write_bytes(original)
            os.utime(path, (stamp, stamp))
        print(json.dumps({"code": code, "seconds": time.monotonic() - started}), flush=True)


class Worker:
    """The near end of a worker process."""

    def __init__(self, folder: Path) -> None:
        make_copy(folder)
        self.folder = folder
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, path: str, source: str, tests: list[str], timeout: float) -> tuple[int, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        order = {"path": path, "source": source, "tests": tests, "timeout": timeout}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["seconds"]

    def output(self) -> str:
        return (self.folder / "output").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


# -- the run ---------------------------------------------------------------------------------------------------------


def diff(mutant: Mutant) -> str:
    before = (PACKAGE / mutant.path).read_bytes()
    lines = difflib.unified_diff(
        before.decode().splitlines(), mutant.apply(before).decode().splitlines(), lineterm="", n=1
    )
    return "\n".join(f"    {line}" for line in list(lines)[2:])


def baseline(first: Worker, chosen: list[Mutant]) -> dict[tuple[str, ...], float]:
    """The tests pass on the unchanged source; how long each set takes."""
    times: dict[tuple[str, ...], float] = {}
    for key in dict.fromkeys(tuple(tests_of(mutant.path)) for mutant in chosen):
        if not key:
            raise SystemExit("a module has no tests")
        same = next((times[other] for other in times if sorted(other) == sorted(key)), None)
        if same is not None:
            times[key] = same
            continue
        code, seconds = first.run("", "", list(key), 600)
        if code != 0:
            print(f"exit {code}\n{first.output()}", file=sys.stderr)
            raise SystemExit("the tests fail on the unchanged source")
        times[key] = seconds
    return times


def hunt(workers: list[Worker], chosen: list[Mutant], times: dict[tuple[str, ...], float]) -> list[Mutant]:
    """The mutants that every test let live."""
    left: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in chosen:
        left.put(mutant)
    sources = {path: (PACKAGE / path).read_bytes() for path in {mutant.path for mutant in chosen}}
    alive: list[Mutant] = []
    broken: list[str] = []
    lock, done = threading.Lock(), 0

    def drive(one: Worker) -> None:
        nonlocal done
        while not broken:
            try:
                mutant = left.get_nowait()
            except queue.Empty:
                return
            tests = tests_of(mutant.path)
            limit = max(20.0, 4 * times[tuple(tests)])
            try:
                code, _ = one.run(mutant.path, mutant.apply(sources[mutant.path]).decode(), tests, limit)
            except (OSError, ValueError) as error:
                broken.append(type(error).__name__)
                return
            with lock:
                done += 1
                if code == 0:
                    alive.append(mutant)
                elif code == 5:
                    broken.append(f"no test ran for {mutant.path}")
                if sys.stderr.isatty() or done % 50 == 0:
                    print(f"{done}/{len(chosen)} done, {len(alive)} alive", file=sys.stderr)

    threads = [threading.Thread(target=drive, args=(one,)) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise SystemExit(f"a worker broke: {broken[0]}")
    return sorted(alive, key=lambda mutant: (mutant.path, mutant.line, mutant.new))


def pick(args: argparse.Namespace, every: list[Mutant]) -> list[Mutant]:
    pool = [mutant for mutant in every if not args.only or mutant.path.startswith(tuple(args.only))]
    if not pool:
        raise SystemExit("no mutants: is the path right?")
    if args.all:
        return pool
    return random.Random(args.seed).sample(pool, min(args.sample, len(pool)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation testing of the decision core.")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--sample", type=int, metavar="N")
    how.add_argument("--all", action="store_true")
    how.add_argument("--list", action="store_true")
    how.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], metavar="PATH", help="consent/decide.py, consent/rules/")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def report(chosen: list[Mutant], alive: list[Mutant], excused: dict[str, str]) -> Iterator[str]:
    unexplained = [mutant for mutant in alive if mutant.name not in excused]
    for mutant in unexplained:
        yield f"ALIVE src/carelink/{mutant.path}:{mutant.line}"
        yield f"  {mutant.name}"
        yield diff(mutant)
    waived = len(alive) - len(unexplained)
    yield (
        f"mutants {len(chosen)}, killed {len(chosen) - len(alive)}, alive {len(unexplained)} unexplained "
        f"and {waived} explained"
    )


def main() -> int:
    args = arguments()
    if args.worker:
        worker(args.worker)
        return 0
    every = mutants()
    if args.list:
        for mutant in every:
            print(f"{mutant.path}:{mutant.line}: {mutant.function}: {mutant.description}")
        print(f"{len(every)} mutants")
        return 0
    excused = waivers()
    names = {mutant.name for mutant in every}
    stale = sorted(set(excused) - names)
    for name in stale:
        print(f"{WAIVERS.name}: there is no such mutant any more: {name}")
    chosen = pick(args, every)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workers = [Worker(Path(folder) / str(number)) for number in range(max(1, min(args.workers, len(chosen))))]
        try:
            times = baseline(workers[0], chosen)
            alive = hunt(workers, chosen, times)
        finally:
            for one in workers:
                one.close()
    lines = list(report(chosen, alive, excused))
    print("\n".join(lines))
    print(f"{len(every)} possible, seed {args.seed}, {time.monotonic() - started:.0f} s")
    return 1 if stale or any(mutant.name not in excused for mutant in alive) else 0


if __name__ == "__main__":
    sys.exit(main())
