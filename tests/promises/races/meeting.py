"""A store whose transactions meet, and a scheduler that decides when: every statement is a switch point.

SQLite takes one write transaction at a time, so little can be interleaved there. This store gives what the port asks
for and no more: a transaction reads what is committed at each statement (READ COMMITTED), its writes are seen by
others at its commit, and it waits for nobody but the holders of the gates it locks. Gates are locked one after another
in order, and what is read after the lock is newer than what every earlier holder committed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from carelink.ports.rows import Gate
from carelink.stores.memory.reader import MemoryReader
from carelink.stores.memory.state import State
from carelink.stores.memory.writer import MemoryTransaction

READS = frozenset(name for name in vars(MemoryReader) if not name.startswith("_"))


class Deadlock(AssertionError):
    """Every worker waits for another."""


class Aborted(BaseException):
    """Ends the workers of a run that is given up."""


@attrs.define
class Choice:
    """A place at which somebody was chosen: among how many, and whether another than the first interrupts somebody."""

    among: int
    interrupts: bool
    taken: int


class Turns:
    """Runs workers, one at a time, by a list of choices; where the list ends, whoever runs goes on.

    Attributes:
        trace: the choices as they were taken.
        errors: what workers raised.
    """

    def __init__(self, workers: Sequence[Callable[[], object]], choices: Sequence[int]) -> None:
        self.trace: list[Choice] = []
        self.errors: list[BaseException] = []
        self.answers: list[object] = [None] * len(workers)
        self._choices, self._workers = choices, workers
        self._baton = threading.Semaphore(0)
        self._go = [threading.Semaphore(0) for _ in workers]
        self._waits: list[Callable[[], bool] | None] = [None] * len(workers)
        self._alive = list(range(len(workers)))
        self._who = threading.local()
        self._aborted = False

    def point(self, until: Callable[[], bool] | None = None) -> None:
        """A switch point; with `until`, the worker goes on when that is true."""
        number = getattr(self._who, "number", None)
        if number is None:
            return
        self._waits[number] = until
        self._baton.release()
        self._go[number].acquire()
        self._waits[number] = None
        if self._aborted:
            raise Aborted

    def run(self) -> None:
        """To the end.

        Raises:
            Deadlock: nobody can go on.
        """
        threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in self._alive]
        for thread in threads:
            thread.start()
        current = None
        while self._alive:
            able = [n for n in self._alive if (until := self._waits[n]) is None or until()]
            if not able:
                self._abort(threads)
                raise Deadlock
            if current in able:
                able = [current, *(n for n in able if n != current)]
            current = able[self._choose(len(able), interrupts=current == able[0])]
            self._go[current].release()
            self._baton.acquire()
        for thread in threads:
            thread.join()

    def _choose(self, among: int, *, interrupts: bool) -> int:
        if among == 1:
            return 0
        place = len(self.trace)
        taken = self._choices[place] if place < len(self._choices) else 0
        assert taken < among, "the same choices led elsewhere: the workers are not deterministic"
        self.trace.append(Choice(among, interrupts, taken))
        return taken

    def _work(self, number: int) -> None:
        self._who.number = number
        self._go[number].acquire()
        try:
            if not self._aborted:
                self.answers[number] = self._workers[number]()
        except Aborted:
            pass
        except BaseException as error:
            self.errors.append(error)
        self._alive.remove(number)
        self._baton.release()

    def _abort(self, threads: list[threading.Thread]) -> None:
        self._aborted = True
        for go in self._go:
            go.release()
        for thread in threads:
            thread.join()


def schedules(
    run: Callable[[list[int]], list[Choice]], bound: int, draw: random.Random | None = None
) -> Iterator[list[int]]:
    """Every schedule in which at most `bound` workers are interrupted, each once; with `draw` in an order by chance.
    `run` runs one and gives its trace.
    """
    waiting: list[list[int]] = [[]]
    while waiting:
        if draw is not None:
            place = draw.randrange(len(waiting))
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
        prefix = waiting.pop()
        trace = run(prefix)
        yield prefix
        spent = sum(choice.interrupts and choice.taken > 0 for choice in trace[: len(prefix)])
        taken = [choice.taken for choice in trace]
        for place in range(len(prefix), len(trace)):
            if spent + trace[place].interrupts <= bound:
                waiting.extend([*taken[:place], other] for other in range(1, trace[place].among))


class MeetingStore:
    """The store. `turns` are those of the run; set `state` to begin from another one.

    Attributes:
        stale: a mistake to be found: transactions read what was committed when they began.
        deaf: a mistake to be found: locks exclude nobody.
    """

    exclusive = False

    def __init__(self, state: State) -> None:
        self.state, self.turns, self.stale, self.deaf = state, Turns([], []), False, False
        self.held: dict[Gate, object] = {}
        self._here = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        self.turns.point()
        work = _Transaction(self)
        try:
            yield work
            self.turns.point()
            work.commit()
        finally:
            for gate in [gate for gate, holder in self.held.items() if holder is work]:
                del self.held[gate]

    @contextmanager
    def reader(self) -> Iterator[MemoryReader]:
        outer = getattr(self._here, "reader", None)
        if outer is not None:
            yield outer
            return
        self.turns.point()
        self._here.reader = MemoryReader(self.state)
        try:
            yield self._here.reader
        finally:
            self._here.reader = None

    def close(self) -> None:
        """Nothing to release."""


class _Transaction:
    """Reads what is committed now, and its own writes upon it."""

    def __init__(self, store: MeetingStore) -> None:
        self._store, self._writes = store, list[tuple[str, Any, Any]]()
        self._began, self._base, self._view = store.state, None, MemoryTransaction(State())

    def _now(self) -> MemoryTransaction:
        state = self._began if self._store.stale else self._store.state
        if self._base is not state:
            self._base, self._view = state, self._on(state.copy())
        return self._view

    def _on(self, state: State) -> MemoryTransaction:
        view = MemoryTransaction(state)
        for name, values, named in self._writes:
            getattr(view, name)(*values, **named)
        return view

    def commit(self) -> None:
        state = self._store.state.copy()
        self._on(state)
        self._store.state = state

    def lock(self, gates: Sequence[Gate]) -> Any:
        for gate in sorted(set(gates), key=lambda gate: (gate.kind, gate.key)):
            self._store.turns.point(lambda gate=gate: self._store.deaf or self._store.held.get(gate, self) is self)
            self._store.held[gate] = self
        return self._call("lock", (gates,), {})

    def _call(self, name: str, values: Any, named: Any) -> Any:
        answer = getattr(self._now(), name)(*values, **named)
        if name not in READS:
            self._writes.append((name, values, named))
        return answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            self._store.turns.point()
            return self._call(name, values, named)

        return call
