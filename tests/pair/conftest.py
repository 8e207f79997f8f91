"""What all tests in virtual time share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from crash.database_time import databases_in_the_loop


@pytest.fixture(autouse=True)
def _databases_in_virtual_time() -> Generator[None]:
    """A thread lives in real time: timers, and with them time limits, would overtake a write."""
    with databases_in_the_loop():
        yield
