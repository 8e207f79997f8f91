"""Power cuts at every place of a recording, and the restarts after them."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from crash import disk, verdict
from crash.database_time import databases_in_the_loop
from crash.disk import Disk, Fate, Image
from crash.history import Event, History, is_boundary
from crash.recording import Kind, Op, record, words
from crash.scenarios import CONFIG, CONFIGURED, OLD_PASSWORD, SCENARIOS
from crash.site import CrashSite, Meter, World
from crash.verdict import Life
from ocpp_fast.config import OnRestart
from ocpp_fast.messages import OcppVersion
from ocpp_fast.testing import VirtualClock, run_virtual

SETTLED_S = 10.0
LONG = frozenset({"pressure"})
"""Scenarios in which much the same happens again and again."""
REDATED = frozenset({"wrong_clock"})
"""Scenarios in which the station does not know the time."""
LIFE_S = 7_200.0
"""How long a restarted station may take for all that is wanted of it."""
OUTAGES_S = (3.0, 90.0, 7_200.0)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the power fails, and what is left."""

    op: int
    """How many records have happened."""
    fate: Fate


@dataclass(slots=True)
class Circumstances:
    """What a restart depends on beside the disk."""

    policy: OnRestart
    cars_stay: bool
    meter: Meter
    knows_time: bool
    """Whether the clock of the station's computer has lived through it."""
    other_version: bool
    """Whether the CSMS speaks the other OCPP version from now on."""
    last_heard: bool
    """Whether a message that was on its way has arrived."""
    outage_s: float
    charges_again: bool

    @classmethod
    def drawn(cls, chance: Random) -> Circumstances:
        return cls(
            policy=chance.choice([*OnRestart]),
            cars_stay=chance.random() < 0.6,
            meter=chance.choice([*Meter]),
            knows_time=chance.random() < 0.7,
            other_version=chance.random() < 0.2,
            last_heard=chance.random() < 0.5,
            outage_s=chance.choice(OUTAGES_S),
            charges_again=chance.random() < 0.3,
        )


# --- recordings -----------------------------------------------------------------------------------

# Copied into the database again and again, as a database is that is in use for days.
PRAGMAS = ("wal_autocheckpoint=20",)


def recordings(
    library: Path,
    folder: Path,
    version: OcppVersion,
    names: Sequence[str] = tuple(SCENARIOS),
    pragmas: Sequence[str] = PRAGMAS,
) -> dict[str, Sequence[Op]]:
    """The scenarios, each played once, in one process."""
    root = folder / f"recorded-{version}"
    arguments = ["-m", "crash.scenarios", str(root), version.value, ",".join(pragmas), *names]
    ops = record(arguments, library, root, folder / f"log-{version}")
    left = disk.found(root)
    shutil.rmtree(root)
    if _whole(ops) != left:
        raise AssertionError("the recording is not whole: something else is on the disk")
    starts = [
        (number, words(op)["name"])
        for number, op in enumerate(ops)
        if op.kind is Kind.MARK and words(op)["is"] == "scenario"
    ]
    ends = [*(number for number, _ in starts[1:]), len(ops)]
    return {name: ops[start:end] for (start, name), end in zip(starts, ends, strict=True)}


def _whole(ops: Sequence[Op]) -> Image:
    made = Disk()
    for op in ops:
        made.apply(op)
    return made.image(Fate.KEPT, Random(0))


# --- where to cut ---------------------------------------------------------------------------------


def candidates(ops: Sequence[Op]) -> tuple[list[Cut], list[Cut]]:
    """All cuts around what makes something last and at the boundaries of frames; and, which are
    more and tell less, those at other writes."""
    telling: list[Cut] = []
    others: list[Cut] = []
    alive = False
    for number, op in enumerate(ops):
        if op.kind is Kind.MARK:
            kind = words(op)["is"]
            alive = kind != "end" and (alive or kind == "life")
            if alive and is_boundary(op):
                telling += [Cut(number + 1, Fate.DROPPED), Cut(number + 1, Fate.KEPT)]
        elif alive and op.is_durable:
            telling += [Cut(number, fate) for fate in Fate]
            telling.append(Cut(number + 1, Fate.DROPPED))
        elif alive:
            others += [Cut(number, fate) for fate in Fate]
    return telling, others


def chosen(ops: Sequence[Op], chance: Random, count: int | None) -> list[Cut]:
    """At most so many cuts, most of them at the telling places; for None all of these and a quarter
    of the others."""
    telling, others = candidates(ops)
    if count is None:
        most, rest = len(telling), len(others) // 4
    else:
        most = min(len(telling), count * 5 // 6)
        rest = min(len(others), count - most)
    return sorted(
        {*chance.sample(telling, most), *chance.sample(others, rest)}, key=lambda cut: cut.op
    )


def images(
    ops: Sequence[Op], cuts: Sequence[Cut], seed: str
) -> Iterator[tuple[Cut, Image, History]]:
    """What each cut leaves, and what had happened before; cuts in the order of their places."""
    made, history, done = Disk(), History(), 0
    for cut in cuts:
        for op in ops[done : cut.op]:
            made.apply(op)
            if op.kind is Kind.MARK:
                history.add(op)
                if words(op)["is"] == "settled":
                    made.settle()
        done = cut.op
        chance = Random(f"{seed} {cut.op} {cut.fate}")
        yield cut, made.image(cut.fate, chance, history.folder), history


# --- what the next start makes of it --------------------------------------------------------------


class Restarts:
    """The lives of a station after a power cut, each to its end."""

    def __init__(
        self,
        folder: Path,
        version: OcppVersion,
        world: World,
        how: Circumstances,
        config: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        (other,) = {*OcppVersion} - {version}
        self._version = other if how.other_version else version
        self._how = how
        self._config: dict[str, Any] = {**config, "on_restart": how.policy}
        self._world = deepcopy(world)
        if not how.cars_stay:
            self._world.cars = ()
        self._world.now += timedelta(seconds=how.outage_s)
        self._lives = 0

    def live(self, *, driven: bool) -> Life:
        """One life; `driven`: what runs is stopped, and something new begun."""
        self._lives += 1

        async def run(clock: VirtualClock) -> Life:
            seed = 1_000 + self._lives
            site = CrashSite(
                clock,
                self._version,
                self._folder,
                seed=seed,
                knows_time=self._how.knows_time,
                **self._config,
            )
            site.live_in(self._world, self._how.meter)
            async with site:
                return await clock.wait_for(self._see(site, driven=driven), LIFE_S)

        with databases_in_the_loop():
            life = run_virtual(run, start=self._world.now)
        self._world = deepcopy(life.world)
        self._world.now += timedelta(seconds=5)
        return life

    async def _see(self, site: CrashSite, *, driven: bool) -> Life:
        assert site.world().cars == self._world.cars
        await site.clock.sleep(SETTLED_S)
        site.mend()
        await site.settle()
        if driven:
            await self._drive(site)
        return await _found(site)

    async def _drive(self, site: CrashSite) -> None:
        await site.end_all()
        for evse, hardware in site.station.hardware.items():
            if hardware.car is not None:
                await site.station.unplug(evse)
        if self._how.charges_again:
            await site.charge(10)
            await site.settle()
        dead = [letter.row.row_id for letter in await site.storage.outbox_dead_letters()]
        await site.station.charge_point.delivery.requeue(dead)
        await site.settle()


async def _found(site: CrashSite) -> Life:
    storage, point = site.storage, site.station.charge_point
    chains = await site.csms.security("CS001").installed_certificates()
    return Life(
        calls=site.calls(),
        events=site.sent("TransactionEvent"),
        facts=await storage.state_load(),
        names=storage.names,
        prefixes=point.restoring.prefixes,
        values={row[:7]: row[7] for row in await storage.values_load()},
        roots={
            (str(chain.certificate_type), int(chain.certificate_hash_data.serial_number, 16))
            for chain in chains
        },
        set_aside=storage.set_aside,
        running=site.running(),
        waiting=point.delivery.waiting,
        passwords=site.passwords,
        world=site.world(),
    )


def _told(ops: Sequence[Op]) -> list[Event]:
    """All events of a recording."""
    marks = (words(op) for op in ops if op.kind is Kind.MARK)
    return [mark["event"] for mark in marks if mark["is"] == "told"]


def _endings(told: Sequence[Event]) -> dict[str, Event]:
    """The Ended event of each transaction."""
    return {
        event["transactionInfo"]["transactionId"]: event
        for event in told
        if event["eventType"] == "Ended"
    }


@dataclass(frozen=True, slots=True)
class Failure:
    """A power cut that has done harm."""

    recording: str
    cut: Cut
    how: Circumstances
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        lines = "\n  ".join(self.wrong)
        return f"{self.recording}, cut at {self.cut.op}, {self.cut.fate}; {self.how}\n  {lines}"


class Sweep:
    """The power cuts of one recording."""

    def __init__(
        self, name: str, version: OcppVersion, ops: Sequence[Op], folder: Path, seed: str
    ) -> None:
        """`folder`: where there is room for the restarts, in memory if possible."""
        self.name, self.version, self.ops = name, version, ops
        self._folder = folder
        self._seed = f"{seed} {name} {version}"
        self._seen: set[bytes] = set()
        self._told = _told(ops)
        self._endings = _endings(self._told)
        self.restarts = 0

    def cuts(self, count: int | None = None) -> list[Cut]:
        """At most so many, or all; of long scenarios a quarter."""
        some = chosen(self.ops, Random(self._seed), count)
        return some[len(some) % 4 :: 4] if self.name in LONG else some

    def run(self, cuts: Sequence[Cut]) -> Iterator[Failure | None]:
        """One for each cut that is not like an earlier one: None when all is well."""
        for cut, image, history in images(self.ops, cuts, self._seed):
            how = Circumstances.drawn(Random(f"{self._seed} {cut} how"))
            if not self._is_new(image, history, how):
                continue
            self.restarts += 1
            try:
                wrong = tuple(self._try(image, history, how))
            except Exception as error:  # whatever it was, the others go on
                wrong = ("".join(traceback.format_exception(error)),)
            yield Failure(f"{self.name} ({self.version})", cut, how, wrong) if wrong else None

    def _is_new(self, image: Image, history: History, how: Circumstances) -> bool:
        what = sha256(repr((history.heard(last=how.last_heard), history.told, how)).encode())
        for path, content in sorted(image.items()):
            what.update(f"{path} {content and len(content)}\n".encode())
            what.update(content or b"")
        is_new = what.digest() not in self._seen
        self._seen.add(what.digest())
        return is_new

    def _being_stored(self, history: History) -> Collection[Event]:
        """Events that may be stored, although nobody had been told so before the cut."""
        following: dict[str, Event] = {}
        for event in self._told[len(history.told) :]:
            following.setdefault(event["transactionInfo"]["transactionId"], event)
        return following.values()

    def _try(self, image: Image, history: History, how: Circumstances) -> Iterator[str]:
        assert history.world is not None
        place = self._folder / "restarted"
        shutil.rmtree(place, ignore_errors=True)
        disk.write(image, place)
        config = CONFIG.get(self.name, {})
        restarts = Restarts(place, self.version, history.world, how, config)
        first, second = restarts.live(driven=True), restarts.live(driven=False)
        heard = history.heard(last=how.last_heard)
        yield from verdict.transactions(
            history.told,
            heard,
            (first, second),
            being_stored=self._being_stored(history),
            is_full="max_queued_messages" in config,
            is_redated=self.name in REDATED,
        )
        fate = verdict.Intent(
            how.policy, how.cars_stay, self._endings, is_redated=self.name in REDATED
        )
        yield from verdict.closing(history, heard, first, fate)
        yield from verdict.beginning(history, first)
        yield from verdict.remote_starts([*heard, *first.events])
        yield from verdict.leftovers(first, second)
        yield from verdict.roots(history, first)
        if self.name == "configure":
            yield from verdict.variables(history, first, list(CONFIGURED))
            yield from verdict.password(history, first, OLD_PASSWORD)
            yield from verdict.network_slot(history, first, 2)
