"""The certificate store: what is installed, listed, deleted and settled."""

import errno
import logging
import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_fast.errors import CertificateInvalid, ConfigurationError, StorageError
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import (
    Chain,
    HashData,
    fingerprint,
    hash_data,
    parse_chain,
    to_pem,
)
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.pki import Issued, KeyKind, Pki
from ocpp_fast.security.store import CertificateStore, LeafChain, LeafUse, Removal, RootUse
from unit.security.kit import CA, DAY, NOW, OTHER, PKI, StandingClock, certificate, chain_of

ROOT = PKI.csms_root.certificate
SUBJECT = Subject(common_name="CS001", organization="Org")
CLOCK = StandingClock()
AUTHORITY = CertificateAuthority(PKI.csms_ca, CLOCK, v2g=PKI.v2g_ca)
STATION, V2G, V2G20 = LeafUse.CHARGING_STATION, LeafUse.V2G, LeafUse.V2G20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about what a disk has forgotten, see test_power_cut.py."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certificates"


@pytest.fixture
def store(folder: Path) -> CertificateStore:
    return CertificateStore(folder, CLOCK)


def signed(store: CertificateStore, use: LeafUse = STATION, **changes: object) -> LeafChain:
    """A certificate for a new key, accepted."""
    name = changes.pop("common_name", "CS001")
    request = store.begin_key(use, Subject(common_name=str(name), organization="Org"))
    chain = parse_chain(AUTHORITY.sign(request.csr, use.value, **changes))
    return store.accept_signed(use, chain)


def drop(folder: Path, name: str, *issued: Issued) -> Path:
    """As an operator would."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(each.pem for each in issued))
    return path


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def again(store: CertificateStore) -> CertificateStore:
    """What the next start of the program finds."""
    assert store.folder is not None
    return CertificateStore(store.folder, CLOCK)


# --- the folder -----------------------------------------------------------------------------------


def test_an_empty_store_touches_no_disk(folder: Path) -> None:
    store = CertificateStore(folder, CLOCK)
    assert store.roots(RootUse.CSMS) == ()
    assert store.client_chain() is None
    assert store.listed() == ()
    assert store.entries() == store.revision == 0
    assert store.settle(STATION, "x") == store.settle_roots() == ()
    assert not store.has_key(ROOT)
    assert store.remove(hash_data(ROOT)) is Removal.NOT_FOUND
    assert not folder.exists()


def test_without_a_folder_a_temporary_one_is_made_when_it_is_needed() -> None:
    store = CertificateStore(None, CLOCK)
    assert store.chains(STATION) == ()
    assert not store.has_key(ROOT)
    store.discard_key("x")
    assert store.folder is None
    store.install_root(RootUse.CSMS, ROOT)
    assert store.folder is not None
    assert mode(store.folder) == 0o700
    assert store.roots(RootUse.CSMS) == (ROOT,)
    assert signed(store).new
    path = Path(store.folder)
    store.close()
    assert not path.exists()
    assert store.roots(RootUse.CSMS) == ()
    other = CertificateStore(None, CLOCK)
    assert signed(other).id
    other.close()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ConfigurationError, match="file is no folder"):
        CertificateStore(path, CLOCK)


def test_close_leaves_a_folder_that_was_given(store: CertificateStore, folder: Path) -> None:
    store.install_root(RootUse.MO, PKI.mo_root.pem)
    store.close()
    assert again(store).roots(RootUse.MO) == (PKI.mo_root.certificate,)
    assert folder.exists()


def test_files_that_an_operator_drops_in_are_read_when_they_change(
    store: CertificateStore, folder: Path
) -> None:
    """Several certificates in a file, PEM and DER, new, replaced and removed."""
    before = store.revision
    bundle = drop(folder, "csms/bundle.pem", PKI.csms_root, OTHER.csms_root)
    assert set(store.roots(RootUse.CSMS)) == {ROOT, OTHER.csms_root.certificate}
    assert (after := store.revision) > before
    assert store.revision == after
    der = folder / "csms/sub.der"
    der.write_bytes(PKI.csms_ca.certificate.public_bytes(Encoding.DER))
    assert PKI.csms_ca.certificate in store.roots(RootUse.CSMS)
    drop(folder, "csms/bundle.pem", OTHER.csms_root)
    assert ROOT not in store.roots(RootUse.CSMS)
    bundle.unlink()
    der.unlink()
    drop(folder, "csms/README.txt", PKI.csms_root)
    drop(folder, "csms/.hidden.pem", PKI.csms_root)
    (folder / "csms/folder.pem").mkdir()
    (folder / "csms/nowhere.pem").symlink_to(folder / "nothing")
    assert store.roots(RootUse.CSMS) == ()
    (folder / "csms/link.pem").symlink_to(drop(folder, "elsewhere.pem", PKI.csms_root))
    assert store.roots(RootUse.CSMS) == (ROOT,)
    shutil.rmtree(folder)
    assert store.roots(RootUse.CSMS) == ()


def test_a_bad_file_is_named_once_and_hides_no_other(
    store: CertificateStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drop(folder, "csms/good.pem", PKI.csms_root)
    bad = folder / "csms/bad.pem"
    bad.write_text("nonsense")
    (folder / "csms/huge.pem").write_bytes(b"x" * 4_194_305)
    half = folder / "csms/half.pem"
    half.write_text(
        OTHER.csms_root.pem + "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    )
    for _ in range(3):
        assert set(store.roots(RootUse.CSMS)) == {ROOT, OTHER.csms_root.certificate}
    assert len(caplog.messages) == 3
    assert any(str(bad) in each and "passed over" in each for each in caplog.messages)
    assert any("certificate 2" in each for each in caplog.messages)
    bad.write_text("other nonsense")
    assert ROOT in store.roots(RootUse.CSMS)
    assert len(caplog.messages) == 4
    drop(folder, "csms/bad.pem", PKI.v2g_root)
    assert PKI.v2g_root.certificate in store.roots(RootUse.CSMS)


def test_a_folder_that_cannot_be_read_for_a_moment_takes_nothing_away(
    store: CertificateStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.install_root(RootUse.CSMS, ROOT)
    assert store.roots(RootUse.CSMS) == (ROOT,)

    def failing(path: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ocpp_fast.security.folder.os.scandir", failing)
    assert store.roots(RootUse.CSMS) == store.roots(RootUse.CSMS) == (ROOT,)
    assert len([each for each in caplog.messages if "csms: cannot be read" in each]) == 1


# --- roots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", list(RootUse))
def test_roots_are_installed_listed_and_survive(store: CertificateStore, use: RootUse) -> None:
    """M05.FR.01, M05.FR.02, M03.FR.03, M03.FR.04."""
    done = store.install_root(use, PKI.csms_root.pem)
    assert done.certificate == ROOT
    assert not done.replaced
    for each in (store, again(store)):
        assert each.roots(use) == (ROOT,)
        assert [(one.certificate_type, one.data) for one in each.listed()] == [
            (use.value, hash_data(ROOT))
        ]
        assert each.listed([use.value]) == each.listed()
        assert each.entries() == 1
    assert store.listed(["V2GCertificateChain"]) == ()
    assert store.folder is not None
    assert all(mode(each) == 0o600 for each in Path(store.folder).rglob("*.pem"))


def test_what_is_no_valid_root_is_refused(store: CertificateStore) -> None:
    """M05.FR.07."""
    for text in (
        "nonsense",
        PKI.csms_root.pem + OTHER.csms_root.pem,
        PKI.station("CS001").pem,
        PKI.root("Old", **PKI.expired()).pem,
    ):
        with pytest.raises(CertificateInvalid):
            store.install_root(RootUse.CSMS, text)
    assert store.folder is not None
    assert not Path(store.folder).exists()


def test_a_root_that_is_there_already_is_replaced(store: CertificateStore, folder: Path) -> None:
    """M05.FR.17; also one that only looks the same to a CSMS: same names, number and key."""
    store.install_root(RootUse.CSMS, ROOT)
    assert store.install_root(RootUse.CSMS, ROOT, limit=1).replaced
    assert store.install_root(RootUse.CSMS, ROOT, limit=1, additional_check=True).replaced
    one, key = certificate("Twin", extensions=(CA,), serial_number=7)
    other, _ = certificate("Twin", key=key, extensions=(CA,), serial_number=7, not_after=NOW + DAY)
    assert one != other
    assert not store.install_root(RootUse.V2G, one).replaced
    assert store.install_root(RootUse.V2G, other, limit=2).replaced
    assert store.roots(RootUse.V2G) == (other,)
    assert store.entries() == 2
    drop(folder, "csms/operators.pem", PKI.csms_root)
    assert store.roots(RootUse.CSMS) == (ROOT,)


def test_no_more_than_the_allowed_number_is_installed(store: CertificateStore) -> None:
    """M05.FR.06."""
    store.install_root(RootUse.CSMS, ROOT, limit=1)
    with pytest.raises(CertificateInvalid, match="CertificateEntries"):
        store.install_root(RootUse.MO, PKI.mo_root.certificate, limit=1)
    assert store.entries() == 1
    assert not store.install_root(RootUse.MO, PKI.mo_root.certificate, limit=2).replaced


class Successors:
    """Roots, each signed by the one before, and one that is not."""

    def __init__(self) -> None:
        self.r0, k0 = certificate("R0", extensions=(CA,))
        self.r1, k1 = certificate("R1", (self.r0, k0), extensions=(CA,))
        self.r2, _ = certificate("R2", (self.r1, k1), extensions=(CA,))
        self.stranger, _ = certificate("R1", extensions=(CA,))
        self.r0_key = k0


S = Successors()


def check(store: CertificateStore, root: object) -> object:
    return store.install_root(RootUse.CSMS, root, additional_check=True)  # type: ignore[arg-type]


def test_with_the_additional_check_a_root_must_be_signed_by_the_old_one(
    store: CertificateStore,
) -> None:
    """M05.FR.09, M05.FR.10, M05.FR.11."""
    check(store, S.r0)
    with pytest.raises(CertificateInvalid, match=r"CN=R1.* is not signed by .*CN=R0"):
        check(store, S.stranger)
    assert store.roots(RootUse.CSMS) == (S.r0,)
    # Other uses and an unchecked CSMS know no such rule.
    store.install_root(RootUse.MO, S.stranger, additional_check=True)
    store.install_root(RootUse.CSMS, S.stranger)
    assert store.fallback_roots() == ()


def test_the_replaced_root_is_kept_until_the_first_good_connection(
    store: CertificateStore,
) -> None:
    """M05.FR.12, M05.FR.13, M05.FR.14, M05.FR.16; over a restart."""
    store.install_root(RootUse.CSMS, S.r0)
    done = store.install_root(RootUse.CSMS, S.r1, additional_check=True, limit=1)
    assert done.fallback == (S.r0,)
    for each in (store, again(store)):
        assert each.roots(RootUse.CSMS) == (S.r1,)
        assert each.fallback_roots() == (S.r0,)
        assert each.roots(RootUse.CSMS, fallback=True) == (S.r1, S.r0)
        assert each.entries() == 1
        assert len(each.listed([RootUse.CSMS])) == 2
    before = {one.data for one in store.listed()}
    assert again(store).settle_roots() == (S.r0,)
    for each in (store, again(store)):
        assert each.roots(RootUse.CSMS, fallback=True) == (S.r1,)
        assert each.fallback_roots() == each.settle_roots() == ()
        # Its hash data are the same, though who signed it is gone: a CSMS may delete it.
        assert {one.data for one in each.listed()} < before
        assert each.listed()[0].data == hash_data(S.r1, S.r0)
    issuers = Path(store.folder or "") / "issuers"
    assert len([*issuers.iterdir()]) == 1
    assert store.remove(hash_data(S.r1, S.r0)) is Removal.ACCEPTED
    assert [*issuers.iterdir()] == []


def test_a_fallback_that_was_needed_stays_when_another_successor_comes(
    store: CertificateStore,
) -> None:
    """The link of now was made with R0; R1 never worked. Only one fallback (M05.FR.09)."""
    store.install_root(RootUse.CSMS, S.r0)
    check(store, S.r1)
    check(store, S.r2)
    for each in (store, again(store)):
        assert each.roots(RootUse.CSMS) == (S.r2,)
        assert each.fallback_roots() == (S.r0,)
    assert store.settle_roots() == (S.r0,)
    assert again(store).roots(RootUse.CSMS, fallback=True) == (S.r2,)


def test_a_replaced_root_that_is_installed_again_counts_again(store: CertificateStore) -> None:
    store.install_root(RootUse.CSMS, S.r0)
    check(store, S.r1)
    store.install_root(RootUse.CSMS, S.r0)
    for each in (store, again(store)):
        assert set(each.roots(RootUse.CSMS)) == {S.r0, S.r1}
        assert each.fallback_roots() == ()


def test_an_expired_root_signs_no_successor(store: CertificateStore, folder: Path) -> None:
    """M05.FR.11: the whole chain is checked when the successor is installed."""
    old, key = certificate("Old", extensions=(CA,), not_after=NOW + DAY)
    new, _ = certificate("New", (old, key), extensions=(CA,))
    store.install_root(RootUse.CSMS, old)
    late = CertificateStore(folder, StandingClock(NOW + 2 * DAY))
    with pytest.raises(CertificateInvalid, match=r"CN=Old.*expired"):
        check(late, new)


def test_the_fallback_alone_is_trusted_whatever_the_files_say(
    store: CertificateStore, folder: Path
) -> None:
    store.install_root(RootUse.CSMS, S.r0)
    check(store, S.r1)
    (folder / f"csms/{fingerprint(S.r1)[:32]}.pem").unlink()
    assert store.roots(RootUse.CSMS) == (S.r0,)
    check(store, S.r1)
    path = folder / f"csms/{fingerprint(S.r1)[:32]}.pem"
    path.write_text(f"# replaces {fingerprint(S.r1)}\n" + path.read_text())
    assert store.roots(RootUse.CSMS) == (S.r1,)


def test_settling_keeps_what_else_an_operator_has_in_the_files(
    store: CertificateStore, folder: Path
) -> None:
    bundle = drop(folder, "csms/bundle.pem", PKI.csms_root)
    bundle.write_text(to_pem([S.r0, ROOT]))
    done = store.install_root(RootUse.CSMS, S.r1, additional_check=True)
    assert set(done.fallback) == {S.r0, ROOT}
    # What is dropped in later is no fallback.
    drop(folder, "csms/later.pem", OTHER.csms_root)
    assert set(store.roots(RootUse.CSMS)) == {S.r1, OTHER.csms_root.certificate}
    assert set(store.settle_roots()) == {S.r0, ROOT}
    assert not bundle.exists()
    assert set(store.roots(RootUse.CSMS, fallback=True)) == {S.r1, OTHER.csms_root.certificate}


# --- deleting -------------------------------------------------------------------------------------


def test_a_root_is_deleted_wherever_it_is(store: CertificateStore, folder: Path) -> None:
    """M04.FR.01, M04.FR.02, M04.FR.04."""
    drop(folder, "csms/bundle.pem", PKI.csms_root, OTHER.csms_root)
    store.install_root(RootUse.MANUFACTURER, ROOT)
    for algorithm in ("SHA384", "SHA512", "SHA256"):
        wanted = hash_data(OTHER.v2g_root.certificate, None, algorithm)
        assert store.remove(wanted) is Removal.NOT_FOUND
    assert store.remove(hash_data(ROOT, None, "SHA512")) is Removal.ACCEPTED
    assert store.roots(RootUse.MANUFACTURER) == ()
    assert again(store).roots(RootUse.CSMS) == (OTHER.csms_root.certificate,)
    assert store.remove(hash_data(ROOT)) is Removal.NOT_FOUND
    unknown = HashData("MD5", "", "", "")
    assert store.remove(unknown) is Removal.NOT_FOUND


def test_the_last_root_may_be_protected(store: CertificateStore) -> None:
    """M04.FR.03."""
    store.install_root(RootUse.CSMS, ROOT)
    keep = [RootUse.CSMS]
    assert store.remove(hash_data(ROOT), keep_last=keep) is Removal.FAILED
    assert store.roots(RootUse.CSMS) == (ROOT,)
    store.install_root(RootUse.CSMS, OTHER.csms_root.certificate)
    assert store.remove(hash_data(ROOT), keep_last=keep) is Removal.ACCEPTED
    assert store.remove(hash_data(OTHER.csms_root.certificate)) is Removal.ACCEPTED
    store.install_root(RootUse.CSMS, S.r0)
    check(store, S.r1)
    assert store.remove(hash_data(S.r0), keep_last=keep) is Removal.ACCEPTED
    assert store.roots(RootUse.CSMS, fallback=True) == (S.r1,)


def test_the_certificate_of_the_station_is_never_deleted(store: CertificateStore) -> None:
    """M04.FR.06; nor are the authorities in its chain, but the root is."""
    store.install_root(RootUse.CSMS, ROOT)
    own = signed(store)
    for path in (own.chain.certificates, store.path(own.chain, STATION)):
        assert store.remove(hash_data(path[0], path[1])) is Removal.FAILED
    assert store.remove(hash_data(own.chain.intermediates[0], ROOT)) is Removal.FAILED
    assert store.remove(hash_data(ROOT)) is Removal.ACCEPTED
    assert store.client_chain() == own
    # Without the root the hash data of the authority cannot be computed any more.
    assert store.remove(hash_data(own.chain.intermediates[0], ROOT)) is Removal.NOT_FOUND


def test_a_chain_of_iso_15118_is_deleted_with_its_key(store: CertificateStore) -> None:
    """M04.FR.02, M04.FR.08: by its leaf, by a sub CA, or with its root."""
    for place in range(4):
        store.install_root(RootUse.V2G, PKI.v2g_root.certificate)
        mine = signed(store, V2G)
        other = signed(store, V2G, common_name="other")
        path = store.path(mine.chain, V2G)
        assert path[-1] == PKI.v2g_root.certificate
        above = path[place + 1] if place < 3 else None
        assert store.remove(hash_data(path[place], above)) is Removal.ACCEPTED
        assert not Path(mine.key_file).exists()
        assert not store.has_key(mine.chain.leaf)
        assert store.chains(V2G) == (() if place else (other,))


def test_a_disk_that_fails_is_told(
    store: CertificateStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """M04.FR.03, M05.FR.03."""
    store.install_root(RootUse.CSMS, ROOT)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ocpp_fast.security.files.os.fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            store.install_root(RootUse.MO, PKI.mo_root.certificate)
        with pytest.raises(StorageError, match="No space left"):
            store.begin_key(STATION, SUBJECT)
        patch.setattr(Path, "unlink", full)
        assert store.remove(hash_data(ROOT)) is Removal.FAILED
    assert "could not be deleted" in caplog.text
    assert store.roots(RootUse.MO) == ()
    assert store.roots(RootUse.CSMS) == (ROOT,)
    # Somebody put a file where the folder should be.
    assert store.folder is not None
    Path(store.folder, "oem").write_text("")
    with pytest.raises(StorageError):
        store.install_root(RootUse.OEM, PKI.oem_root.certificate)


# --- the station's own ----------------------------------------------------------------------------


def test_a_signed_certificate_stands_beside_the_old_one_until_a_connection_proves_it(
    store: CertificateStore,
) -> None:
    """A02.FR.02, A02.FR.08, A02.FR.10, A02.FR.28, A03.FR.08, A03.FR.10, A03.FR.24."""
    first = signed(store)
    assert first.new
    assert store.client_chain(old=True) is None
    assert store.settle(STATION, first.id) == ()
    kept = store.client_chain()
    assert kept is not None
    assert (kept.id, kept.new) == (first.id, False)
    second = signed(store)
    for each in (store, again(store)):
        assert each.client_chain() == second
        assert each.client_chain(old=True) == kept
        assert each.entries() == 4
    (gone,) = store.settle(STATION, second.id)
    assert (gone.id, gone.new, gone.use) == (first.id, False, STATION)
    assert "CS001" in gone.label
    for each in (store, again(store)):
        left = each.client_chain()
        assert left is not None
        assert (left.id, left.new) == (second.id, False)
        assert each.chains(STATION) == (left,)
        assert each.client_chain(old=True) is None
        assert not each.has_key(first.chain.leaf)
    assert not Path(kept.key_file).exists()


def test_the_old_certificate_may_win(store: CertificateStore) -> None:
    """A02.FR.10, A02.FR.29, A03.FR.25: the new one is discarded, which the CSMS must hear of."""
    first = signed(store)
    store.settle(STATION, first.id)
    second = signed(store)
    (gone,) = store.settle(STATION, first.id)
    assert (gone.id, gone.new) == (second.id, True)
    assert store.settle(STATION, first.id) == ()
    left = again(store).client_chain()
    assert left is not None
    assert left.id == first.id
    assert store.settle(STATION, second.id) == ()


def test_a_new_certificate_that_was_never_proved_makes_room(store: CertificateStore) -> None:
    first = signed(store)
    store.settle(STATION, first.id)
    second = signed(store)
    third = signed(store)
    assert [each.id for each in store.chains(STATION)] == [third.id, first.id]
    assert not store.has_key(second.chain.leaf)


def test_a_certificate_that_comes_twice_is_the_same(store: CertificateStore) -> None:
    first = signed(store)
    assert store.accept_signed(STATION, first.chain) == first
    store.settle(STATION, first.id)
    assert not store.accept_signed(STATION, first.chain).new
    # The same leaf under other authorities replaces the file.
    alone = store.accept_signed(STATION, Chain(first.chain.leaf))
    assert not alone.new
    assert store.chains(STATION) == (alone,)


def test_a_certificate_without_key_is_refused(store: CertificateStore) -> None:
    """A02.FR.06."""
    chain = chain_of(PKI.station("CS001"))
    with pytest.raises(CertificateInvalid, match=r"CS001.*private key is not in this station"):
        store.accept_signed(STATION, chain)
    request = store.begin_key(STATION, SUBJECT)
    store.discard_key(request.key_id)
    with pytest.raises(CertificateInvalid):
        store.accept_signed(STATION, parse_chain(AUTHORITY.sign(request.csr)))


def test_any_of_several_requests_may_be_answered(store: CertificateStore) -> None:
    """A02.FR.17: a CSMS may answer each of the CSRs that it got, in any order."""
    requests = [store.begin_key(STATION, SUBJECT) for _ in range(3)]
    chains = [parse_chain(AUTHORITY.sign(each.csr)) for each in requests]
    for chain in (chains[1], chains[0], chains[2]):
        assert store.has_key(chain.leaf)
        assert store.accept_signed(STATION, chain).chain == chain
    used = store.client_chain()
    assert used is not None
    store.discard_key(used.key_id)
    assert store.client_chain() == used


def test_requests_that_nobody_answers_are_bounded(store: CertificateStore) -> None:
    used = signed(store)
    ids = [store.begin_key(STATION, SUBJECT).key_id for _ in range(66)]
    assert store.folder is not None
    left = {each.stem for each in Path(store.folder, "keys").glob("*.key")}
    assert left == {used.key_id, *ids[2:]}


def test_a_subject_that_cannot_be_makes_no_key(store: CertificateStore, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="organization of a certificate"):
        store.begin_key(STATION, Subject(common_name="CS001", organization=""))
    assert not folder.exists()


def test_keys_are_secret_from_the_first_byte(
    store: CertificateStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A02.FR.05."""
    caplog.set_level(logging.DEBUG)
    seen: list[int] = []
    write = os.write

    def looking(handle: int, data: bytes) -> int:
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return write(handle, data)

    old = os.umask(0)
    try:
        monkeypatch.setattr(os, "write", looking)
        mine = signed(store)
    finally:
        os.umask(old)
    assert set(seen) == {0o600}
    assert mode(mine.key_file) == mode(mine.chain_file) == 0o600
    assert mode(Path(mine.key_file).parent) == 0o700
    secret = Path(mine.key_file).read_text().splitlines()[1]
    assert secret not in caplog.text
    assert "key_file" not in repr(mine)
    assert mine.key_file not in repr(mine)
    everything = [each for each in Path(store.folder or "").rglob("*") if each.suffix != ".key"]
    assert not any(secret in each.read_text() for each in everything if each.is_file())


def test_the_newest_v2g_certificate_of_a_root_is_used(store: CertificateStore) -> None:
    """A02.FR.15, A03.FR.15: for each root and each SECC there is one."""
    store.install_root(RootUse.V2G, PKI.v2g_root.certificate)
    store.install_root(RootUse.V2G, OTHER.v2g_root.certificate)
    first = signed(store, V2G)
    assert not first.new
    other = signed(store, V2G, common_name="EVSE 2")
    request = store.begin_key(V2G, SUBJECT)
    foreign = CertificateAuthority(OTHER.csms_ca, CLOCK, v2g=OTHER.v2g_ca)
    third = store.accept_signed(V2G, parse_chain(foreign.sign(request.csr, V2G.value)))
    second = signed(store, V2G)
    assert {each.id for each in store.chains(V2G)} == {other.id, third.id, second.id}
    assert store.client_chain(V2G, old=True) is None
    assert store.entries() == 2 + 3 * 3


def test_a_certificate_that_is_valid_now_is_used_first(store: CertificateStore) -> None:
    """A02.FR.15; an expired one is better than none (A00.FR.430)."""
    old = signed(store, V2G, common_name="1", **PKI.expired())
    assert store.client_chain(V2G) == old
    valid = signed(store, V2G, common_name="2", not_before=NOW - 2 * DAY)
    newer = signed(store, V2G, common_name="3", not_before=NOW - DAY)
    early = signed(store, V2G, common_name="4", **PKI.not_yet_valid())
    assert store.chains(V2G) == (newer, valid, early, old)
    assert newer.not_before == NOW - DAY
    assert newer.not_after > NOW


def test_iso_15118_20_gets_a_stronger_key(store: CertificateStore) -> None:
    """A02.FR.22, A02.FR.23."""
    weak, strong = signed(store, V2G), signed(store, V2G20)
    keys = [each.chain.leaf.public_key() for each in (weak, strong)]
    assert [getattr(each, "key_size", 0) for each in keys] == [256, 521]


def test_v2g_chains_are_listed_with_their_authorities(store: CertificateStore) -> None:
    """M03.FR.05: the sub CAs are children of the leaf, the root is not among them."""
    store.install_root(RootUse.V2G, PKI.v2g_root.certificate)
    mine = signed(store, V2G)
    (listed,) = store.listed(["V2GCertificateChain"])
    leaf, lower, upper = mine.chain.certificates
    assert listed.certificate_type == "V2GCertificateChain"
    assert listed.data == hash_data(leaf, lower)
    assert listed.children == (
        hash_data(lower, upper),
        hash_data(upper, PKI.v2g_root.certificate),
    )
    assert len(store.listed()) == 2
    assert store.listed(["MORootCertificate"]) == ()
    # A certificate for both kinds of connection is one entry.
    store.accept_signed(V2G20, mine.chain)
    assert len(store.listed(["V2GCertificateChain"])) == 1


def test_one_certificate_may_serve_both_connections(store: CertificateStore) -> None:
    """A00.FR.428: CertificateSigned without type. The key stays as long as one of them needs it."""
    request = store.begin_key(STATION, SUBJECT)
    chain = parse_chain(AUTHORITY.sign(request.csr))
    both = store.accept_signed(STATION, chain), store.accept_signed(V2G, chain)
    assert both[0].key_file == both[1].key_file
    assert store.remove(hash_data(chain.leaf, chain.intermediates[0])) is Removal.FAILED
    store.settle(STATION, both[0].id)
    store.settle(STATION, signed(store).id)
    assert store.client_chain(V2G) == both[1]
    assert store.has_key(chain.leaf)


# --- files of an operator -------------------------------------------------------------------------


def test_chain_and_key_of_an_operator_are_used(
    store: CertificateStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    issued = PKI.station("CS001")
    leaves = folder / "leaves/charging_station"
    leaves.mkdir(parents=True)
    (leaves / "client.crt").write_text(issued.chain_pem)
    assert store.client_chain() is None
    assert store.client_chain() is None
    assert [each for each in caplog.messages if "there is no private key for" in each] == [
        caplog.messages[0]
    ]
    key = leaves / "anything.key"
    key.write_text(issued.key_pem)
    key.chmod(0o644)
    found = store.client_chain()
    assert found is not None
    assert found.key_file == str(key)
    assert not found.new
    assert "other users may read" in caplog.text
    assert issued.key_pem.splitlines()[1] not in caplog.text
    assert store.has_key(issued.certificate)
    # The renewed one takes its place, its key goes too.
    store.settle(STATION, signed(store).id)
    assert [each.name for each in leaves.iterdir()] == [f"{store.chains(STATION)[0].id[:32]}.pem"]


def test_chain_and_key_may_share_a_file(store: CertificateStore, folder: Path) -> None:
    issued = PKI.station("CS001", key=KeyKind.RSA)
    leaves = folder / "leaves/charging_station"
    leaves.mkdir(parents=True)
    path = leaves / "client.pem"
    path.write_text(issued.key_pem + issued.chain_pem)
    found = store.client_chain()
    assert found is not None
    assert found.key_file == found.chain_file == str(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (to_pem(PKI.station("CS001").chain[::-1]), "begin with the station's certificate"),
        (to_pem([certificate(f"c{n}")[0] for n in range(11)]), "11 certificates in a chain"),
        ("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n", "cannot be read"),
    ],
)
def test_a_chain_that_tls_could_not_load_is_passed_over(
    store: CertificateStore,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    content: str,
    complaint: str,
) -> None:
    good = signed(store)
    (folder / "leaves/charging_station/bad.pem").write_text(content)
    assert store.chains(STATION) == store.chains(STATION) == (good,)
    assert len([each for each in caplog.messages if complaint in each]) == 1


def test_a_key_with_password_is_passed_over(
    store: CertificateStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leaves = folder / "leaves/v2g"
    leaves.mkdir(parents=True)
    (leaves / "a.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    (leaves / "b.key").write_text("")
    assert store.chains(V2G) == ()
    assert caplog.text.count("no readable private key without password") == 2


def test_a_certificate_may_come_with_its_key(store: CertificateStore) -> None:
    """A00.FR.801: from the factory."""
    issued = PKI.station("CS001")
    done = store.import_leaf(STATION, issued.chain_pem, issued.key_pem)
    assert not done.new
    assert mode(done.key_file) == 0o600
    assert store.import_leaf(STATION, chain_of(issued), issued.key_pem) == done
    assert again(store).client_chain() == done
    other = PKI.station("CS002")
    brought = store.import_leaf(STATION, other.chain_pem, other.key_pem)
    assert brought.chain.leaf == other.certificate
    assert store.import_leaf(STATION, issued.chain_pem, issued.key_pem) == done
    with pytest.raises(CertificateInvalid, match="belongs to another certificate"):
        store.import_leaf(STATION, issued.chain_pem, PKI.station("x").key_pem)
    with pytest.raises(CertificateInvalid, match="no readable private key"):
        store.import_leaf(STATION, issued.chain_pem, "x")


def test_a_path_ends_at_the_lowest_root(store: CertificateStore) -> None:
    store.install_root(RootUse.V2G, PKI.v2g_upper_ca.certificate)
    store.install_root(RootUse.V2G, PKI.v2g_root.certificate)
    chain = chain_of(PKI.secc("SECC"))
    assert store.path(chain, V2G) == chain.certificates
    store.install_root(RootUse.V2G, PKI.v2g_ca.certificate)
    assert store.path(chain, V2G) == chain.certificates[:2]
    assert store.path(chain, STATION) == chain.certificates


def test_a_temporary_file_of_a_power_cut_is_swept_away(
    store: CertificateStore, folder: Path
) -> None:
    store.install_root(RootUse.CSMS, ROOT)
    left = folder / "csms/.x.pem.tmp"
    left.write_text("half")
    others = [folder / "csms/.mine", folder / "csms/x.tmp"]
    for each in others:
        each.write_text("")
    assert store.roots(RootUse.CSMS) == (ROOT,)
    store.install_root(RootUse.CSMS, OTHER.csms_root.certificate)
    assert not left.exists()
    assert all(each.exists() for each in others)


def test_a_file_system_that_cannot_force_a_folder_to_the_disk_is_no_failure(
    store: CertificateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def syncing(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", syncing)
    store.install_root(RootUse.CSMS, ROOT)
    assert signed(store) == store.client_chain()


def test_looking_for_changes_is_cheap(store: CertificateStore) -> None:
    for use in RootUse:
        for number in range(4):
            store.install_root(use, Pki(NOW).root(f"{use} {number}").certificate)
    signed(store)
    store.revision  # noqa: B018 - looks
    best = min(_seconds(store) for _ in range(20))
    assert best < 0.005  # measured: 0.00015


def _seconds(store: CertificateStore) -> float:
    start = time.perf_counter()
    store.revision  # noqa: B018 - looks
    return time.perf_counter() - start
