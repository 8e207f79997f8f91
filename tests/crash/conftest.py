"""What tests with a recorder share."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from crash.recording import Unavailable, build, room


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorder, compiled."""
    try:
        return build(tmp_path_factory.mktemp("recorder"))
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def memory() -> Generator[Path]:
    """A folder in memory, if the machine has such a thing: how fast its disk is does not matter."""
    with room() as folder:
        yield folder
