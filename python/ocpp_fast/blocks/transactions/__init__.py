"""Block E: transactions (E01 to E14), and their meter values (J02)."""

from ocpp_fast.blocks.transactions.block import Transactions

__all__ = ["Transactions"]
