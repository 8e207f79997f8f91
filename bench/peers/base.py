"""What every candidate offers to the suites."""

from typing import Protocol

from bench.harness import Job
from bench.payloads import Case, Version


class Peer(Protocol):
    """A way to handle OCPP messages. A method answers None where the candidate has no way."""

    @property
    def name(self) -> str:
        """Name in tables and gates."""
        ...

    def decode(self, case: Case) -> Job | None:
        """Frame bytes to a checked message; the job raises `Refused` or another error if bad."""
        ...

    def encode(self, case: Case) -> Job | None:
        """A message built beforehand to frame bytes."""
        ...

    def build(self, version: Version) -> Job | None:
        """Numbers to frame bytes (TransactionEvent Updated)."""
        ...

    def read(self, case: Case) -> Job | None:
        """Frame bytes to a checked message, then every member of it read."""
        ...


class Refused(Exception):
    """A candidate did not accept a frame and has no exception of its own for that."""
