"""The threads that read and act for the cockpit, and how long one who leaves waits for them.

A thread cannot be ended, and Python waits for all of them. One that waits for a lock, for a server
that was halted or for a supervisor that starts slowly would keep a cockpit that was left, or whose
terminal is gone.
"""

from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition
from typing import ParamSpec, TypeVar

READING_S = 3.0
ACTING_S = 30.0
"""What somebody asked for is done by then, unless the database is silent for long."""

Answer = TypeVar("Answer")
Facts = ParamSpec("Facts")


class Threads(ThreadPoolExecutor):
    """Threads for an event loop; what they are at in the end is waited for, but not for ever."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="cockpit")
        self._given: set[Future[object]] = set()
        self._acts = 0
        self._act_ended = Condition()

    @property
    def at_work(self) -> bool:
        """Some were not waited for and go on."""
        return any(not future.done() for future in set(self._given))

    @property
    def acts(self) -> bool:
        """Something that changes the world is not done yet."""
        return self._acts > 0

    @contextmanager
    def acting(self) -> Iterator[None]:
        """What the calling thread does now changes the world: who leaves waits for it longer."""
        with self._act_ended:
            self._acts += 1
        try:
            yield
        finally:
            with self._act_ended:
                self._acts -= 1
                self._act_ended.notify_all()

    def submit(
        self, act: Callable[Facts, Answer], /, *facts: Facts.args, **named: Facts.kwargs
    ) -> Future[Answer]:
        """Have a thread do something."""
        future = super().submit(act, *facts, **named)
        self._given.add(future)  # type: ignore[arg-type]
        future.add_done_callback(self._given.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more and wait, not for ever: see ``at_work``."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        if wait:
            with self._act_ended:
                self._act_ended.wait_for(lambda: not self._acts, ACTING_S)
            _, late = futures.wait(set(self._given), READING_S)
            if not late:
                super().shutdown()
