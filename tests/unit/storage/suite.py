"""One suite for every `Storage`: what it stores, what it forgets, and what comes back.

An implementation of one's own is proved by a class that says how it is made:

    class TestMyStorage(StorageSuite):
        def make(self, folder: Path) -> Storage:
            return MyStorage(folder / "state")
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ocpp_fast.errors import StorageRefused
from ocpp_fast.storage import (
    ComponentRow,
    MonitorRow,
    OutboxRow,
    SecurityLogRow,
    Storage,
    ValueRow,
)
from ocpp_fast.storage.base import (
    MAX_ROWS_PER_APPEND,
    MAX_ROWS_PER_LOAD,
    MAX_SECURITY_LOG_ROWS,
    DeadLetter,
    QueueSize,
    ReadingRow,
)


def row(row_id: int, lane: str = "tx-1", **changes: object) -> OutboxRow:
    values: dict[str, object] = {
        "version": "2.1",
        "action": "TransactionEvent",
        "payload": f'{{"seqNo":{row_id},"text":"ä\\u0000"}}'.encode(),
    }
    return OutboxRow(row_id, lane, **(values | changes))  # type: ignore[arg-type]


def component(name: str, instance: str = "", evse: int = 0, connector: int = 0) -> ComponentRow:
    return ComponentRow(name, instance, evse, connector, f'{{"name":"{name}","properties":{{}}}}')


def value(
    text: str | None,
    *,
    component: str = "TxCtrlr",
    evse: int = 0,
    variable: str = "EVConnectionTimeOut",
    attribute: str = "Actual",
    source: str = "csms",
) -> ValueRow:
    return (component, "", evse, 0, variable, "", attribute, text, source)


def monitor(
    monitor_id: int, *, name: str = "EVSE", evse: int = 1, limit: float = 7.5
) -> MonitorRow:
    return MonitorRow(
        monitor_id=monitor_id,
        component=name,
        instance="",
        evse_id=evse,
        connector_id=0,
        variable="Power",
        variable_instance="",
        kind="UpperThreshold",
        value=limit,
        severity=4,
        transaction=True,
        config="Custom",
        triggered=False,
    )


def reading(number: int, transaction: str = "tx-1") -> ReadingRow:
    return ReadingRow(transaction, number, f'{{"number":{number}}}'.encode())


GIVEN_UP = "2026-01-01T00:00:00+00:00"


def logged(number: int, tech_info: str | None = None) -> SecurityLogRow:
    return SecurityLogRow(f"2026-01-01T00:00:00.{number:06}Z", "ResetOrReboot", tech_info, True)


class _Opened:
    """A storage that is open, in a folder that is empty at first."""

    def make(self, folder: Path) -> Storage:
        """The storage that keeps its state in that folder; the same state for the same folder."""
        raise NotImplementedError

    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        opened = self.make(tmp_path)
        await opened.open()
        yield opened
        await opened.close()


class LifeSuite(_Opened):
    """Opening and closing."""

    async def test_a_new_storage_is_empty(self, storage: Storage) -> None:
        assert storage.set_aside is None
        assert storage.fault is None
        assert await storage.outbox_load() == []
        assert await storage.outbox_dead_letters() == []
        assert await storage.outbox_last_row_id() == 0
        assert await storage.components_load() == []
        assert await storage.values_load() == []
        assert await storage.monitors_load() == []
        assert await storage.state_load() == {}
        assert await storage.readings_load() == []
        assert await storage.security_log_load(10) == []

    async def test_closing_twice_and_opening_again(self, storage: Storage) -> None:
        await self.fill(storage)
        await storage.close()
        await storage.close()
        await storage.open()
        await storage.open()
        await self.check(storage)

    async def test_a_durable_one_is_found_again(self, storage: Storage, tmp_path: Path) -> None:
        await self.fill(storage)
        await storage.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            if storage.durable:
                await self.check(again)
                assert again.set_aside is None
            else:
                assert await again.outbox_load() == []
                assert await again.values_load() == []
        finally:
            await again.close()

    async def test_what_is_not_durable_does_not_wait(self, storage: Storage) -> None:
        if storage.durable:
            return
        storage.outbox_append([row(1)])
        storage.components_store([component("EVSE", evse=1)])
        storage.values_store([value("30")])
        storage.monitors_store([monitor(1)])
        storage.state_store({"block.fact": "1"})
        storage.readings_append([reading(1)])
        storage.security_log_append([logged(1)])
        await self.check(storage)

    @staticmethod
    async def fill(storage: Storage) -> None:
        """Something of everything."""
        await storage.outbox_append([row(1)])
        await storage.components_store([component("EVSE", evse=1)])
        await storage.values_store([value("30")])
        await storage.monitors_store([monitor(1)])
        await storage.state_store({"block.fact": "1"})
        await storage.readings_append([reading(1)])
        await storage.security_log_append([logged(1)])

    @staticmethod
    async def check(storage: Storage) -> None:
        """What `fill` has stored is there."""
        assert await storage.outbox_load() == [row(1)]
        assert await storage.components_load() == [component("EVSE", evse=1)]
        assert await storage.values_load() == [value("30")]
        assert await storage.monitors_load() == [monitor(1)]
        assert await storage.state_load() == {"block.fact": "1"}
        assert await storage.readings_load() == [reading(1)]
        assert await storage.security_log_load(10) == [logged(1)]


class OutboxSuite(_Opened):
    """Messages that must reach the CSMS."""

    async def test_rows_come_back_as_stored_in_the_order_of_their_ids(
        self, storage: Storage
    ) -> None:
        first = row(7, seq_no=3, droppable=True, offline=True, attempts=2, run=5)
        second = row(3, "tx-2", version="2.0.1", action="SecurityEventNotification")
        await storage.outbox_append([first, second])
        await storage.outbox_append([row(9)])
        assert await storage.outbox_load() == [second, first, row(9)]
        assert await storage.outbox_last_row_id() == 9

    async def test_loaded_rows_are_the_callers(self, storage: Storage) -> None:
        await storage.outbox_append([row(1)])
        (found,) = await storage.outbox_load()
        found.attempts, found.payload = 7, b"{}"
        assert await storage.outbox_load() == [row(1)]

    async def test_rows_are_loaded_in_pages(self, storage: Storage) -> None:
        rows = [row(number, f"tx-{number % 3}") for number in range(1, MAX_ROWS_PER_LOAD + 10)]
        await storage.outbox_append(rows)
        assert await storage.outbox_load() == rows[:MAX_ROWS_PER_LOAD]
        assert await storage.outbox_load(MAX_ROWS_PER_LOAD) == rows[MAX_ROWS_PER_LOAD:]
        assert await storage.outbox_load(3, 2) == rows[3:5]
        assert await storage.outbox_load(1, 2, "tx-0") == [rows[2], rows[5]]
        assert await storage.outbox_load(len(rows)) == []
        assert await storage.outbox_load(0, 5, "tx-9") == []

    async def test_an_append_is_all_or_nothing(self, storage: Storage) -> None:
        await storage.outbox_append([row(2)])
        with pytest.raises(StorageRefused, match="outbox_append"):
            await storage.outbox_append([row(1), row(2)], {"a.a": "1"})
        assert await storage.outbox_load() == [row(2)]
        assert await storage.state_load() == {}

    async def test_facts_change_with_rows(self, storage: Storage) -> None:
        await storage.outbox_append([row(1)], {"a.a": "1", "a.b": "2", "a.c": "3"})
        await storage.outbox_append([row(2), row(3)], {"a.a": None, "a.b": "4", "a.d": None})
        assert await storage.outbox_load() == [row(1), row(2), row(3)]
        assert await storage.state_load() == {"a.b": "4", "a.c": "3"}
        await storage.outbox_append([], {"a.c": "5"})
        assert await storage.state_load() == {"a.b": "4", "a.c": "5"}
        many = {f"b.{number}": str(number) for number in range(2_500)}
        await storage.outbox_append([row(4)], many)
        assert await storage.state_load() == {"a.b": "4", "a.c": "5", **many}

    async def test_an_append_takes_a_bounded_number_of_rows(self, storage: Storage) -> None:
        await storage.outbox_append([])
        await storage.outbox_append([row(n) for n in range(1, MAX_ROWS_PER_APPEND + 1)])
        assert await storage.queue_size() == QueueSize(MAX_ROWS_PER_APPEND, 0)
        with pytest.raises(StorageRefused, match="outbox_append"):
            await storage.outbox_append([row(n) for n in range(2_000, 3_001)])

    async def test_removed_rows_are_gone_and_unknown_ids_do_not_matter(
        self, storage: Storage
    ) -> None:
        await storage.outbox_append([row(1), row(2), row(3)])
        await storage.outbox_remove([1, 3, 99])
        await storage.outbox_remove([])
        assert await storage.outbox_load() == [row(2)]

    async def test_attempts_are_kept(self, storage: Storage) -> None:
        await storage.outbox_append([row(1), row(2)])
        await storage.outbox_attempted(1, 3)
        await storage.outbox_attempted(1, 4)
        await storage.outbox_attempted(99, 1)
        assert await storage.outbox_load() == [row(1, attempts=4), row(2)]

    async def test_of_a_lane_every_second_droppable_row_is_thinned_out(
        self, storage: Storage
    ) -> None:
        """E04.FR.08: those behind a row id, and of one kind of message at a time."""
        event = "NotifyEvent"
        rows = [
            row(1, "a", droppable=True),
            row(2, "a"),
            row(3, "a", droppable=True),
            row(4, "b", droppable=True),
            row(5, "a", droppable=True),
            row(6, "a", droppable=True),
            row(7, "a"),
            row(8, "b", droppable=True),
            row(9, "c", droppable=True, action=event),
            row(10, "c", droppable=True, action=event),
            row(11, "c", droppable=True, action=event),
        ]
        await storage.outbox_append(rows)
        assert await storage.outbox_thin(1, transactions=True) == 3
        left = [each.row_id for each in await storage.outbox_load()]
        assert left == [1, 2, 5, 7, 8, 9, 10, 11]
        assert await storage.outbox_thin(0, transactions=False) == 2
        left = [each.row_id for each in await storage.outbox_load()]
        assert left == [1, 2, 5, 7, 8, 10]
        assert await storage.outbox_thin(8, transactions=True) == 0

    async def test_whether_a_lane_has_rows(self, storage: Storage) -> None:
        await storage.outbox_append([row(1, "a"), row(2, "b"), row(3, "a")])
        assert await storage.outbox_holds("a")
        assert await storage.outbox_holds("a", 2)
        assert not await storage.outbox_holds("a", 3)
        assert await storage.outbox_holds("b", 1)
        assert not await storage.outbox_holds("b", 2)
        assert not await storage.outbox_holds("A")

    async def test_rows_without_right_times_are_found_and_corrected(self, storage: Storage) -> None:
        await storage.outbox_append([row(1), row(2, run=3), row(3), row(4, run=4), row(5, run=4)])
        assert await storage.outbox_undated() == [row(2, run=3), row(4, run=4), row(5, run=4)]
        assert await storage.outbox_undated(2, 1) == [row(4, run=4)]
        await storage.outbox_redate([(2, b"{2}"), (5, b"{5}"), (99, b"{}")])
        await storage.outbox_redate([])
        assert await storage.outbox_undated() == [row(4, run=4)]
        assert await storage.outbox_load() == [
            row(1),
            row(2, payload=b"{2}"),
            row(3),
            row(4, run=4),
            row(5, payload=b"{5}"),
        ]


class DeadLetterSuite(_Opened):
    """Messages that were given up."""

    async def test_they_are_kept_with_their_cause_and_can_be_sent_again(
        self, storage: Storage
    ) -> None:
        await storage.outbox_append([row(1), row(2), row(3)])
        await storage.outbox_bury(row(2, attempts=3, run=4), "InternalError: no", GIVEN_UP)
        assert await storage.outbox_load() == [row(1), row(3)]
        assert await storage.queue_size() == QueueSize(2, 1)
        assert await storage.outbox_dead_letters() == [
            DeadLetter(row(2, attempts=3, run=4), "InternalError: no", GIVEN_UP)
        ]

        assert await storage.outbox_requeue([2, 1, 99]) == [row(2, run=4)]
        assert await storage.outbox_load() == [row(1), row(2, run=4), row(3)]
        assert await storage.outbox_dead_letters() == []
        assert await storage.outbox_requeue([2]) == []

    async def test_some_of_them_are_sent_again_and_the_others_stay(self, storage: Storage) -> None:
        await storage.outbox_append([row(1, attempts=2)])
        letters = [row(number, attempts=3) for number in (2, 5, 7, 8)]
        for letter in letters:
            await storage.outbox_bury(letter, "no", GIVEN_UP)
        found = await storage.outbox_requeue([8, 2, 1])
        assert found == [row(2), row(8)]
        assert await storage.outbox_load() == [row(1, attempts=2), row(2), row(8)]
        assert await storage.outbox_dead_letters() == [
            DeadLetter(row(number, attempts=3), "no", GIVEN_UP) for number in (5, 7)
        ]

    async def test_a_message_that_was_never_stored(self, storage: Storage) -> None:
        await storage.outbox_bury(row(7), "no", GIVEN_UP)
        # It may be said twice, when nobody knows whether it was done.
        await storage.outbox_bury(row(7), "no", GIVEN_UP)
        assert await storage.outbox_dead_letters() == [DeadLetter(row(7), "no", GIVEN_UP)]
        assert await storage.outbox_load() == []

    async def test_they_are_loaded_in_pages(self, storage: Storage) -> None:
        for number in (5, 3, 9, 7):
            # A clock may go back meanwhile.
            await storage.outbox_bury(row(number), "no", f"202{9 - number}-01-01T00:00:00Z")
        found = await storage.outbox_dead_letters(3, 2)
        assert [letter.row.row_id for letter in found] == [5, 7]
        found = await storage.outbox_dead_letters(7)
        assert [letter.row.row_id for letter in found] == [9]

    async def test_the_id_of_a_dead_letter_is_not_used_again(self, storage: Storage) -> None:
        await storage.outbox_append([row(5)])
        await storage.outbox_bury(row(5), "no", GIVEN_UP)
        assert await storage.outbox_last_row_id() == 5
        await storage.outbox_append([row(6)])
        assert await storage.outbox_last_row_id() == 6

    async def test_they_are_discarded_for_good(self, storage: Storage) -> None:
        await storage.outbox_append([row(1)])
        await storage.outbox_bury(row(2), "no", GIVEN_UP)
        await storage.outbox_bury(row(3), "no", GIVEN_UP)
        await storage.outbox_discard([1, 2, 99])
        (letter,) = await storage.outbox_dead_letters()
        assert letter.row == row(3)
        assert await storage.outbox_load() == [row(1)]


class ReadingSuite(_Opened):
    """Meter readings of running transactions."""

    async def test_readings_come_back_in_their_order(self, storage: Storage) -> None:
        await storage.readings_append([reading(2), reading(1), reading(5, "tx-0")])
        await storage.readings_append([reading(3)])
        await storage.readings_append([])
        assert await storage.readings_load() == [
            reading(5, "tx-0"),
            reading(1),
            reading(2),
            reading(3),
        ]

    async def test_a_reading_is_replaced(self, storage: Storage) -> None:
        await storage.readings_append([reading(1), reading(2)])
        await storage.readings_append([ReadingRow("tx-1", 2, b"new")])
        assert await storage.readings_load() == [reading(1), ReadingRow("tx-1", 2, b"new")]

    async def test_readings_go_with_their_transaction(self, storage: Storage) -> None:
        await storage.readings_append([reading(1, name) for name in ("a", "b", "c", "A")])
        await storage.readings_remove(["a", "c", "d"])
        await storage.readings_remove([])
        assert await storage.readings_load() == [reading(1, "A"), reading(1, "b")]

    async def test_every_second_reading_after_the_first_is_thinned_out(
        self, storage: Storage
    ) -> None:
        """E06.FR.13"""
        await storage.readings_append([reading(number) for number in (1, 4, 5, 6, 9, 10)])
        others = [reading(number, "tx-2") for number in (1, 4, 5, 6)]
        await storage.readings_append(others)
        await storage.readings_thin("tx-1")
        assert await storage.readings_load() == [
            *(reading(number) for number in (1, 5, 9)),
            *others,
        ]


class ComponentSuite(_Opened):
    """Components as they were defined last."""

    async def test_components_come_back_as_stored_in_the_order_of_their_keys(
        self, storage: Storage
    ) -> None:
        rows = [
            component("EVSE", evse=10),
            component("Connector", evse=2, connector=1),
            component("EVSE", evse=2),
            component("connectedEV", evse=1),
            ComponentRow("Display", "ä", 0, 0, '{"name":"Display","text":"ä\\u0000\\"\\n"}'),
        ]
        await storage.components_store(rows)
        assert await storage.components_load() == [rows[3], rows[1], rows[4], rows[2], rows[0]]

    async def test_a_component_is_the_same_in_whatever_case(self, storage: Storage) -> None:
        await storage.components_store([component("txctrlr"), component("EVSE", evse=1)])
        later = ComponentRow("TxCtrlr", "", 0, 0, '{"name":"TxCtrlr","properties":{"a":{}}}')
        await storage.components_store([later])
        assert await storage.components_load() == [component("EVSE", evse=1), later]

    async def test_each_part_of_the_key_makes_another_component(self, storage: Storage) -> None:
        rows = [
            component("A"),
            component("A", evse=1),
            component("A", evse=1, connector=1),
            component("A", "x"),
            component("B"),
        ]
        await storage.components_store(rows)
        assert await storage.components_load() == rows

    async def test_of_rows_with_one_key_the_last_one_counts(self, storage: Storage) -> None:
        first, last = component("A"), ComponentRow("a", "", 0, 0, "{}")
        await storage.components_store([first, component("B"), last])
        assert await storage.components_load() == [last, component("B")]

    async def test_any_number_of_components(self, storage: Storage) -> None:
        rows = [component("EVSE", evse=evse) for evse in range(1, 2_502)]
        await storage.components_store([])
        await storage.components_store(rows)
        await storage.components_store(rows)
        assert await storage.components_load() == rows
        await storage.components_remove(row.key for row in rows[1:])
        assert await storage.components_load() == rows[:1]

    async def test_a_component_stored_again_keeps_its_values_and_monitors(
        self, storage: Storage
    ) -> None:
        await storage.components_store([component("EVSE", evse=1)])
        await storage.values_store([value("5", component="EVSE", evse=1)])
        await storage.monitors_store([monitor(3)])
        await storage.components_store([ComponentRow("EVSE", "", 1, 0, "{}")])
        assert await storage.values_load() == [value("5", component="EVSE", evse=1)]
        assert await storage.monitors_load() == [monitor(3)]

    async def test_a_removed_component_takes_its_values_and_monitors_with_it(
        self, storage: Storage
    ) -> None:
        first, second = component("EVSE", evse=1), component("EVSE", evse=2)
        await storage.components_store([first, second])
        await storage.values_store(
            [
                value("1", component="evse", evse=1),
                value("2", component="EVSE", evse=2),
                value("3", component="Lost"),
            ]
        )
        await storage.monitors_store([monitor(1, name="EvsE"), monitor(2, evse=2)])
        await storage.components_remove([("evse", "", 1, 0), ("Lost", "", 0, 0), ("X", "", 0, 0)])
        await storage.components_remove([])
        assert await storage.components_load() == [second]
        assert sorted(row[7] or "" for row in await storage.values_load()) == ["2", "3"]
        assert await storage.monitors_load() == [monitor(2, evse=2)]


class ValueSuite(_Opened):
    """Values that were set at run time."""

    async def test_values_come_back_as_stored(self, storage: Storage) -> None:
        rows = [
            value("ä\x00\n 'x'", source="the integrator's own"),
            value(None, variable="Lost"),
            value("", variable="Empty"),
            value("x" * 2_500, variable="Long"),
            ("EVSE", "i", 3, 2, "Power", "j", "MaxSet", "22000.0", "internal"),
        ]
        await storage.values_store(rows)
        assert set(await storage.values_load()) == set(rows)

    async def test_each_part_of_the_key_makes_another_value(self, storage: Storage) -> None:
        rows = [
            ("A", "", 0, 0, "V", "", "Actual", "0", "csms"),
            ("B", "", 0, 0, "V", "", "Actual", "1", "csms"),
            ("A", "x", 0, 0, "V", "", "Actual", "2", "csms"),
            ("A", "", 1, 0, "V", "", "Actual", "3", "csms"),
            ("A", "", 0, 1, "V", "", "Actual", "4", "csms"),
            ("A", "", 0, 0, "W", "", "Actual", "5", "csms"),
            ("A", "", 0, 0, "V", "x", "Actual", "6", "csms"),
            ("A", "", 0, 0, "V", "", "Target", "7", "csms"),
        ]
        await storage.values_store(rows)
        assert set(await storage.values_load()) == set(rows)
        await storage.values_remove([row[:7] for row in rows[1:]])
        assert await storage.values_load() == rows[:1]

    async def test_a_value_is_replaced_with_its_source(self, storage: Storage) -> None:
        await storage.values_store([value("30"), value("1", variable="ChargingTime")])
        await storage.values_store([value("60", source="internal")])
        assert set(await storage.values_load()) == {
            value("60", source="internal"),
            value("1", variable="ChargingTime"),
        }

    async def test_a_key_is_the_same_in_whatever_case(self, storage: Storage) -> None:
        await storage.values_store([("TxCtrlr", "aB", 0, 0, "Variable", "Cd", "Actual", "1", "a")])
        await storage.values_store([("TXCTRLR", "Ab", 0, 0, "VARIABLE", "cD", "Actual", "2", "b")])
        ((*key, text, source),) = await storage.values_load()
        assert ".".join(map(str, key)).lower() == "txctrlr.ab.0.0.variable.cd.actual"
        assert (text, source) == ("2", "b")
        await storage.values_remove([("txctrlr", "AB", 0, 0, "variable", "CD", "Actual")])
        assert await storage.values_load() == []

    async def test_of_rows_with_one_key_the_last_one_counts(self, storage: Storage) -> None:
        await storage.values_store([value("1"), value("2", variable="Other"), value("3")])
        assert set(await storage.values_load()) == {value("2", variable="Other"), value("3")}

    async def test_any_number_of_values(self, storage: Storage) -> None:
        rows = [value(str(evse), component="EVSE", evse=evse) for evse in range(1, 2_502)]
        await storage.values_store([])
        await storage.values_store(rows)
        await storage.values_store(rows)
        assert sorted(await storage.values_load()) == sorted(rows)

    async def test_a_value_needs_no_component(self, storage: Storage) -> None:
        await storage.values_store([value("1", component="Nowhere")])
        assert await storage.values_load() == [value("1", component="Nowhere")]

    async def test_removed_values_are_gone_and_unknown_keys_do_not_matter(
        self, storage: Storage
    ) -> None:
        await storage.values_store([value("1"), value("2", variable="Other")])
        await storage.values_remove([value("1")[:7], value("1", evse=3)[:7]])
        await storage.values_remove([])
        assert await storage.values_load() == [value("2", variable="Other")]

    async def test_verbs_that_are_not_waited_for_happen_in_their_order(
        self, storage: Storage
    ) -> None:
        pending = [storage.values_store([value(str(number))]) for number in range(10)]
        for each in pending:
            await each
        assert await storage.values_load() == [value("9")]


class MonitorSuite(_Opened):
    """Variable monitors."""

    async def test_monitors_come_back_as_stored_in_the_order_of_their_ids(
        self, storage: Storage
    ) -> None:
        odd = MonitorRow(
            2**31 - 1, "A", "i", 3, 2, "V", "j", "Periodic", 1 / 3, 9, False, "Preconfigured", True
        )
        await storage.monitors_store([odd, monitor(7)])
        # Whoever stores them may give negative ids a meaning of its own.
        await storage.monitors_store([monitor(-7)])
        found = await storage.monitors_load()
        assert found == [monitor(-7), monitor(7), odd]
        assert [type(part) for part in found[2]] == [type(part) for part in odd]

    async def test_a_monitor_is_replaced_as_a_whole(self, storage: Storage) -> None:
        await storage.monitors_store([monitor(1), monitor(2)])
        other = MonitorRow(
            1, "B", "k", 5, 6, "W", "l", "Delta", -1e300, 0, False, "HardWired", True
        )
        await storage.monitors_store([monitor(1, limit=1), other])
        assert await storage.monitors_load() == [other, monitor(2)]

    async def test_removed_monitors_are_gone_and_unknown_ids_do_not_matter(
        self, storage: Storage
    ) -> None:
        await storage.monitors_store([monitor(1), monitor(2), monitor(3)])
        await storage.monitors_remove([1, 3, 99])
        await storage.monitors_remove([])
        assert await storage.monitors_load() == [monitor(2)]

    async def test_any_number_of_monitors(self, storage: Storage) -> None:
        rows = [monitor(number) for number in range(1, 2_502)]
        await storage.monitors_store([])
        await storage.monitors_store(rows)
        assert await storage.monitors_load() == rows


class StateSuite(_Opened):
    """Small facts of blocks."""

    async def test_facts_come_back_as_stored(self, storage: Storage) -> None:
        facts = {"a.b": "ä\x00\n 'x'", "a.B": "", "long": "x" * 20_000}
        await storage.state_store(facts)
        assert await storage.state_load() == facts

    async def test_facts_are_replaced_and_forgotten_together(self, storage: Storage) -> None:
        await storage.state_store({"a.a": "1", "a.b": "2", "a.c": "3"})
        await storage.state_store({"a.a": None, "a.b": "4", "a.d": "5", "a.e": None})
        assert await storage.state_load() == {"a.b": "4", "a.c": "3", "a.d": "5"}
        await storage.state_store({"a.b": None, "a.c": None})
        await storage.state_store({})
        assert await storage.state_load() == {"a.d": "5"}

    async def test_what_was_loaded_is_the_callers(self, storage: Storage) -> None:
        await storage.state_store({"a.a": "1"})
        (await storage.state_load()).clear()
        assert await storage.state_load() == {"a.a": "1"}

    async def test_facts_that_are_not_waited_for_are_stored_in_their_order(
        self, storage: Storage
    ) -> None:
        pending = [storage.state_store({"a.a": str(number)}) for number in range(10)]
        for each in pending:
            await each
        assert await storage.state_load() == {"a.a": "9"}


class SecurityLogSuite(_Opened):
    """The rolling log of security events."""

    async def test_rows_come_back_in_their_order(self, storage: Storage) -> None:
        rows = [logged(3), logged(1, "ä\x00"), logged(2)._replace(critical=False)]
        await storage.security_log_append(rows[:2])
        await storage.security_log_append(rows[2:])
        await storage.security_log_append([])
        found = await storage.security_log_load(10)
        assert found == rows
        assert [type(part) for part in found[2]] == [type(part) for part in rows[2]]

    async def test_the_last_rows_can_be_had(self, storage: Storage) -> None:
        rows = [logged(number) for number in range(5)]
        await storage.security_log_append(rows)
        assert await storage.security_log_load(2) == rows[3:]
        assert await storage.security_log_load(0) == []
        assert await storage.security_log_load(-1) == []

    async def test_the_oldest_rows_are_dropped(self, storage: Storage) -> None:
        """A04.FR.04: the log rolls."""
        rows = [logged(number) for number in range(MAX_SECURITY_LOG_ROWS + 1_500)]
        await storage.security_log_append(rows[:MAX_SECURITY_LOG_ROWS])
        assert await storage.security_log_load(100_000) == rows[:MAX_SECURITY_LOG_ROWS]
        await storage.security_log_append(rows[MAX_SECURITY_LOG_ROWS:])
        assert await storage.security_log_load(100_000) == rows[1_500:]
        await storage.security_log_append([logged(0)])
        assert await storage.security_log_load(100_000) == [*rows[1_501:], logged(0)]


class StorageSuite(
    LifeSuite,
    OutboxSuite,
    DeadLetterSuite,
    ReadingSuite,
    ComponentSuite,
    ValueSuite,
    MonitorSuite,
    StateSuite,
    SecurityLogSuite,
):
    """All of it."""
