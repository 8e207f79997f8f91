"""docs/security.md says which failure gives which event; so does the code."""

import re
from pathlib import Path

from ocpp_fast.blocks.security.events import _kind_of
from ocpp_fast.errors import ConnectFailed, ConnectFailure

PAGE = Path(__file__).parents[3] / "docs/security.md"
ROW = re.compile(
    r"^\| (?P<what>[^|]+) \| `(?P<failure>[A-Z_]+)` \| (?P<event>\w*) ?\|$", re.MULTILINE
)


def test_the_table_of_events() -> None:
    """A00.FR.310, A00.FR.316, A00.FR.323, A00.FR.413, A00.FR.419, A00.FR.426"""
    rows = list(ROW.finditer(PAGE.read_text(encoding="utf-8")))
    told = {"CERTIFICATE", "CLIENT_CERTIFICATE", "HTTP", "TLS", "TLS_CIPHER", "TLS_VERSION"}
    assert {row["failure"] for row in rows} == told | {"SLOT", "TIMEOUT"}
    for row in rows:
        status = 401 if row["failure"] == "HTTP" else None
        error = ConnectFailed(ConnectFailure[row["failure"]], row["what"], status)
        assert _kind_of(error) == (row["event"] or None), row["what"]
