"""Any sequence of changes of a certificate store, by the station and by others, with restarts."""

import os
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import hash_data, parse_chain, to_pem
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.store import CertificateStore, LeafUse, Removal, RootUse
from unit.security.kit import CA, PKI, StandingClock, certificate

CLOCK = StandingClock()
AUTHORITY = CertificateAuthority(PKI.csms_ca, CLOCK)
SUBJECT = Subject(common_name="CS001", organization="Org")


def _successors() -> list[x509.Certificate]:
    made = [certificate("R0", extensions=(CA,))]
    for number in range(1, 5):
        made.append(certificate(f"R{number}", made[-1], extensions=(CA,)))
    return [each for each, _ in made]


ROOTS = [certificate(f"root {number}", extensions=(CA,))[0] for number in range(5)]
LINE = _successors()
STEPS = st.tuples(st.integers(0, 4), st.sampled_from(["install", "connect", "restart"]))
USES = st.sampled_from(list(RootUse))
PLACES = st.integers(0, 4)


class Store(RuleBasedStateMachine):
    """The store beside a model of it that knows nothing of files."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = CertificateStore(self.folder.name, CLOCK)
        self.roots: dict[RootUse, set[x509.Certificate]] = {use: set() for use in RootUse}
        self.active: str | None = None
        self.previous: str | None = None
        self.unproved = False

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(use=USES, place=PLACES)
    def install(self, use: RootUse, place: int) -> None:
        done = self.store.install_root(use, ROOTS[place])
        assert done.replaced == (ROOTS[place] in self.roots[use])
        self.roots[use].add(ROOTS[place])

    @rule(place=PLACES)
    def delete(self, place: int) -> None:
        known = any(ROOTS[place] in each for each in self.roots.values())
        done = self.store.remove(hash_data(ROOTS[place]))
        assert done is (Removal.ACCEPTED if known else Removal.NOT_FOUND)
        for each in self.roots.values():
            each.discard(ROOTS[place])

    @rule(use=USES, place=PLACES)
    def an_operator_adds_a_root(self, use: RootUse, place: int) -> None:
        folder = Path(self.folder.name, use.name.lower())
        folder.mkdir(exist_ok=True)
        (folder / f"operator-{place}.crt").write_text(to_pem(ROOTS[place]))
        self.roots[use].add(ROOTS[place])

    @rule(
        use=USES, content=st.binary(max_size=60), name=st.sampled_from(["a.pem", "b.der", "c.key"])
    )
    def an_operator_adds_a_bad_file(self, use: RootUse, content: bytes, name: str) -> None:
        for folder in (use.name.lower(), "leaves/charging_station"):
            path = Path(self.folder.name, folder)
            path.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)

    @rule()
    def restart(self) -> None:
        self.store = CertificateStore(self.folder.name, CLOCK)

    @rule()
    def renew(self) -> None:
        request = self.store.begin_key(LeafUse.CHARGING_STATION, SUBJECT)
        chain = parse_chain(AUTHORITY.sign(request.csr))
        accepted = self.store.accept_signed(LeafUse.CHARGING_STATION, chain)
        if not self.unproved:
            self.previous = self.active
        self.active, self.unproved = accepted.id, True

    @rule()
    def a_certificate_without_key_is_refused(self) -> None:
        issued = PKI.station("CS001")
        with pytest.raises(CertificateInvalid):
            self.store.accept_signed(LeafUse.CHARGING_STATION, parse_chain(issued.chain_pem))

    @precondition(lambda self: self.active is not None)
    @rule(old=st.booleans())
    def connect(self, *, old: bool) -> None:
        used = self.previous if old and self.previous is not None else self.active
        assert used is not None
        other = {self.active, self.previous} - {used, None} if self.unproved else set()
        gone = self.store.settle(LeafUse.CHARGING_STATION, used)
        assert {each.id for each in gone} == other
        self.active, self.previous, self.unproved = used, None, False

    @invariant()
    def the_roots_are_those_of_the_model(self) -> None:
        for use, roots in self.roots.items():
            found = self.store.roots(use)
            assert len(found) == len(set(found))
            assert set(found) == roots
        assert len(self.store.listed()) == sum(map(len, self.roots.values()))

    @invariant()
    def there_is_always_a_certificate_to_connect_with(self) -> None:
        used = self.store.client_chain()
        assert (used.id if used else None) == self.active
        old = self.store.client_chain(old=True)
        assert (old.id if old else None) == (self.previous if self.unproved else None)
        for each in (used, old):
            if each is not None:
                assert Path(each.key_file).exists()
                assert self.store.has_key(each.chain.leaf)


def test_a_store_is_what_was_put_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """M04.FR.02, M05.FR.02, M05.FR.17, A02.FR.10, A02.FR.28."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    run_state_machine_as_test(Store, settings=settings(max_examples=25, stateful_step_count=20))


@given(steps=st.lists(STEPS, max_size=10))
@settings(max_examples=40)
def test_with_the_additional_check_a_root_that_worked_is_always_there(
    steps: list[tuple[int, str]],
) -> None:
    """M05.FR.09, M05.FR.10, M05.FR.11, M05.FR.12, M05.FR.13: one root counts, one more at most is
    kept, and among them is always the one that the last good connection was made with."""
    real, os.fsync = os.fsync, lambda handle: None
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = CertificateStore(folder, CLOCK)
            store.install_root(RootUse.CSMS, LINE[0])
            current, worked = 0, 0
            for place, step in steps:
                if step == "install":
                    good = place in {current, current + 1}
                    try:
                        store.install_root(RootUse.CSMS, LINE[place], additional_check=True)
                    except CertificateInvalid:
                        assert not good
                    else:
                        assert good
                        current = place
                elif step == "connect":
                    store.settle_roots()
                    worked = current
                else:
                    store = CertificateStore(folder, CLOCK)
                assert store.roots(RootUse.CSMS) == (LINE[current],)
                expected = () if worked == current else (LINE[worked],)
                assert store.fallback_roots() == expected
    finally:
        os.fsync = real
