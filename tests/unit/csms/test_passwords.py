"""The passwords that a CSMS keeps: hashes, changes, the file."""

import json
import stat
from pathlib import Path

import pytest

from ocpp_fast.csms import Passwords
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.ids import Ids

OLD = "0123456789abcdef"
NEW = "fedcba9876543210"


def test_who_has_the_password() -> None:
    """A00.FR.207, A00.FR.324."""
    passwords = Passwords({"CS001": OLD, "CS002": NEW})
    assert passwords.check("CS001", OLD)
    assert passwords.check("CS002", NEW)
    for identity, password in (
        ("CS001", NEW), ("CS001", ""), ("CS001", OLD + "x"), ("CS001", OLD[:-1]),
        ("CS003", OLD), ("CS001", "x" * 1_000_000), ("CS001", OLD.upper()),
    ):  # fmt: skip
        assert not passwords.check(identity, password)
    assert "CS001" in passwords
    assert "CS003" not in passwords
    passwords.remove("CS001")
    assert "CS001" not in passwords
    assert not passwords.check("CS001", OLD)


def test_no_password_is_kept(tmp_path: Path) -> None:
    """A01.FR.08: salted, so that equal passwords do not look equal; A01.FR.09."""
    passwords = Passwords({"CS001": OLD, "CS002": OLD, "CS003": "pässwörd-π"})
    file = tmp_path / "passwords.json"
    passwords.save(file)
    kept = json.loads(file.read_text())
    assert OLD not in file.read_text()
    assert kept["CS001"] != kept["CS002"]
    assert OLD not in repr(passwords)
    assert passwords.check("CS003", "pässwörd-π")


@pytest.mark.parametrize("accepted", [True, False])
def test_while_a_change_is_open_both_are_good(accepted: bool) -> None:
    """A01.FR.03, A01.FR.04."""
    passwords = Passwords({"CS001": OLD})
    passwords.offer("CS001", NEW)
    assert passwords.check("CS001", OLD)
    passwords.settle("CS001", accepted=accepted)
    assert passwords.check("CS001", NEW) is accepted
    assert passwords.check("CS001", OLD) is not accepted
    passwords.settle("CS001", accepted=not accepted)  # nothing is open any more
    assert passwords.check("CS001", NEW) is accepted


def test_what_is_set_ends_a_change() -> None:
    passwords = Passwords({"CS001": OLD})
    passwords.offer("CS001", NEW)
    passwords.set("CS001", "another password")
    assert not passwords.check("CS001", NEW)
    assert passwords.check("CS001", "another password")


def test_a_new_password_that_is_used_was_accepted() -> None:
    """A01.FR.03: also when the answer to SetVariables was lost."""
    passwords = Passwords({"CS001": OLD})
    passwords.offer("CS001", NEW)
    assert passwords.check("CS001", NEW)
    assert not passwords.check("CS001", OLD)


def test_a_file_is_kept_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    Passwords({"CS001": OLD}).save(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    passwords = Passwords.load(file)
    assert passwords.check("CS001", OLD)
    passwords.offer("CS001", NEW)
    assert Passwords.load(file).check("CS001", OLD)
    passwords.settle("CS001", accepted=True)
    passwords.set("CS002", NEW)
    again = Passwords.load(file)
    assert again.check("CS001", NEW)
    assert again.check("CS002", NEW)
    assert not again.check("CS001", OLD)
    assert [path.name for path in tmp_path.iterdir()] == ["passwords.json"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '"x"', '{"CS001": 5}', '{"CS001": "plain"}', '{"CS001": "md5$1$00$00"}',
     '{"CS001": "pbkdf2-sha256$many$00$00"}', '{"CS001": "pbkdf2-sha256$1$xx$00"}',
     '{"CS001": "pbkdf2-sha256$0$00$00"}'],
)  # fmt: skip
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "passwords.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"passwords\.json: "):
        Passwords.load(file)
    with pytest.raises(ConfigurationError, match="No such file"):
        Passwords.load(tmp_path / "none.json")


def test_random_passwords() -> None:
    """A00.FR.205: 16 to 40 characters; A01.FR.07."""
    password = Ids().password()
    assert len(password) == 32
    assert password.isalnum()
    assert password != Ids().password()
    assert Ids(1).password() == Ids(1).password()
