"""The event loop of these tests: what the computer does elsewhere takes no time."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from typing import Any

import pytest

from interop.steady_time import TURN_S, SteadyClock, SteadyLoop, run_steadily

CLOCK = SteadyClock()
SOON_S = 5 * TURN_S


async def test_all_tests_have_it() -> None:
    assert isinstance(asyncio.get_running_loop(), SteadyLoop)


@pytest.mark.parametrize("stopped", [True, False])
async def test_computing_counts_for_little_and_being_stopped_for_nothing(*, stopped: bool) -> None:
    began_s, real_s = CLOCK.monotonic(), time.monotonic()
    if stopped:
        for _ in range(40):
            time.sleep(0.005)  # noqa: ASYNC251 - this is what a computer does that is busy elsewhere
            await asyncio.sleep(0)
    else:
        end_s = time.thread_time() + 0.2
        while time.thread_time() < end_s:
            pass
    assert time.monotonic() - real_s >= 0.2
    passed_s = CLOCK.monotonic() - began_s
    assert passed_s <= (0.1 if stopped else TURN_S)
    assert stopped or passed_s > TURN_S / 2


async def test_waking_up_late_counts_as_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late, and with a time limit of somebody who waits for what has long arrived."""
    here, there = socket.socketpair()
    loop = asyncio.get_running_loop()
    in_time = selectors.DefaultSelector.select

    def late(self: Any, timeout: float | None = None) -> Any:
        if timeout:
            time.sleep(0.1)
            there.send(b"x")
        return in_time(self, timeout)

    with here, there:
        here.setblocking(False)
        began_s = CLOCK.monotonic()
        monkeypatch.setattr(selectors.DefaultSelector, "select", late)
        async with asyncio.timeout(0.05):
            await loop.sock_recv(here, 1)
        monkeypatch.undo()
        assert CLOCK.monotonic() - began_s < 0.05


async def test_what_has_arrived_goes_before_a_timer() -> None:
    here, there = socket.socketpair()
    came = asyncio.get_running_loop().create_future()
    with here, there:
        here.setblocking(False)
        asyncio.get_running_loop().add_reader(here, lambda: came.done() or came.set_result("data"))
        CLOCK.call_later(0.05, lambda: came.done() or came.set_result("timer"))
        there.send(b"x")
        time.sleep(0.1)  # noqa: ASYNC251 - the same
        async with asyncio.timeout(1):
            while not came.done():  # noqa: ASYNC110 - somebody always has something to do
                await asyncio.sleep(0)
        assert came.result() == "data"
        asyncio.get_running_loop().remove_reader(here)


async def test_it_is_never_ahead() -> None:
    """So a pause that was long enough here was long enough."""
    real_s, began_s = time.monotonic(), CLOCK.monotonic()
    for number in range(1, 60):
        await asyncio.sleep(number % 7 / 1_000)
        await asyncio.to_thread(sum, range(number * 100))
        assert CLOCK.monotonic() - began_s <= time.monotonic() - real_s


@pytest.mark.parametrize("delay_s", [0.0, 0.003, SOON_S / 2, SOON_S])
async def test_timers_fire_when_they_are_due(delay_s: float) -> None:
    began_s = CLOCK.monotonic()
    await CLOCK.sleep(delay_s)
    assert delay_s - 1e-6 <= CLOCK.monotonic() - began_s <= delay_s + SOON_S
    with pytest.raises(TimeoutError):
        await CLOCK.wait_for(asyncio.Event().wait(), delay_s)


async def test_threads_are_waited_for() -> None:
    """With a timer and without one."""
    assert await asyncio.to_thread(time.sleep, 2 * TURN_S) is None
    await asyncio.wait_for(asyncio.to_thread(time.sleep, 2 * TURN_S), 5)


def test_on_another_loop_the_clock_is_the_computers() -> None:
    async def behind_s() -> float:
        real_s = time.monotonic()
        time.sleep(0.05)  # noqa: ASYNC251 - the same
        return real_s - CLOCK.monotonic()

    assert asyncio.run(behind_s()) <= -0.05
    assert run_steadily(behind_s()) > -0.05
