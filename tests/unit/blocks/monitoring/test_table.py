"""Which monitors there are: ids, rules, bases, and what is stored of them."""

from dataclasses import replace
from itertools import product

import pytest

from ocpp_fast.blocks.monitoring import table as module
from ocpp_fast.blocks.monitoring.table import (
    Base,
    FileMonitor,
    Kind,
    MonitorTable,
    Origin,
    Refusal,
    Wanted,
    Watched,
)
from ocpp_fast.storage import MonitorRow

POWER = Watched(
    number=7,
    component="EVSE",
    evse_id=1,
    variable="Power",
    data_type="decimal",
    min_limit=0.0,
    max_limit=11_000.0,
    has_target=True,
)
STATE = Watched(number=8, component="EVSE", evse_id=1, variable="State", data_type="OptionList")
VARIABLES = {watched.variable: watched for watched in (POWER, STATE)}


def wanted(
    kind: Kind = Kind.UPPER_THRESHOLD,
    value: float = 5_000,
    severity: int = 5,
    *,
    watched: Watched = POWER,
    monitor_id: int | None = None,
    transaction: bool = False,
) -> Wanted:
    return Wanted(
        monitor_id=monitor_id,
        watched=watched,
        kind=kind,
        value=value,
        severity=severity,
        transaction=transaction,
    )


def file(
    origin: Origin,
    kind: Kind = Kind.DELTA,
    value: float = 1,
    severity: int = 5,
    watched: Watched = STATE,
) -> FileMonitor:
    return FileMonitor(watched, kind, value, severity, transaction=False, origin=origin)


def find(row: MonitorRow) -> Watched | None:
    return VARIABLES.get(row.variable)


class Disk:
    """A table with what is stored of it."""

    def __init__(self, *files: FileMonitor) -> None:
        self.rows: dict[int, MonitorRow] = {}
        self.base = Base.ALL
        self.restart(*files)

    def restart(self, *files: FileMonitor) -> None:
        rows = [self.rows[row_id] for row_id in sorted(self.rows)]
        self.table, changes = MonitorTable.restore(rows, files, find, self.base)
        self._write(changes)
        assert changes.started == list(self.table.live.values())

    def set(self, request: Wanted) -> int | Refusal:
        draft = self.table.draft()
        outcome = draft.set(request)
        self._swap(draft)
        return outcome

    def clear(self, monitor_id: int) -> str:
        draft = self.table.draft()
        outcome = draft.clear(monitor_id)
        self._swap(draft)
        return outcome

    def set_base(self, base: Base) -> None:
        draft = self.table.draft()
        draft.set_base(base)
        self.base = base
        self._swap(draft)

    def trigger(self, monitor_id: int) -> None:
        self.table.triggered.add(monitor_id)
        row = self.table.row(monitor_id)
        assert row is not None
        self.rows[monitor_id] = row

    def live(self) -> dict[int, tuple[str, str, float, int]]:
        return {
            i: (monitor.origin.value, monitor.kind.value, monitor.value, monitor.severity)
            for i, monitor in self.table.live.items()
        }

    def _swap(self, draft: MonitorTable) -> None:
        changes = draft.changes_from(self.table)
        self._write(changes)
        before = dict(self.table.live)
        for monitor_id in changes.ended:
            del before[monitor_id]
        before |= {monitor.monitor_id: monitor for monitor in changes.started}
        assert before == draft.live
        self.table = draft

    def _write(self, changes: module.Changes) -> None:
        self.rows |= {row.monitor_id: row for row in changes.store}
        for row_id in changes.remove:
            del self.rows[row_id]


def refused(outcome: int | Refusal) -> tuple[str, str]:
    assert isinstance(outcome, Refusal), outcome
    assert outcome.additional_info
    return outcome.status, outcome.reason_code


# --- N04 --------------------------------------------------------------------------------------


def test_a_new_monitor_gets_an_id_of_its_own() -> None:
    """N04.FR.11."""
    table = MonitorTable()
    ids = [table.set(wanted(severity=severity)) for severity in range(10)]
    assert len(set(ids)) == 10
    assert all(isinstance(each, int) and each > 0 for each in ids)


def test_an_id_of_a_removed_monitor_is_not_given_again() -> None:
    table = MonitorTable()
    first = table.set(wanted())
    assert isinstance(first, int)
    assert table.clear(first) == "Accepted"
    assert table.set(wanted()) != first


NUMERIC = {"decimal", "integer"}
DATA_TYPES = (
    *NUMERIC, "string", "dateTime", "boolean", "OptionList", "SequenceList", "MemberList",
)  # fmt: skip


@pytest.mark.parametrize(("kind", "data_type"), [*product(Kind, DATA_TYPES)])
def test_which_variables_have_which_kinds(kind: Kind, data_type: str) -> None:
    """N04.FR.05, by the table of Part 1."""
    threshold = kind in (Kind.UPPER_THRESHOLD, Kind.LOWER_THRESHOLD)
    allowed = kind is Kind.DELTA or data_type != "dateTime"
    if threshold:
        allowed = data_type in NUMERIC
    watched = replace(POWER, data_type=data_type)
    outcome = MonitorTable().set(wanted(kind, watched=watched))
    if allowed:
        assert isinstance(outcome, int)
    else:
        assert refused(outcome) == ("UnsupportedMonitorType", "UnsupportedParam")
    silent = replace(watched, supports_monitoring=False)
    outcome = MonitorTable().set(wanted(kind, watched=silent))
    assert refused(outcome) == ("UnsupportedMonitorType", "UnsupportedParam")


@pytest.mark.parametrize("kind", [Kind.TARGET_DELTA, Kind.TARGET_DELTA_RELATIVE])
def test_without_a_target_nothing_can_be_off_it(kind: Kind) -> None:
    watched = replace(POWER, has_target=False)
    outcome = MonitorTable().set(wanted(kind, watched=watched))
    assert refused(outcome) == ("UnsupportedMonitorType", "UnsupportedParam")


@pytest.mark.parametrize("severity", [-1, 10, 1_000])
def test_a_severity_is_from_0_to_9(severity: int) -> None:
    assert refused(MonitorTable().set(wanted(severity=severity))) == (
        "Rejected",
        "ValueOutOfRange",
    )


@pytest.mark.parametrize("kind", [Kind.UPPER_THRESHOLD, Kind.LOWER_THRESHOLD])
def test_a_threshold_is_within_the_limits_of_its_variable(kind: Kind) -> None:
    """N04.FR.06: on the limit is within."""
    table = MonitorTable()
    for value in (-0.1, 11_000.1):
        assert refused(table.set(wanted(kind, value))) == ("Rejected", "ValueOutOfRange")
    for severity, value in enumerate((0.0, 5.0, 11_000.0)):
        assert isinstance(table.set(wanted(kind, value, severity)), int)
    free = replace(POWER, min_limit=None, max_limit=None)
    assert isinstance(MonitorTable().set(wanted(kind, -1e12, watched=free)), int)


@pytest.mark.parametrize("kind", [Kind.DELTA, Kind.TARGET_DELTA, Kind.TARGET_DELTA_RELATIVE])
@pytest.mark.parametrize("watched", [POWER, replace(STATE, has_target=True)])
def test_a_difference_is_not_negative(kind: Kind, watched: Watched) -> None:
    """N04.FR.14, TC_N_12_CS: for texts too."""
    outcome = MonitorTable().set(wanted(kind, -1, watched=watched))
    assert refused(outcome) == ("Rejected", "ValueOutOfRange")
    assert isinstance(MonitorTable().set(wanted(kind, 0, watched=watched)), int)


@pytest.mark.parametrize("kind", [Kind.PERIODIC, Kind.PERIODIC_CLOCK_ALIGNED])
def test_an_interval_is_at_least_a_second(kind: Kind) -> None:
    for value in (-60.0, 0.0, 0.9):
        outcome = MonitorTable().set(wanted(kind, value))
        assert refused(outcome) == ("Rejected", "ValueOutOfRange")
    assert isinstance(MonitorTable().set(wanted(kind, 1)), int)


def test_one_monitor_of_a_type_and_severity_on_a_variable() -> None:
    """N04.FR.10."""
    disk = Disk()
    first = disk.set(wanted())
    assert refused(disk.set(wanted(value=6_000))) == ("Duplicate", "InvalidValue")
    other = disk.set(wanted(severity=4))
    assert isinstance(disk.set(wanted(Kind.LOWER_THRESHOLD)), int)
    assert isinstance(first, int)
    assert isinstance(other, int)
    # A monitor that is replaced must not become the double of another one either.
    outcome = disk.set(wanted(severity=4, monitor_id=first))
    assert refused(outcome) == ("Duplicate", "InvalidValue")
    assert disk.set(wanted(value=1, monitor_id=first)) == first  # nor is it its own double
    assert disk.clear(other) == "Accepted"
    assert disk.set(wanted(severity=4, monitor_id=first)) == first
    assert isinstance(disk.set(wanted(severity=5)), int)


def test_an_id_replaces_the_monitor_of_this_variable_only() -> None:
    """N04.FR.12, N04.FR.13, N04.FR.16."""
    disk = Disk()
    monitor_id = disk.set(wanted())
    assert isinstance(monitor_id, int)
    assert disk.set(wanted(Kind.DELTA, 3, 2, monitor_id=monitor_id)) == monitor_id
    assert disk.live() == {monitor_id: ("Custom", "Delta", 3, 2)}
    outcome = disk.set(wanted(Kind.DELTA, 1, watched=STATE, monitor_id=monitor_id))
    assert refused(outcome) == ("Rejected", "InvalidValue")
    assert refused(disk.set(wanted(monitor_id=4_711))) == ("Rejected", "NotFound")
    assert disk.live() == {monitor_id: ("Custom", "Delta", 3, 2)}


def test_hard_wired_monitors_stay_as_they_are() -> None:
    """N04.FR.18, N06.FR.03."""
    disk = Disk(file(Origin.HARD_WIRED))
    ((monitor_id, before),) = disk.live().items()
    outcome = disk.set(wanted(Kind.DELTA, 2, 3, watched=STATE, monitor_id=monitor_id))
    assert refused(outcome) == ("Rejected", "InvalidValue")
    assert disk.clear(monitor_id) == "Rejected"
    for base in Base:
        disk.set_base(base)
        assert disk.live() == {monitor_id: before}


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MONITORS", 3)
    table = MonitorTable()
    ids = [table.set(wanted(severity=severity)) for severity in range(3)]
    assert refused(table.set(wanted(severity=9))) == ("Rejected", "OutOfMemory")
    assert isinstance(ids[0], int)
    assert table.set(wanted(value=1, severity=0, monitor_id=ids[0])) == ids[0]


def test_clearing() -> None:
    """N06.FR.02; TC_N_19_CS: the number after the highest is nobody's."""
    disk = Disk()
    monitor_id = disk.set(wanted())
    assert isinstance(monitor_id, int)
    assert disk.clear(monitor_id + 1) == "NotFound"
    assert disk.clear(monitor_id) == "Accepted"
    assert disk.clear(monitor_id) == "NotFound"
    assert disk.live() == {}
    assert disk.rows == {}


# --- N03 --------------------------------------------------------------------------------------


@pytest.fixture
def mixed() -> Disk:
    """1 hard-wired, 2 preconfigured, 3 preconfigured and overruled, 4 preconfigured and cleared,
    5 custom."""
    disk = Disk(
        file(Origin.HARD_WIRED),
        file(Origin.PRECONFIGURED, severity=6),
        file(Origin.PRECONFIGURED, Kind.UPPER_THRESHOLD, 9_000, watched=POWER),
        file(Origin.PRECONFIGURED, Kind.LOWER_THRESHOLD, 10, watched=POWER),
    )
    assert disk.set(wanted(value=8_000, severity=6, monitor_id=3)) == 3
    assert disk.clear(4) == "Accepted"
    assert disk.set(wanted(Kind.PERIODIC, 60)) == 5
    return disk


MIXED = {
    1: ("HardWired", "Delta", 1, 5),
    2: ("Preconfigured", "Delta", 1, 6),
    3: ("Custom", "UpperThreshold", 8_000, 6),
    5: ("Custom", "Periodic", 60, 5),
}
FOUR = ("Preconfigured", "LowerThreshold", 10, 5)
FILES = (
    file(Origin.HARD_WIRED),
    file(Origin.PRECONFIGURED, severity=6),
    file(Origin.PRECONFIGURED, Kind.UPPER_THRESHOLD, 9_000, watched=POWER),
    file(Origin.PRECONFIGURED, Kind.LOWER_THRESHOLD, 10, watched=POWER),
)


def test_what_replaces_a_preconfigured_monitor_is_custom(mixed: Disk) -> None:
    """N04.FR.15."""
    assert mixed.live() == MIXED


@pytest.mark.parametrize("restarts", [False, True])
def test_base_all_wakes_the_preconfigured_and_leaves_the_custom(
    mixed: Disk, *, restarts: bool
) -> None:
    """N03.FR.03."""
    mixed.set_base(Base.ALL)
    if restarts:
        mixed.restart(*FILES)
    assert mixed.live() == {**MIXED, 4: FOUR}


@pytest.mark.parametrize("restarts", [False, True])
def test_factory_default_removes_the_custom(mixed: Disk, *, restarts: bool) -> None:
    """N03.FR.04, TC_N_41_CS: what was overruled comes back under its id."""
    mixed.set_base(Base.FACTORY_DEFAULT)
    if restarts:
        mixed.restart(*FILES)
    assert mixed.live() == {
        1: MIXED[1],
        2: MIXED[2],
        3: ("Preconfigured", "UpperThreshold", 9_000, 5),
        4: FOUR,
    }


@pytest.mark.parametrize("restarts", [False, True])
def test_hard_wired_only(mixed: Disk, *, restarts: bool) -> None:
    """N03.FR.05; the others come back with the next base."""
    mixed.set_base(Base.HARD_WIRED_ONLY)
    if restarts:
        mixed.restart(*FILES)
    assert mixed.live() == {1: MIXED[1]}
    assert mixed.clear(2) == "NotFound"
    assert refused(mixed.set(wanted(monitor_id=3))) == ("Rejected", "NotFound")
    custom = mixed.set(wanted())
    assert isinstance(custom, int)  # Custom monitors may be set again after that.
    assert custom >= 5
    assert mixed.clear(custom) == "Accepted"
    mixed.set_base(Base.ALL)
    assert set(mixed.live()) == {1, 2, 3, 4}


def test_a_preconfigured_monitor_gives_way_to_a_custom_one_like_it() -> None:
    disk = Disk(file(Origin.PRECONFIGURED))
    disk.set_base(Base.HARD_WIRED_ONLY)
    custom = disk.set(wanted(Kind.DELTA, 2, watched=STATE))
    assert isinstance(custom, int)
    disk.set_base(Base.ALL)
    assert disk.live() == {custom: ("Custom", "Delta", 2, 5)}
    disk.set_base(Base.FACTORY_DEFAULT)
    assert disk.live() == {1: ("Preconfigured", "Delta", 1, 5)}


# --- N07.FR.13, N07.FR.14: restarts ---------------------------------------------------------------


def test_everything_is_as_before_after_a_restart(mixed: Disk) -> None:
    mixed.trigger(1)
    mixed.trigger(3)
    rows = dict(mixed.rows)
    mixed.restart(*FILES)
    assert mixed.live() == MIXED
    assert mixed.table.triggered == {1, 3}
    assert mixed.rows == rows
    assert mixed.set(wanted(severity=1)) == 6


def test_a_changed_file_changes_its_monitors_and_keeps_their_ids() -> None:
    disk = Disk(file(Origin.PRECONFIGURED), file(Origin.HARD_WIRED, severity=2))
    disk.restart(
        file(Origin.HARD_WIRED, severity=2, value=3),
        file(Origin.PRECONFIGURED, severity=9),
    )
    assert disk.live() == {
        2: ("HardWired", "Delta", 3, 2),
        3: ("Preconfigured", "Delta", 1, 9),
    }
    assert set(disk.rows) == {2, 3}


def test_a_preconfigured_monitor_that_is_new_to_the_files_follows_the_base() -> None:
    disk = Disk()
    disk.set_base(Base.HARD_WIRED_ONLY)
    disk.restart(file(Origin.PRECONFIGURED), file(Origin.HARD_WIRED, severity=2))
    assert set(disk.live().values()) == {("HardWired", "Delta", 1, 2)}
    disk.set_base(Base.ALL)
    assert len(disk.live()) == 2


def test_a_custom_monitor_of_the_files_is_there_until_the_csms_removes_it() -> None:
    disk = Disk(file(Origin.CUSTOM))
    assert disk.live() == {1: ("Custom", "Delta", 1, 5)}
    disk.restart(file(Origin.CUSTOM, value=3))  # Set once, it belongs to the CSMS.
    assert disk.live() == {1: ("Custom", "Delta", 1, 5)}
    assert disk.set(wanted(Kind.DELTA, 4, 4, watched=STATE, monitor_id=1)) == 1
    disk.restart(file(Origin.CUSTOM))
    assert disk.live() == {1: ("Custom", "Delta", 4, 4)}
    assert disk.clear(1) == "Accepted"
    disk.restart(file(Origin.CUSTOM))
    assert disk.live() == {}
    disk.set_base(Base.ALL)
    assert disk.live() == {}


def test_what_the_files_say_twice_counts_once() -> None:
    disk = Disk(file(Origin.PRECONFIGURED), file(Origin.PRECONFIGURED, value=2))
    assert disk.live() == {1: ("Preconfigured", "Delta", 1, 5)}


@pytest.mark.parametrize(
    "row",
    [
        MonitorRow(3, "Gone", "", 0, 0, "Gone", "", "Delta", 1, 5, False, "Custom", True),
        MonitorRow(3, "EVSE", "", 1, 0, "Power", "", "Strange", 1, 5, False, "Custom", False),
        MonitorRow(3, "EVSE", "", 1, 0, "Power", "", "Delta", 1, 5, False, "Strange", False),
        MonitorRow(
            3, "EVSE", "", 1, 0, "State", "", "UpperThreshold", 1, 5, False, "Custom", False
        ),
        MonitorRow(3, "EVSE", "", 1, 0, "State", "", "Delta", 1, 5, False, "HardWired", False),
        MonitorRow(-3, "EVSE", "", 1, 0, "State", "", "Delta", 1, 5, False, "Preconfigured", False),
    ],
)
def test_what_does_not_fit_any_more_is_removed(row: MonitorRow) -> None:
    """N04, remark 8: the variable is gone, or has no such monitors, or the file has none."""
    table, changes = MonitorTable.restore([row], [], find, Base.ALL)
    assert table.live == {}
    assert table.triggered == set()
    assert changes == ([], [row.monitor_id], [], [])
    assert table.set(wanted()) == 4


def test_a_crash_between_the_two_rows_of_a_cleared_monitor() -> None:
    """The dormant row is stored before the live one is removed: it counts."""
    disk = Disk(file(Origin.PRECONFIGURED))
    before = dict(disk.rows)
    assert disk.clear(1) == "Accepted"
    disk.rows |= before
    disk.restart(file(Origin.PRECONFIGURED))
    assert disk.live() == {}
    assert set(disk.rows) == {-1}


def test_a_draft_that_is_thrown_away_changes_nothing(mixed: Disk) -> None:
    draft = mixed.table.draft()
    draft.set_base(Base.HARD_WIRED_ONLY)
    draft.set(wanted(severity=1))
    assert mixed.live() == MIXED
    assert mixed.table.draft().changes_from(mixed.table) == ([], [], [], [])
    assert mixed.set(wanted(severity=1)) == 6


def test_a_draft_learns_what_was_triggered_meanwhile(mixed: Disk) -> None:
    draft = mixed.table.draft()
    assert draft.set(wanted(value=7_000, severity=6, monitor_id=3)) == 3
    assert draft.set(wanted(Kind.DELTA, 1, 1)) == 6
    draft.triggered.add(1)
    mixed.table.triggered.add(3)
    draft.take_triggered(mixed.table)
    assert draft.triggered == {3}


def test_another_kind_forgets_that_the_old_one_was_triggered() -> None:
    disk = Disk()
    monitor_id = disk.set(wanted())
    assert isinstance(monitor_id, int)
    disk.trigger(monitor_id)
    assert disk.set(wanted(value=6_000, monitor_id=monitor_id)) == monitor_id
    assert disk.table.triggered == {monitor_id}
    disk.set(wanted(Kind.LOWER_THRESHOLD, monitor_id=monitor_id))
    assert disk.table.triggered == set()
    assert not disk.rows[monitor_id].triggered
