"""What an error held on to is released with the error, not some time later."""

import gc
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest

from ocpp_fast.messages import v201

REPEATS: Final = 50

MISTAKES: Final[dict[str, Callable[[], Any]]] = {
    "wrong value": lambda: v201.EVSEType(id="x"),  # type: ignore[arg-type]
    "missing member": lambda: v201.EVSEType(connector_id=1),  # type: ignore[call-arg]
    "unknown member": lambda: v201.EVSEType(unknown=1),  # type: ignore[call-arg]
    "positional argument": lambda: v201.EVSEType(1),  # type: ignore[call-arg]
    "no JSON": lambda: v201.DataTransferRequest(vendor_id="x", data=object()),  # type: ignore[arg-type]
    "extra no JSON": lambda: v201.CustomDataType(vendor_id="x", extra={"a": {1, 2}}),  # type: ignore[dict-item]
    "replace by a wrong value": lambda: v201.EVSEType(id=1).replace(id="x"),
    "replace of an unknown member": lambda: v201.EVSEType(id=1).replace(unknown=1),
    "replace with a position": lambda: v201.EVSEType(id=1).replace(1),  # type: ignore[call-arg]
    "naive datetime": lambda: v201.HeartbeatResponse(current_time="now"),  # type: ignore[arg-type]
}


@pytest.mark.memory
@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_are_released_at_once(mistake: str) -> None:
    """No other call into the Rust core happens in between that could clear a queue."""
    sentinel = object()

    def make() -> None:
        local = sentinel
        MISTAKES[mistake]()
        del local

    def provoke() -> None:
        for _ in range(REPEATS):
            with pytest.raises((TypeError, ValueError)):
                make()

    provoke()
    gc.collect()
    references = sys.getrefcount(sentinel)
    # What is not released is not released in any round; caches of Python fill up in the first.
    grown: list[int] = []
    for _ in range(5):
        blocks = sys.getallocatedblocks()
        provoke()
        gc.collect()
        grown.append(sys.getallocatedblocks() - blocks)
        assert sys.getrefcount(sentinel) == references
    assert min(grown) < REPEATS // 2
