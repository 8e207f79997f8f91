"""Storage in one SQLite file; the only package that imports aiosqlite.

The database runs in WAL mode with synchronous FULL: a commit is on the disk when it returns. The
connection is in autocommit and each verb that changes something is one SQL statement (one
transaction for more than `statements.MOST_ROWS` rows), so that a durable write costs one hop to
the connection's thread and one fdatasync.

`file` opens, checks and migrates the file, `database` is its thread; `outbox`, `device_model` and
`state` are the verbs. The schema is versioned by `PRAGMA user_version`. `migrations/NNNN_name.sql`
takes it from NNNN - 1 to NNNN; files are never changed once released, and there is no way back.
"""

from ocpp_fast.storage.sqlite.device_model import DeviceModelTables
from ocpp_fast.storage.sqlite.file import migrations
from ocpp_fast.storage.sqlite.outbox import OutboxTables

__all__ = ["SqliteStorage", "migrations"]


class SqliteStorage(OutboxTables, DeviceModelTables):
    """A `Storage` in the SQLite file at `path`, which is created when it does not exist.

    Survives a power cut and the end of the process at any moment. Only one process may use the
    file; its folder must exist. A damaged file is renamed to `<path>.corrupt-<n>`, its WAL beside
    it, with the lowest n that is free (see `Storage.set_aside`).
    """
