"""Identifiers and random numbers: the only module that makes either."""

from __future__ import annotations

import random
import uuid
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Ids"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + _DIGITS[10:] + _DIGITS[:10]
_PREFIX_LENGTH = 16
_TAILS = tuple(a + b for a in _DIGITS for b in _DIGITS)


class Ids:
    """Makes the ids of one station or one CSMS, and all its random numbers.

    Part 4, section 4.1.4 wants the id of a CALL or SEND to differ from all ids that the same
    sender ever used for the same station, on any connection. Each instance therefore draws a
    prefix of 16 base-36 characters (82 bits: after a million restarts the odds that any two
    were equal are below 1e-12) and counts behind it, so that ids are unique without a register
    of those used, over connections because the instance outlives them, and over restarts
    because of the prefix. They stay below 36 characters for longer than any process lives.

    With a `seed` every id and number repeats exactly: for tests and simulations only. After
    `os.fork` make a new instance, the copy would repeat the ids of its parent.
    """

    __slots__ = ("_random", "message_id")

    message_id: Callable[[], str]
    """A fresh message id of 18 characters, growing slowly; costs about 0.1 microseconds."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(seed)
        prefix = "".join(self._random.choices(_DIGITS, k=_PREFIX_LENGTH))
        # The bound `__next__` of a generator is the cheapest counter there is in Python.
        self.message_id = _numbered(prefix).__next__

    def transaction_id(self) -> str:
        """A fresh transactionId in the form of a random UUID (36 characters).

        Unique for the lifetime of a station, over reboots and repairs (Part 2, E, section 1.2).
        """
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def password(self, length: int = 32) -> str:
        """A random password of letters and digits, for HTTP basic authentication.

        32 of them are 190 bits; A00.FR.205 wants 16 to 40 characters of high entropy (A01.FR.07).
        """
        return "".join(self._random.choices(_LETTERS, k=length))

    def salt(self, length: int = 16) -> bytes:
        """Random bytes, to be hashed together with a password (A01.FR.08)."""
        return self._random.randbytes(length)

    def random(self) -> float:
        """A number from 0 up to but not including 1, for jitter and simulations."""
        return self._random.random()


def _numbered(prefix: str) -> Iterator[str]:
    """`prefix` with 00, 01, ... zz, 100, 101, ... in base 36 behind it."""
    for number in count():
        head = prefix + _base36(number) if number else prefix
        for tail in _TAILS:
            yield head + tail


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
