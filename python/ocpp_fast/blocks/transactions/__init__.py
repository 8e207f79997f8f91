"""Block E: transactions (E01 to E14, E17), and their meter values (J02)."""

from ocpp_fast.blocks.transactions.block import Transactions
from ocpp_fast.blocks.transactions.versions import adapted

__all__ = ["Transactions", "adapted"]
