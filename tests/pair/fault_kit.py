"""What is asked of a station whose disk fails or hangs."""

from __future__ import annotations

from pair.station_kit import Site


def told(site: Site, kind: str) -> int:
    """How often the CSMS was told of a security event."""
    return sum(event["type"] == kind for event in site.sent("SecurityEventNotification"))


def check_transactions(site: Site, count: int) -> None:
    """So many, each complete, with every event once."""
    assert len(site.transactions) == count
    for record in site.transactions:
        assert record.problems() == []
        assert record.seq_nos.duplicates == 0
        assert record.ended_at is not None
