"""Numbers from a meter to the bytes of a TransactionEvent Updated."""

from typing import Any

import pytest

from bench.harness import Effort
from bench.payloads import PAYLOADS, VERSIONS, Case, Version
from bench.peers import entrants, ours


@pytest.mark.parametrize("version", VERSIONS)
def test_build(race: Any, effort: Effort, version: Version) -> None:
    """Plain constructors for everyone; ours also with the bulk constructor."""
    jobs = [peer.build(version) for peer in entrants(effort, "msgspec")]
    if (this := ours()) is not None:
        jobs.append(this.build_with_template(version))
    race("build", Case(PAYLOADS["TransactionEvent.Updated"], version), jobs)
