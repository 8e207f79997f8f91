"""The one writer of messages and of the facts that go with them (`Journal`)."""

from ocpp_fast.journal.writer import Journal

__all__ = ["Journal"]
