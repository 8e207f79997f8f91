"""What has to be true after a power cut and the restarts behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from crash.history import Event, History
from crash.site import CHECKPOINT_WH, SAMPLE_S, World
from ocpp_fast.config import OnRestart

SAMPLE_WH = 11_000.0 / 3_600.0 * SAMPLE_S
"""What flows from one reading of the meter to the next."""
ROUNDING_WH = 0.2
BEGUN = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=5)
"""When the scenarios take place, and a little before."""
KEPT_AFTER = timedelta(seconds=SAMPLE_S + 1)
"""How long after it was taken a reading for the Ended event is durable."""
_REGISTER = "Energy.Active.Import.Register"
_FACTS_OF_A_TRANSACTION = ("transaction.", "session.")

Values = Mapping[tuple[Any, ...], str | None]
"""Those of the device model that were set at run time, by their keys in the storage."""
Name = tuple[str, int]
"""Of an event: transactionId and seqNo."""
Roots = set[tuple[str, int]]
"""Installed certificates, by what they are used for and their serial number."""


@dataclass(slots=True)
class Life:
    """What a station did after a restart, and what it has left."""

    calls: Sequence[str]
    """The actions of all its CALLs."""
    events: Sequence[Event]
    facts: Mapping[str, str]
    names: AbstractSet[str]
    """Of all facts that it has found or left."""
    prefixes: tuple[str, ...]
    """Of the facts that somebody restores."""
    values: Values
    roots: Roots
    set_aside: str | None
    running: list[int]
    """EVSEs that have a transaction at its end, though everything was stopped."""
    waiting: int
    """Messages that were not delivered, though the CSMS has answered everything."""
    passwords: list[str | None]
    """Those it has dialled with."""
    world: World
    """At its end."""


# --- transactions ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Transaction:
    """One, as the CSMS puts it together."""

    number: str
    events: dict[int, Event] = field(default_factory=dict[int, Event])
    """By seqNo, in the order of their first arrival."""

    @property
    def evse(self) -> int | None:
        found = [event["evse"]["id"] for event in self.events.values() if "evse" in event]
        return found[0] if found else None

    @property
    def last(self) -> Event:
        return self.events[max(self.events)]

    def wrong(self, dropped: AbstractSet[Name]) -> Iterator[str]:
        """What a whole transaction would not have; some of its events may have been dropped."""
        order = list(self.events)
        if order != sorted(order):
            yield f"{self.number}: arrived in the order {order}"
        missing = {(self.number, number) for number in {*range(max(order))} - {*order}}
        if missing - dropped:
            yield f"{self.number}: a gap among {sorted(order)}"
        kinds = [self.events[number]["eventType"] for number in sorted(order)]
        if kinds[0] != "Started" or kinds[-1] != "Ended" or {*kinds[1:-1]} - {"Updated"}:
            yield f"{self.number}: {kinds}"
        times = [self.events[number]["timestamp"] for number in sorted(order)]
        if times != sorted(times):
            yield f"{self.number}: time runs backwards: {times}"
        energies = [
            energy for number in sorted(order) if (energy := energy_wh(self.events[number]))
        ]
        if energies != sorted(energies):
            yield f"{self.number}: energy runs backwards: {energies}"


def energy_wh(event: Event) -> float | None:
    """The last reading of the register that an event tells."""
    found = [
        sample["value"]
        for reading in event.get("meterValue", ())
        for sample in reading["sampledValue"]
        if sample.get("measurand", _REGISTER) == _REGISTER
    ]
    return found[-1] if found else None


def put_together(events: Sequence[Event]) -> tuple[dict[str, Transaction], list[str]]:
    """The transactions by their ids; and what was said twice, but not in the same way."""
    found: dict[str, Transaction] = {}
    wrong: list[str] = []
    for event in events:
        number, seq_no = _name_of(event)
        transaction = found.setdefault(number, Transaction(number))
        if not _same(transaction.events.setdefault(seq_no, event), event):
            wrong.append(f"{number}: seqNo {seq_no} is used twice")
    return found, wrong


def _same(one: Event, other: Event) -> bool:
    """But for what may change between two attempts: the link was lost (E11.FR.07), or the CSMS now
    speaks 2.0.1, which has no TxResumed."""
    return _plain(one) == _plain(other)


def _plain(event: Event) -> dict[str, Any]:
    trigger = event["triggerReason"]
    return {
        **event,
        "offline": None,
        "triggerReason": "ChargingStateChanged" if trigger == "TxResumed" else trigger,
    }


def transactions(
    told: Sequence[Event],
    heard: Sequence[Event],
    lives: Sequence[Life],
    *,
    being_stored: Iterable[Event],
    is_full: bool,
    is_redated: bool,
) -> Iterator[str]:
    """Each exactly once, from Started to Ended, whatever had been told or stored. `is_full`: there
    were so many messages that some could be dropped (E04.FR.07), those that were `being_stored` as
    well; `is_redated`: the station had not known the time."""
    found, wrong = put_together([*heard, *(event for life in lives for event in life.events)])
    yield from wrong
    stored = (*told, *being_stored)
    dropped = {_name_of(event) for event in stored if is_full and _is_droppable(event)}
    for transaction in found.values():
        yield from transaction.wrong(dropped)
    for event in told:
        number, seq_no = _name_of(event)
        arrived = found[number].events.get(seq_no) if number in found else None
        if arrived is None and (number, seq_no) in dropped:
            continue
        seen = _timeless if is_redated else dict
        if arrived is None or not _same(seen(arrived), seen(event)):
            yield f"{number}: {event['eventType']}, seqNo {seq_no}, was stored, then lost"


def _timeless(event: Any) -> Any:
    """Without the times in it."""
    if isinstance(event, list):
        return [_timeless(each) for each in event]
    if isinstance(event, dict):
        return {name: _timeless(each) for name, each in event.items() if name != "timestamp"}
    return event


def _is_droppable(event: Event) -> bool:
    return event["eventType"] == "Updated" and event["triggerReason"] == "MeterValuePeriodic"


def _name_of(event: Event) -> Name:
    return event["transactionInfo"]["transactionId"], event["seqNo"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What was to become of the transactions that were running."""

    policy: OnRestart
    cars_stay: bool
    endings: Mapping[str, Event]
    """How each would have ended without a power cut, by its transactionId."""
    is_redated: bool
    """Whether the station had not known the time."""


def closing(history: History, heard: Sequence[Event], first: Life, intent: Intent) -> Iterator[str]:
    """Those that were running: resumed or ended as it was to be, with the energy that was durable.

    What was about to end for another reason may say that instead.
    """
    world = history.world
    assert world is not None
    before, _ = put_together([*history.told, *heard])
    after, _ = put_together([*history.told, *heard, *first.events])
    for number, transaction in after.items():
        if number not in before or before[number].last["eventType"] == "Ended":
            continue
        ended, evse = transaction.last, transaction.evse
        if ended["eventType"] != "Ended" or evse is None:
            continue  # found by others
        energy = energy_wh(ended)
        most = max(world.meters_wh[evse], first.world.meters_wh[evse])
        least = world.meters_wh[evse] - CHECKPOINT_WH - SAMPLE_WH - ROUNDING_WH
        if energy is None:
            yield f"{number}: Ended tells no energy"
        elif not least <= energy <= most + ROUNDING_WH:
            yield f"{number}: Ended tells {energy} Wh, not {least} to {most}"
        expected = intent.endings.get(number)
        if expected is not None and not intent.is_redated:
            yield from _lost_readings(number, ended, expected, world.now - KEPT_AFTER)
        if expected is not None and _cause(ended) == _cause(expected):
            continue
        was_closed = _cause(ended) == ("AbnormalCondition", "PowerLoss")
        if intent.policy is OnRestart.CLOSE and not was_closed:
            yield f"{number}: was closed for {_cause(ended)}"
        stays = intent.cars_stay and evse in world.cars
        if intent.policy is OnRestart.RESUME and was_closed and stays:
            yield f"{number}: was not resumed"


def _lost_readings(number: str, ended: Event, expected: Event, until: datetime) -> Iterator[str]:
    """J02: what was kept for Ended is durable soon."""
    there = [_without_end(reading) for reading in ended["meterValue"]]
    for reading in expected["meterValue"]:
        if (
            datetime.fromisoformat(reading["timestamp"]) < until
            and (samples := _without_end(reading))["sampledValue"]
            and samples not in there
        ):
            yield f"{number}: Ended has lost the reading of {reading['timestamp']}"


def _without_end(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Without the one that is taken when it ends, which is another after a power cut."""
    samples = [one for one in reading["sampledValue"] if one.get("context") != "Transaction.End"]
    return {**reading, "sampledValue": samples}


def _cause(ended: Event) -> tuple[str, str | None]:
    return ended["triggerReason"], ended["transactionInfo"].get("stoppedReason")


def beginning(history: History, first: Life) -> Iterator[str]:
    """B01.FR.08: the boot comes before all else. E11.FR.07: what waited for a link is offline."""
    assert history.world is not None
    if first.calls[0] != "BootNotification":
        yield f"the first CALL is {first.calls[0]}"
    for event in first.events:
        time = datetime.fromisoformat(event["timestamp"])
        if not BEGUN <= time <= first.world.now:
            yield f"{_name_of(event)}: it was not {time} yet, or no more"
        waited = time <= history.world.now
        if waited and not event.get("offline"):
            number = event["transactionInfo"]["transactionId"]
            yield f"{number}: seqNo {event['seqNo']} is from before the power cut and not offline"


def remote_starts(events: Sequence[Event]) -> Iterator[str]:
    """F01.FR.25, F02.FR.21: a transaction that the CSMS has started tells which start it was."""
    found, _ = put_together(events)
    for number, transaction in found.items():
        told = [
            event["transactionInfo"]["remoteStartId"]
            for event in transaction.events.values()
            if "remoteStartId" in event["transactionInfo"]
        ]
        tokens = [e["idToken"]["idToken"] for e in transaction.events.values() if "idToken" in e]
        wanted = [int(token[-1]) for token in tokens if token.startswith("REMOTE")][:1]
        if told != wanted:
            yield f"{number}: tells the remote starts {told}, not {wanted}"


def leftovers(first: Life, second: Life) -> Iterator[str]:
    """What must not be left after one restart, or after another one."""
    for name, life in (("first", first), ("second", second)):
        if life.set_aside is not None:
            yield f"the {name} start has found the storage damaged"
        if life.running:
            yield f"EVSEs {life.running} have a transaction after the {name} start"
        if life.waiting:
            yield f"{life.waiting} messages still wait after the {name} start"
        for fact in sorted(life.names):
            if not fact.startswith(life.prefixes):
                yield f"nobody restores the fact {fact}"
        for fact in life.facts:
            if fact.startswith(_FACTS_OF_A_TRANSACTION):
                yield f"the fact {fact} is left after the {name} start"
    if second.events:
        yield f"the second start has recovered something: {second.events}"


# --- configuration --------------------------------------------------------------------------------


def possible(asked: Sequence[tuple[Any, bool]], before: Any) -> list[Any]:
    """What may be in force: of (value, answered) the last one that was answered, or a later one."""
    answered = [place for place, (_, done) in enumerate(asked) if done]
    if not answered:
        return [before, *(value for value, _ in asked)]
    return [value for value, _ in asked[answered[-1] :]]


def variables(history: History, life: Life, names: Sequence[str]) -> Iterator[str]:
    """B05: what one request has set is there as a whole or not at all."""
    requests = [
        ({_name(item): item["attributeValue"] for item in asked.payload["setVariableData"]}, asked)
        for asked in history.requests("SetVariables")
    ]
    wanted = [(data, asked.answer is not None) for data, asked in requests if names[0] in data]
    found = {f"{key[0]}.{key[4]}": value for key, value in life.values.items()}
    now = {name: found.get(name) for name in names}
    if now not in possible(wanted, dict.fromkeys(names)):
        yield f"the variables are {now}"


def _name(item: Mapping[str, Any]) -> str:
    return f"{item['component']['name']}.{item['variable']['name']}"


def password(history: History, life: Life, before: str) -> Iterator[str]:
    """A01: the first dial is made with the one that is in force."""
    wanted = [
        (item["attributeValue"], asked.answer is not None)
        for asked in history.requests("SetVariables")
        for item in asked.payload["setVariableData"]
        if _name(item) == "SecurityCtrlr.BasicAuthPassword"
    ]
    if life.passwords[0] not in possible(wanted, before):
        yield "it dials with the wrong password"


def network_slot(history: History, life: Life, slot: int) -> Iterator[str]:
    """B09: a slot is stored as a whole."""
    wanted: list[tuple[Any, bool]] = [
        (
            {"OcppCsmsUrl": data["ocppCsmsUrl"], "SecurityProfile": str(data["securityProfile"])},
            done,
        )
        for asked in history.requests("SetNetworkProfile")
        for data, done in [(asked.payload["connectionData"], asked.answer is not None)]
    ]
    found = {
        key[4]: value
        for key, value in life.values.items()
        if key[:2] == ("NetworkConfiguration", str(slot))
        and key[4] in {"OcppCsmsUrl", "SecurityProfile"}
    }
    if found not in possible(wanted, {}):
        yield f"slot {slot} is {found}"


def roots(history: History, life: Life) -> Iterator[str]:
    """M04, M05: each certificate is there or not, as the CSMS was told."""
    wanted: dict[tuple[str, int], list[tuple[bool, bool]]] = {}
    for asked in history.asked.values():
        done = asked.answer is not None
        if asked.action == "InstallCertificate":
            serial = x509.load_pem_x509_certificate(
                asked.payload["certificate"].encode()
            ).serial_number
            wanted.setdefault((asked.payload["certificateType"], serial), []).append((True, done))
        elif asked.action == "DeleteCertificate":
            serial = int(asked.payload["certificateHashData"]["serialNumber"], 16)
            for (_, known), steps in wanted.items():
                if known == serial:
                    steps.append((False, done))
    for key, steps in wanted.items():
        if (key in life.roots) not in possible(steps, before=False):
            yield f"certificate {key} is {'there' if key in life.roots else 'not there'}"
    if unknown := life.roots - wanted.keys():
        yield f"nobody has installed {unknown}"
