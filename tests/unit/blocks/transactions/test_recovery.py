"""The decision what becomes of a transaction after a restart, without I/O and clock."""

import math
from datetime import timedelta
from itertools import product

import pytest

from ocpp_fast.blocks.transactions.recovery import (
    HIGH_DENSITY_EVSES,
    MAX_CLOCK_STEP_S,
    check_policy,
    closed_state,
    further,
    interruption_s,
    resumes,
    stopped_reason,
)
from ocpp_fast.config import OnRestart
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import v21, v201
from unit.blocks.transactions.kit import NOW, reading

WITHIN, EXACTLY, BEYOND, UNKNOWN = 10.0, 100.0, 100.001, math.inf
DOWN = (WITHIN, EXACTLY, BEYOND, UNKNOWN)

# Whether it is resumed: policy, ResumptionTimeout, then for each of DOWN.
TABLE: dict[tuple[OnRestart | None, float], tuple[bool, bool, bool, bool]] = {
    (None, 0): (False, False, False, False),
    (None, 100): (True, True, False, False),
    (OnRestart.RESUME, 0): (True, True, True, True),
    (OnRestart.RESUME, 100): (True, True, False, False),
    (OnRestart.CLOSE, 0): (False, False, False, False),
    (OnRestart.CLOSE, 100): (False, False, False, False),
}


def test_e17_fr_10_20_the_whole_table() -> None:
    assert set(TABLE) == set(product((None, *OnRestart), (0, 100)))
    for (policy, timeout_s), wanted in TABLE.items():
        got = tuple(resumes(policy, timeout_s, down_s) for down_s in DOWN)
        assert got == wanted, (policy, timeout_s)
    assert resumes(None, 0.5, 0.5), "however short it is"


@pytest.mark.parametrize(
    ("alive", "now", "running_s", "down_s"),
    [
        (0, 300, 0, 300),
        (0, 300, 20, 280),  # It has been up for a while before it could decide.
        (0, 20, 20, 0),
        (0, -MAX_CLOCK_STEP_S, 0, 0),  # A clock that was set right meanwhile.
        (0, -MAX_CLOCK_STEP_S - 1, 0, math.inf),  # One that is wrong.
        (None, 300, 0, math.inf),
        (0, None, 0, math.inf),
    ],
)
def test_e17_fr_02_the_interruption_begins_at_the_last_recorded_moment(
    alive: float | None, now: float | None, running_s: float, down_s: float
) -> None:
    alive_at = None if alive is None else NOW + timedelta(seconds=alive)
    now_at = None if now is None else NOW + timedelta(seconds=now)
    assert interruption_s(alive_at, now_at, running_s) == down_s


BOOT_REASONS = {
    "PowerUp": "PowerLoss",
    "RemoteReset": "ImmediateReset",
    "ApplicationReset": "Reboot",
    "FirmwareUpdate": "Reboot",
    "LocalReset": "Reboot",
    "ScheduledReset": "Reboot",
    "Triggered": "Reboot",
    "Unknown": "Reboot",
    "Watchdog": "Reboot",
}


def test_e17_fr_21_22_the_reason_of_the_boot_is_the_reason_of_the_end() -> None:
    assert set(BOOT_REASONS) == set(v21.BootReasonEnumType) == set(v201.BootReasonEnumType)
    for boot, reason in BOOT_REASONS.items():
        assert stopped_reason(boot) == reason
        assert v21.ReasonEnumType(reason) == v201.ReasonEnumType(reason)


@pytest.mark.parametrize("state", v21.ChargingStateEnumType)
def test_the_contactor_of_a_closed_transaction_is_open(state: str) -> None:
    assert closed_state(state) == ("Idle" if state == "Idle" else "EVConnected")


@pytest.mark.parametrize(
    ("now", "before", "wanted"),
    [
        (None, None, None),
        (5, None, "now"),
        (None, 5, "before"),
        (5, 5, "now"),
        (6, 5, "now"),
        (4, 5, "before"),
    ],
)
def test_j02_fr_16_a_meter_that_lost_its_register_ends_no_transaction(
    now: float | None, before: float | None, wanted: str | None
) -> None:
    readings = {
        "now": None if now is None else reading(now, 100),
        "before": None if before is None else reading(before),
    }
    assert further(readings["now"], readings["before"]) is readings.get(wanted or "")


def test_a_reading_without_energy_is_the_newer_one_all_the_same() -> None:
    old, new = reading(7), reading(None, 5, SoC=80)
    assert further(new, old) is new
    newest = reading(7, 9)
    assert further(newest, new) is newest


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("has_callback", [True, False])
@pytest.mark.parametrize("policy", [None, *OnRestart])
@pytest.mark.parametrize("evses", [HIGH_DENSITY_EVSES, HIGH_DENSITY_EVSES + 1])
def test_a_high_density_station_must_say_what_it_wants(
    evses: int, policy: OnRestart | None, *, has_callback: bool, durable: bool
) -> None:
    open_ = evses > HIGH_DENSITY_EVSES and durable and policy is None and not has_callback
    if open_:
        with pytest.raises(ConfigurationError, match="on_restart or give a restore_transaction"):
            check_policy(policy, evses, durable=durable, has_callback=has_callback)
    else:
        check_policy(policy, evses, durable=durable, has_callback=has_callback)
