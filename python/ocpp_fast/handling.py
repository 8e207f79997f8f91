"""The handlers of one connection at work: their answers, failures, time limits and tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from ocpp_fast._core import Message
from ocpp_fast.errors import ErrorCode, MessageTooLong, RequestRefused
from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from ocpp_fast._core import Call, Send
    from ocpp_fast.clock import Clock
    from ocpp_fast.exchange import Exchange
    from ocpp_fast.router import After, Handling, Router

__all__ = ["HandlerRunner"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_STOP_TIMEOUT_S: Final = 5.0


class HandlerRunner:
    """Runs the handlers of the peer's CALLs and SENDs and sends what they answer.

    A plain function is answered at once. An awaitable becomes a task that may take `limit_s`
    seconds. Whatever a handler does, each CALL gets exactly one answer while the link is up,
    and nothing that it raises goes further than the log.
    """

    def __init__(
        self,
        router: Router,
        exchange: Exchange[Any],
        send: Callable[[bytes], None],
        clock: Clock,
        *,
        limit_s: float,
        max_sends: int,
    ) -> None:
        self._router = router
        self._exchange = exchange
        self._send = send
        self._clock = clock
        self._limit_s = limit_s
        self._max_sends = max_sends
        self._sends_in_progress = 0
        self._tasks: set[asyncio.Future[Any]] = set()

    def handle(self, call: Call, size_bytes: int) -> None:
        """Handles a CALL that the exchange has taken, whose frame had `size_bytes`; the answer is
        sent now or later."""
        try:
            handling = self._router.handle(call.action, call.payload, size_bytes)
            if isinstance(handling, Message):  # the hot path; says the same as `_reply`
                self._router.check(call.action, handling)
                frame = self._exchange.answer(call.message_id, handling)
                if frame is not None:
                    self._send(frame)
            elif isinstance(handling, Awaitable):
                task = self._track(asyncio.ensure_future(handling))
                self._limit(task, partial(self._give_up, call, "the handler took too long"))
                task.add_done_callback(partial(self._on_handled, call))
            else:
                self._reply(call, handling)
        except Exception as error:
            self._refuse(call, error)

    def handle_send(self, send: Send) -> bool:
        """Handles a SEND; whatever comes of it, nothing is answered (FR.07).

        False if it was dropped because too many are being handled.
        """
        if self._sends_in_progress >= self._max_sends:
            return False
        try:
            handling = self._router.handle(send.action, send.payload)
        except Exception as error:
            self._log_send_failure(send.action, error)
            return True
        if isinstance(handling, Awaitable):
            self._sends_in_progress += 1
            task = self._track(asyncio.ensure_future(handling))
            self._limit(task, partial(_log.error, "the handler of %s took too long", send.action))
            task.add_done_callback(partial(self._on_send_handled, send.action))
        return True

    async def stop(self) -> None:
        """Cancels every task but the one that calls this, and waits for their ends.

        Returns after five seconds at the latest, even if a task will not be cancelled.
        """
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        try:
            await self._clock.wait_for(asyncio.wait(tasks), _STOP_TIMEOUT_S)
        except TimeoutError:
            _log.error("%d tasks of a closed connection do not end", len(tasks))

    # CALL

    def _on_handled(self, call: Call, task: asyncio.Future[Handling]) -> None:
        if task.cancelled():  # by the time limit, by `stop`, or from elsewhere
            self._give_up(call, "the handler was cancelled")
            return
        try:
            self._reply(call, task.result())
        except Exception as error:
            self._refuse(call, error)

    def _reply(self, call: Call, handling: Handling) -> None:
        """Answers with a CALLRESULT (FR.02), and only then starts what is to follow (FR.05)."""
        after: After | None = None
        if isinstance(handling, Reply):
            after, handling = handling.after, handling.response
        self._router.check(call.action, handling)
        frame = self._exchange.answer(call.message_id, cast("Message", handling))
        if frame is None:  # after the time limit, or after the link was lost
            return
        self._send(frame)
        if after is not None:
            self._track(asyncio.ensure_future(self._act_after(call.action, after)))

    def _refuse(self, call: Call, error: Exception) -> None:
        """Answers with the CALLERROR (FR.03) that `error` stands for."""
        if isinstance(error, MessageTooLong):
            self._exchange.take_back_answer(call.message_id)
        if isinstance(error, RequestRefused):
            try:
                frame = self._exchange.refuse(
                    call.message_id, error.code, error.description, error.details
                )
            except Exception:
                _log.exception("%s was refused with what cannot be sent", call.action)
                frame = self._exchange.refuse(call.message_id, error.code, error.description)
        else:
            _log.error("the handler of %s failed", call.action, exc_info=error)
            frame = self._exchange.refuse(
                call.message_id, ErrorCode.INTERNAL_ERROR, "the request could not be handled"
            )
        if frame is not None:
            self._send(frame)

    def _give_up(self, call: Call, why: str) -> None:
        frame = self._exchange.refuse(call.message_id, ErrorCode.INTERNAL_ERROR, why)
        if frame is not None:
            _log.error("no answer to %s: %s", call.action, why)
            self._send(frame)

    async def _act_after(self, action: str, after: After) -> None:
        try:
            await after()
        except Exception:
            _log.exception("what follows the answer to %s failed", action)

    # SEND

    def _on_send_handled(self, action: str, task: asyncio.Future[Handling]) -> None:
        self._sends_in_progress -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log_send_failure(action, error)

    def _log_send_failure(self, action: str, error: BaseException) -> None:
        if isinstance(error, RequestRefused):
            _log.info("a SEND of %s was dropped: %s", action, error)
        else:
            _log.error("the handler of %s failed", action, exc_info=error)

    # tasks

    def _track(self, task: asyncio.Future[_T]) -> asyncio.Future[_T]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _limit(self, task: asyncio.Future[Handling], on_timeout: Callable[[], None]) -> None:
        """Cancels `task`, after `on_timeout`, when it takes longer than a handler may."""

        def overdue() -> None:
            on_timeout()
            task.cancel()

        timer = self._clock.call_later(self._limit_s, overdue)
        task.add_done_callback(lambda _: timer.cancel())
