"""Settings that hold for every test."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from interop.steady_time import SteadyLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Two profiles: the suite replays the same examples on every run; `--hypothesis-profile=search`
# looks for new ones. No deadline: a shared machine stalls now and then and that is no defect.
settings.register_profile(
    "replay",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("replay")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SteadyLoop]]:
    """What a test awaits has the time that this process was given, not the computer's."""
    return {"steady": SteadyLoop}


@pytest.fixture(scope="module", autouse=True)
def _what_is_left_is_there_to_stay() -> None:
    """Seventeen thousand tests are a million objects, and modules leave some more. To look for
    garbage among them again and again would stop whatever is timed for half a second each time."""
    gc.collect()
    gc.freeze()
