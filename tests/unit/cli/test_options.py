"""Options that cannot be: one line on stderr and exit code 2, before anything is opened."""

import re
import sys
from pathlib import Path

import pytest

from ocpp_fast.cli.app import run
from ocpp_fast.cli.options import csms_security, read_password, station_security
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms.pki_folder import write_pki
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.ids import Ids
from ocpp_fast.transport.handshake import Credentials, Handshake


def end_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["ocpp-fast", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("station --id CS1", "--url"),
        ("station --url ws://localhost:1", "--id"),
        ("station --id CS1 --url ws://localhost:1 --security-profile 3", "needs a wss"),
        ("station --id CS1 --url ws://localhost:1 --pki NONE", "needs a wss"),
        ("station --id CS1 --url ws://localhost:1 --pki NONE --security-profile 1",
         r"station\.password"),
        ("station --pki NONE", "no certificate of a station"),
        ("station --id CS1 --url wss://localhost:1 --tls-cert NONE", "--tls-key"),
        ("station --id CS1 --url wss://localhost:1 --tls-ca NONE", "--tls-ca: "),
        ("station --id CS1 --url wss://localhost:1 --pki P --tls-ca NONE", "--pki: "),
        ("station --id CS1 --url wss://localhost:1 --tls-certificates P --tls-ca A", "--tls-ca: "),
        ("station --id CS1 --url ws://localhost:1 --password-file NONE", "--password-file: "),
        ("csms --password-file NONE", "--password-file: "),
        ("csms --pki NONE", r"csms-root\.pem"),
        ("csms --pki NONE --tls-cert A", "--pki: "),
        ("csms --tls-cert A", "--tls-key"),
        ("csms --tls-cert A --tls-key B", "profile 2 needs passwords"),
        ("csms --tls-cert A --tls-key B --password 1", "A with B"),
        ("csms --security-profile 1", "--password"),
        ("csms --security-profile 2", "--tls-cert"),
        ("csms --security-profile 3", "--tls-client-ca"),
        ("csms --security-profile 0 --password 1", "no password"),
        ("csms --tls-client-ca A", "certificate of the server"),
        ("pki NEW --id a:b", "no colon"),
        ("pki .", "nothing is overwritten"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_2_and_one_line(
    arguments: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OCPP_FAST_PASSWORD", raising=False)
    assert end_of(arguments.split(), monkeypatch) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith("ocpp-fast: ")
    assert re.search(why, line), line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "arguments",
    ["demo --security-profile 4", "csms --security-profile -1", "station --security-profile x"],
)
def test_there_are_four_profiles(arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert end_of(arguments.split(), monkeypatch) == 2


def test_ways_to_give_a_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("long enough, this one\nand a comment\n")
    assert read_password(None, None) is None
    assert read_password("given", None) == "given"
    assert read_password(None, str(file)) == "long enough, this one"
    with pytest.raises(ConfigurationError, match="a password already"):
        read_password("given", str(file))


def test_one_password_for_all_stations(tmp_path: Path) -> None:
    write_pki(tmp_path / "pki", identity="CS001", clock=SystemClock(), ids=Ids())
    for pki in (None, str(tmp_path / "pki")):
        security = csms_security(
            profile=1, password="word", pki=pki, chains=(), keys=(), client_roots=None,
            clock=SystemClock(),
        )  # fmt: skip
        for identity, password, status in (("A", "word", 0), ("B", "word", 0), ("A", "x", 401)):
            credentials = Credentials(identity, password)
            shaken = Handshake(identity, f"/{identity}", ("ocpp2.1",), credentials, {})
            assert security.admit(shaken, SystemClock().now()).status == status
        assert "word" not in repr(security)


def test_what_a_station_gets(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    write_pki(folder, identity="CS001", clock=SystemClock(), ids=Ids())
    nothing = dict.fromkeys(
        ("profile", "password", "pki", "certificates", "authority", "chain", "key")
    )
    with station_security(**nothing) as security:
        assert (security.profile, security.password, security.certificates) == (None, None, None)
    with station_security(**{**nothing, "pki": str(folder)}) as security:  # type: ignore[arg-type]
        assert (security.profile, security.password) == (3, None)
        assert security.certificates == str(folder / "station")
    basic = {**nothing, "pki": str(folder), "profile": 2}
    with station_security(**basic) as security:  # type: ignore[arg-type]
        assert security.password == (folder / "station.password").read_text().strip()
        assert str(security.password) not in repr(security)
    with station_security(**{**basic, "password": "mine"}) as security:  # type: ignore[arg-type]
        assert security.password == "mine"
    files = {**nothing, "chain": str(folder / "contract.pem"), "key": str(folder / "contract.key")}
    with station_security(**files) as security:  # type: ignore[arg-type]
        assert security.profile == 3
        assert security.certificates is not None
        kept = Path(security.certificates)
        assert list((kept / "leaves/charging_station").iterdir())
    assert not kept.exists()
    wrong = {**files, "key": str(folder / "csms/server-ec.key")}
    with (
        pytest.raises(ConfigurationError, match="--tls-key: "),
        station_security(**wrong),  # type: ignore[arg-type]
    ):
        pass
