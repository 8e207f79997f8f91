"""The candidates: what is measured and what it is measured against, one module each."""

from functools import cache
from typing import TYPE_CHECKING, cast

from bench.harness import EFFORTS, Effort, build_profile
from bench.peers import dicts, mobilityhouse, msgspec_typed

if TYPE_CHECKING:
    from bench.peers.base import Peer
    from bench.peers.ours import OcppFast

OURS = "ocpp_fast"
REFERENCES = ("orjson", "msgspec")
"""The candidates that ratios are taken to."""


@cache
def ours() -> "OcppFast | None":
    """This project, or None where the extension is not built (peers can be measured alone)."""
    if build_profile() == "absent":
        return None
    from bench.peers.ours import OcppFast

    return OcppFast()


@cache
def peers() -> "tuple[Peer, ...]":
    """All candidates, this project first if it is built."""
    found: list[object] = [
        dicts.Orjson(),
        msgspec_typed.MsgspecTyped(),
        msgspec_typed.MsgspecTyped(tracked=False),
        msgspec_typed.MsgspecTyped(rechecked=True),
        dicts.jsonschema_rs_checked(),
        dicts.fastjsonschema_checked(),
        mobilityhouse.MobilityHouse(),
    ]
    if (this := ours()) is not None:
        found.insert(0, this)
    return tuple(cast("list[Peer]", found))


def entrants(effort: Effort, *references: str) -> "list[Peer]":
    """Who takes part: everyone, or in a quick run this project and what it is compared with."""
    if effort is not EFFORTS["quick"]:
        return list(peers())
    return [peer for peer in peers() if peer.name in {OURS, *references}]
