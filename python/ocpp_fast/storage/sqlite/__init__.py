"""Storage in one SQLite file; the only package that imports aiosqlite.

The database runs in WAL mode with synchronous FULL: a commit is on the disk when it returns. Each
verb that changes something is one commit, in one hop to the connection's thread with one fdatasync:
one statement in autocommit, or several in a transaction of their own.

`file` opens, checks and migrates the file, with `aside` and `salvage` for a damaged one; `database`
is its thread; `outbox`, `device_model` and `state` are the verbs; `looking` reads beside a running
station. The schema is versioned by `PRAGMA user_version`. `migrations/NNNN_name.sql` takes it from
NNNN - 1 to NNNN; files are never changed once released, and there is no way back.
"""

from ocpp_fast.storage.sqlite.device_model import DeviceModelTables
from ocpp_fast.storage.sqlite.file import migrations
from ocpp_fast.storage.sqlite.outbox import OutboxTables

__all__ = ["SqliteStorage", "migrations"]


class SqliteStorage(OutboxTables, DeviceModelTables):
    """A `Storage` in the SQLite file at `path`, which is created when it does not exist.

    Survives a power cut and the end of the process at any moment. Only one process may use the
    file; its folder must exist. A damaged file is renamed to `<path>.corrupt-<n>`, its WAL beside
    it, with the lowest n that is free (see `Storage.set_aside`); another one takes its place, with
    what can still be read of it.
    """
