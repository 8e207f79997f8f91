"""The storages of the package pass the suite that every storage has to pass."""

from pathlib import Path

import pytest

from ocpp_fast.storage import MemoryStorage, Storage
from ocpp_fast.storage.sqlite import SqliteStorage

pytest.register_assert_rewrite("unit.storage.suite")

from unit.storage.suite import StorageSuite  # noqa: E402 - its assertions are rewritten first


class TestMemoryStorage(StorageSuite):
    def make(self, folder: Path) -> Storage:
        return MemoryStorage()


class TestSqliteStorage(StorageSuite):
    def make(self, folder: Path) -> Storage:
        return SqliteStorage(folder / "station.db")


def test_only_the_sqlite_one_is_durable(tmp_path: Path) -> None:
    assert not MemoryStorage().durable
    assert SqliteStorage(tmp_path / "x.db").durable
