"""A storage that neither works nor fails: when nobody waits for it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ocpp_fast.errors import StorageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from ocpp_fast.clock import Clock, Timer

__all__ = ["FINISH_S", "HANG_S", "Deadline", "Watch", "in_time"]

_T = TypeVar("_T")

HANG_S: Final = 10.0
"""A verb that has not returned by then hangs.

An SD card that tidies up, or an fdatasync behind much that others have written, takes some seconds
and is honest: taking it for one that hangs costs no message, but what is new is then in memory
alone. More than that nobody should wait who plugs in, and a CSMS gives up after 30 s."""

_LOOKS: Final = 4
"""How often it is looked after a verb until then. Looks are counted, not seconds: a computer that
was busy with something else is no reason to give the disk up."""

FINISH_S: Final = 30.0
"""How long the end waits for the storage, all in all: service managers kill after 90 s."""


class Watch:
    """Sees that a verb of the storage does not come back.

    It costs next to nothing while they do: there is no timer for each, but one that looks now and
    then whether what is under way is the same as before. So a verb is found to hang after `HANG_S`
    and at most a quarter more.
    """

    __slots__ = (
        "_clock",
        "_looks",
        "_on_back",
        "_on_hang",
        "_seen",
        "_timer",
        "hangs",
        "is_hanging",
        "under_way",
    )

    def __init__(
        self, clock: Clock, *, on_hang: Callable[[object], None], on_back: Callable[[], None]
    ) -> None:
        """`on_hang` gets what was begun; `on_back` is called when it has come back after all,
        before whoever has begun it goes on."""
        self._clock = clock
        self._on_hang = on_hang
        self._on_back = on_back
        self.under_way: object | None = None
        """What was begun last, while it has not ended."""
        self.is_hanging = False
        self.hangs = 0
        """How often something has hung."""
        self._seen: object | None = None
        self._looks = 0
        self._timer: Timer | None = None

    def begin(self, verb: object) -> None:
        """Something is under way; no two at a time, and never the same object twice."""
        self.under_way = verb
        if self._timer is None:
            self._look_after(verb)

    def end(self) -> bool:
        """It has come back. True if it was given up meanwhile."""
        self.under_way = None
        if not self.is_hanging:
            return False
        self.is_hanging = False
        self._on_back()
        return True

    async def run(self, verb: Awaitable[_T]) -> _T:
        """What a verb gives, however long it takes."""
        self.begin(verb)
        try:
            return await verb
        finally:
            self.end()

    def stop(self) -> None:
        """There is nothing more to look after."""
        self.under_way = self._seen = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_after(self, verb: object) -> None:
        self._seen, self._looks = verb, 0
        self._timer = self._clock.call_later(HANG_S / _LOOKS, self._look)

    def _look(self) -> None:
        verb, self._timer = self.under_way, None
        if verb is None:
            self._seen = None
        elif verb is not self._seen:
            self._look_after(verb)
        elif self._looks < _LOOKS - 1:
            self._looks += 1
            self._timer = self._clock.call_later(HANG_S / _LOOKS, self._look)
        else:
            self._seen = None
            self.is_hanging = True
            self.hangs += 1
            self._on_hang(verb)


class Deadline:
    """Ends a task that has to end and does not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._task: asyncio.Task[object] | None = None
        self._timer: Timer | None = None
        self.is_over = False
        """Whether the task was cancelled for it."""

    def watch(self, task: asyncio.Task[object] | None) -> None:
        """This is the task, from its beginning on; None at its end."""
        self._task = task
        self.is_over = False
        if task is None and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin(self) -> None:
        """From now on it has `FINISH_S`."""
        if self._task is not None and self._timer is None:
            self._timer = self._clock.call_later(FINISH_S, self._end)

    def _end(self) -> None:
        self._timer = None
        if self._task is not None:
            self.is_over = True
            self._task.cancel()


async def in_time(clock: Clock, verb: Awaitable[_T]) -> _T:
    """What a verb gives that reads, for whom it matters to none whether it comes back. Raises
    `StorageError` when it does not."""
    try:
        return await clock.wait_for(verb, HANG_S)
    except TimeoutError:
        raise hung(name_of(verb)) from None


def name_of(verb: object) -> str:
    """How a verb is called, as far as that can be seen."""
    return getattr(verb, "__name__", "a verb")


def hung(operation: str) -> StorageError:
    """What whoever waited for a verb is told."""
    return StorageError("the storage", operation, f"it has not returned for {HANG_S:.0f} s")
