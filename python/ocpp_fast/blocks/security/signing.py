"""The requests for certificates that the CSMS has still to answer: which they are, when each is
sent again. Decides only; sending is the affair of `client`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BackOff", "Outstanding", "Request"]

_MAX_OF_ONE_USE: Final = 3
"""A CSMS that triggers again and again has this many chances to answer."""
_MAX_DOUBLINGS: Final = 20
_SHORTEST_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One key pair, and the SignCertificateRequest for it."""

    id: int
    """The requestId of 2.1 (A02.FR.24, A03.FR.20); never used again."""
    use: str
    """CertificateSigningUseEnumType."""
    key_id: str
    csr: str
    common_name: str
    organization: str
    sent: int = 0
    """How often it was sent without being refused."""
    stopped: bool = False
    """Whether it is not sent any more; the certificate may still come."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """SecurityCtrlr.CertSigningWaitMinimum, in seconds, and CertSigningRepeatTimes; None for a
    variable that the station does not have, which means never to send again."""

    wait_minimum_s: float | None
    repeat_times: float | None

    def pause_s(self, sent: int) -> float | None:
        """How long to wait for the certificate after the request was sent that often, before it is
        sent again; None when it was sent for the last time.

        The first pause is the minimum; each one is twice the one before, and after the number of
        doublings that is allowed nothing is sent any more (A02.FR.17, A02.FR.18, A02.FR.19 and
        their like of A03).
        """
        doublings = sent - 1
        if self.wait_minimum_s is None or self.repeat_times is None:
            return None
        if doublings > self.repeat_times:
            return None
        factor: int = 2 ** min(doublings, _MAX_DOUBLINGS)
        return max(self.wait_minimum_s, _SHORTEST_S) * factor


@dataclass(slots=True)
class Outstanding:
    """All of them, in the order of their ids."""

    last_id: int = 0
    requests: list[Request] = field(default_factory=list[Request])

    @classmethod
    def load(cls, text: str | None) -> Outstanding:
        """What `dump` has made; nothing for None. Raises `ValueError`, `TypeError` or `KeyError`
        for anything else."""
        if text is None:
            return cls()
        stored: dict[str, Any] = orjson.loads(text)
        return cls(int(stored["last_id"]), [Request(**each) for each in stored["requests"]])

    def dump(self) -> str:
        """As JSON, for the storage. Keys are in the certificate store, not here."""
        requests = [asdict(each) for each in self.requests]
        return orjson.dumps({"last_id": self.last_id, "requests": requests}).decode()

    def begin(
        self, *, use: str, key_id: str, csr: str, common_name: str, organization: str
    ) -> tuple[Request, list[Request]]:
        """A new request, which takes the place of older ones of its use: they are not sent any
        more, the last ones may still be answered. Gives those that are given up, too."""
        self.last_id += 1
        request = Request(
            id=self.last_id,
            use=use,
            key_id=key_id,
            csr=csr,
            common_name=common_name,
            organization=organization,
        )
        dropped = [each for each in self.requests if each.use == use][: 1 - _MAX_OF_ONE_USE]
        self.requests = [each for each in self.requests if each not in dropped]
        for each in self.requests:
            if each.use == use:
                self.put(replace(each, stopped=True))
        self.requests.append(request)
        return request, dropped

    def put(self, request: Request) -> None:
        """The request has changed; nothing happens if it is no longer there."""
        self.requests = [request if each.id == request.id else each for each in self.requests]

    def get(self, request_id: int) -> Request | None:
        """The request of that id."""
        return next((each for each in self.requests if each.id == request_id), None)

    def find(
        self, *, key_id: str, use: str | None = None, request_id: int | None = None
    ) -> Request | None:
        """The request that a certificate of this key answers; of this use and id, if given."""
        for each in self.requests:
            if each.key_id == key_id and use in (None, each.use) and request_id in (None, each.id):
                return each
        return None

    def active(self) -> Iterator[Request]:
        """Those that are still sent: one of each use at most."""
        return (each for each in self.requests if not each.stopped)

    def is_active(self, use: str) -> bool:
        """Whether there is one of this use."""
        return any(each.use == use for each in self.active())

    def answered(self, request: Request) -> list[Request]:
        """It has its certificate: it goes, and so do the older ones of its use. Gives the older
        ones, whose keys are for nothing now."""
        older = [each for each in self.requests if each.use == request.use and each.id < request.id]
        gone = {request.id, *(each.id for each in older)}
        self.requests = [each for each in self.requests if each.id not in gone]
        return older

    def drop(self, request: Request) -> None:
        """It will not be answered."""
        self.requests = [each for each in self.requests if each.id != request.id]
