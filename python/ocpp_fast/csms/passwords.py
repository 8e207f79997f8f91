"""The passwords of stations, as salted hashes. A file is optional."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import orjson

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Passwords"]

_SCHEME: Final = "pbkdf2-sha256"
_HASH: Final = re.compile(r"pbkdf2-sha256\$[1-9]\d{0,6}\$([0-9a-f]{2})+\$[0-9a-f]{64}")
ROUNDS: Final = 2_000
"""Of PBKDF2, about a millisecond. Few, because the check stands on the event loop and the passwords
of stations are random and long (A00.FR.205); more for short ones that people choose."""
MAX_LENGTH: Final = 256
"""Characters; nothing longer is hashed."""


class Passwords:
    """What each station may authenticate with (A00.FR.207, A00.FR.324).

    Only salted hashes are kept (A01.FR.08), and compared in constant time. While the CSMS does not
    know yet whether a station has taken a new password, both are good, see `offer`.
    """

    def __init__(
        self,
        passwords: Mapping[str, str] | None = None,
        *,
        ids: Ids | None = None,
        rounds: int = ROUNDS,
    ) -> None:
        """`passwords` are those of the stations, by identity, in plain text."""
        self._ids = ids or Ids()
        self._rounds = rounds
        self._hashes: dict[str, str] = {}
        self._offered: dict[str, str] = {}
        self._file: Path | None = None
        for identity, password in (passwords or {}).items():
            self.set(identity, password)

    @classmethod
    def load(cls, path: str | Path, *, ids: Ids | None = None) -> Passwords:
        """Reads the file that `save` wrote; from then on every change is written to it.

        Raises `ConfigurationError` when it cannot be read.
        """
        passwords = cls(ids=ids)
        passwords._file = Path(path)
        try:
            hashes = orjson.loads(passwords._file.read_bytes())
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except ValueError:
            raise ConfigurationError(f"{path}: no file of passwords") from None
        if not isinstance(hashes, dict):
            raise ConfigurationError(f"{path}: no file of passwords")
        passwords._hashes = cast("dict[str, str]", hashes)
        for identity, known in passwords._hashes.items():
            if not _is_hash(known):
                raise ConfigurationError(f"{path}: /{identity}: is no hash of a password")
        return passwords

    def save(self, path: str | Path) -> None:
        """Writes the hashes to a file that only its owner may read, and every change from now on.

        Raises `OSError`.
        """
        self._file = Path(path)
        self._write()

    def __contains__(self, identity: str) -> bool:
        return identity in self._hashes

    def check(self, identity: str, password: str) -> bool:
        """Whether this is the password of the station.

        One that was offered to the station and is used by it has thereby been accepted.
        """
        offered = self._offered.get(identity)
        if offered is not None and _matches(offered, password):
            self.settle(identity, accepted=True)
            return True
        known = self._hashes.get(identity)
        return known is not None and _matches(known, password)

    def set(self, identity: str, password: str) -> None:
        """From now on only this one is good."""
        self._offered.pop(identity, None)
        self._hashes[identity] = self._hash(password)
        self._write()

    def remove(self, identity: str) -> None:
        """The station is not known any more; no effect if it was not."""
        self._offered.pop(identity, None)
        self._hashes.pop(identity, None)
        self._write()

    def offer(self, identity: str, password: str) -> None:
        """This one is good too, until it is used or settled."""
        self._offered[identity] = self._hash(password)

    def settle(self, identity: str, *, accepted: bool) -> None:
        """The station has taken the offered password, and the old one is void (A01.FR.03); or it
        has not, and the old one stays good (A01.FR.04). No effect when none was offered."""
        offered = self._offered.pop(identity, None)
        if offered is not None and accepted:
            self._hashes[identity] = offered
            self._write()

    def _hash(self, password: str) -> str:
        salt = self._ids.salt()
        return f"{_SCHEME}${self._rounds}${salt.hex()}${_digest(password, salt, self._rounds)}"

    def _write(self) -> None:
        if self._file is None:
            return
        new = self._file.with_name(f"{self._file.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(self._hashes, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)


def _digest(password: str, salt: bytes, rounds: int) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds).hex()


def _matches(known: str, password: str) -> bool:
    if len(password) > MAX_LENGTH:
        return False
    _, rounds, salt, digest = known.split("$")
    return hmac.compare_digest(digest, _digest(password, bytes.fromhex(salt), int(rounds)))


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None
