"""Station configuration: what is read, and how mistakes are told."""

from pathlib import Path

import pytest

from ocpp_fast.config import (
    EvseConfig,
    SlotConfig,
    StationConfig,
    TxPoint,
    Variables,
)
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import OcppVersion

WHOLE = """
{
  "identity": "CS 001/a",
  "csms_url": "wss://csms.example/ocpp/",
  "vendor_name": "Example",
  "model": "Twin",
  "versions": ["2.0.1"],
  "evses": [{"connectors": 2}, {}],
  "variables": {
    "heartbeat_interval_s": 60,
    "tx_start_point": ["EVConnected", "Authorized"],
    "max_energy_on_invalid_id_wh": null,
    "tx_updated_measurands": ["Voltage"]
  }
}
"""


def test_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "station.json"
    path.write_text(WHOLE)
    config = StationConfig.load(path)
    assert config.url == "wss://csms.example/ocpp/CS%20001%2Fa"
    assert config.versions == (OcppVersion.V201,)
    assert config.evses == (EvseConfig(connectors=2), EvseConfig(connectors=1))
    assert config.variables is not None
    assert config.variables.heartbeat_interval_s == 60.0
    assert config.variables.tx_start_point == {TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED}
    assert config.variables.tx_updated_measurands == ("Voltage",)
    assert config.storage is None


def test_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        'identity = "CS001"\ncsms_url = "ws://localhost:9000"\nstorage = "station.db"\n'
        "[variables]\nauth_enabled = false\n"
    )
    config = StationConfig.load(path)
    assert config.storage == "station.db"
    assert config.variables == Variables(auth_enabled=False)


def test_the_password_does_not_show() -> None:
    slot = SlotConfig(csms_url="ws://h", password="Simsim")
    config = StationConfig(identity="CS001", csms_url="ws://h", password="Sesame", slots=(slot,))
    assert "Sesame" not in repr(config)
    assert "Simsim" not in repr(config)


def test_slots_and_interfaces(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        'identity = "CS001"\ncsms_url = "wss://one"\nsecurity_profile = 3\n'
        'certificates = "pki/station"\n'
        '[interfaces]\nWired0 = "eth0"\nWireless1 = "10.0.0.7"\n'
        '[[slots]]\ncsms_url = "ws://two"\nsecurity_profile = 1\npassword = "0123456789abcdef"\n'
        '[[slots]]\ncsms_url = "wss://three"\ninterface = "Wireless1"\nmessage_timeout_s = 10\n'
    )
    config = StationConfig.load(path)
    assert (config.security_profile, config.certificates) == (3, "pki/station")
    assert config.interfaces == {"Wired0": "eth0", "Wireless1": "10.0.0.7"}
    assert config.slots == (
        SlotConfig(csms_url="ws://two", security_profile=1, password="0123456789abcdef"),
        SlotConfig(csms_url="wss://three", interface="Wireless1", message_timeout_s=10),
    )


_NEEDS_TLS = r": /security_profile: 2 needs a wss:// address"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ('"security_profile": 4', r": /security_profile: must be from 0 to 3, is 4"),
        ('"security_profile": 2', _NEEDS_TLS),
        ('"interfaces": ["eth0"]', r": /interfaces: must be an object"),
        ('"interfaces": {"Wired9": "eth0"}', r": /interfaces/Wired9: is not one of Wired0,"),
        ('"interfaces": {"Wired0": 7}', r": /interfaces/Wired0: must be a string"),
        ('"slots": [{}]', r": /slots/0/csms_url: is required"),
        ('"slots": [{"csms_url": "http://h"}]', r": /slots/0/csms_url: not a ws:// or wss:// URL"),
        (
            '"slots": [{"csms_url": "ws://h", "security_profile": 2}]',
            r": /slots/0/security_profile",
        ),
        (
            '"slots": [{"csms_url": "ws://h", "interface": "eth0"}]',
            r": /slots/0/interface: must be",
        ),
        (
            '"slots": [{"csms_url": "ws://h", "message_timeout_s": 0.5}]',
            r"/message_timeout_s: must",
        ),
        (
            '"slots": [{"csms_url": "ws://h", "identity": "a:b"}]',
            r": /slots/0/csms_url: .*no colon",
        ),
    ],
)
def test_a_mistake_in_the_network(tmp_path: Path, more: str, error: str) -> None:
    path = tmp_path / "station.json"
    path.write_text(f'{{"identity": "CS001", "csms_url": "ws://h", {more}}}')
    with pytest.raises(ConfigurationError, match=error):
        StationConfig.load(path)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("{", r": .*line 1 column"),
        ("[]", r": /: must be an object"),
        ('{"csms_url": "ws://h"}', r": /identity: is required"),
        ('{"identity": "", "csms_url": "ws://h"}', r": /identity: .*1 to 48 characters"),
        ('{"identity": "a:b", "csms_url": "ws://h"}', r": /identity: .*colon"),
        ('{"identity": "a", "csms_url": "http://h"}', r": /csms_url: .*ws:// or wss://"),
        ('{"identity": 5, "csms_url": "ws://h"}', r": /identity: must be a string, is 5"),
        ('{"identity": "a", "csms_url": "ws://h", "evses": 2}', r": /evses: must be a list"),
        ('{"identity": "a", "csms_url": "ws://h", "evses": []}', r": /evses: must have 1 to"),
        (
            '{"identity": "a", "csms_url": "ws://h", "evses": [{}, {"connectors": 0}]}',
            r": /evses/1/connectors: must be from 1 to 8, is 0",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "evses": [{"conectors": 1}]}',
            r": /evses/0/conectors: is not known; known are connectors",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "versions": ["1.6"]}',
            r": /versions/0: must be one of 2\.0\.1, 2\.1, is '1\.6'",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "versions": ["2.1", "2.1"]}',
            r": /versions: .*none twice",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "variables": {"auth_enabled": 1}}',
            r": /variables/auth_enabled: must be true or false, is 1",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "variables": {"message_attempts": true}}',
            r": /variables/message_attempts: must be a whole number, is True",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "variables": {"message_attempts": 1.5}}',
            r": /variables/message_attempts: must be a whole number, is 1\.5",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "variables": {"heartbeat_interval_s": -1}}',
            r": /variables/heartbeat_interval_s: must not be negative, is -1",
        ),
        (
            '{"identity": "a", "csms_url": "ws://h", "variables": {"tx_stop_point": ["X"]}}',
            r": /variables/tx_stop_point/0: must be one of ParkingBayOccupancy, ",
        ),
        (
            """{"identity": "a", "csms_url": "ws://h",
                "variables": {"tx_stop_point": ["DataSigned"]}}""",
            r": /variables/tx_stop_point: DataSigned is no stop point",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_path(tmp_path: Path, content: str, error: str) -> None:
    path = tmp_path / "station.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"station\.json" + error):
        StationConfig.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: No such file"):
        StationConfig.load(tmp_path / "nowhere.json")


def test_a_toml_mistake_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text("identity = \n")
    with pytest.raises(ConfigurationError, match=r"station\.toml: .*line 1"):
        StationConfig.load(path)


def test_the_defaults_are_a_station_that_charges() -> None:
    assert Variables().tx_start_point
    assert Variables().tx_stop_point
