"""M03, M04, M05: what the CSMS may know of the installed certificates, delete and install."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import HashData, hash_data, parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.pki import Issued, KeyKind, Pki
from ocpp_fast.security.store import LeafUse, RootUse
from unit.blocks.security_kit import SERIAL, World, in_world

CSMS, MANUFACTURER = "CSMSRootCertificate", "ManufacturerRootCertificate"
V2G, MO, OEM = "V2GRootCertificate", "MORootCertificate", "OEMRootCertificate"
CHAIN = "V2GCertificateChain"
LIMIT = 100


async def install(world: World, kind: str, certificate: Issued | str) -> Any:
    m = world.m
    text = certificate if isinstance(certificate, str) else certificate.pem
    request = m.InstallCertificateRequest(certificate_type=kind, certificate=text)
    return await world.ask("InstallCertificate", request)


async def listed(world: World, *kinds: str) -> Any:
    request = world.m.GetInstalledCertificateIdsRequest(certificate_type=kinds or None)
    return await world.ask("GetInstalledCertificateIds", request)


async def delete(world: World, data: HashData) -> Any:
    m = world.m
    request = m.DeleteCertificateRequest(
        certificate_hash_data=m.CertificateHashDataType(
            hash_algorithm=data.hash_algorithm,
            issuer_name_hash=data.issuer_name_hash,
            issuer_key_hash=data.issuer_key_hash,
            serial_number=data.serial_number,
        )
    )
    return await world.ask("DeleteCertificate", request)


def plain(data: Any) -> tuple[str, ...]:
    """The members of hash data, of a message or of ours."""
    return (
        str(data.hash_algorithm),
        data.issuer_name_hash,
        data.issuer_key_hash,
        data.serial_number,
    )


def entries(world: World) -> int:
    count: int = world.model.variable("SecurityCtrlr", "CertificateEntries").get()
    return count


def leaf(world: World, authority: CertificateAuthority, use: LeafUse, name: str) -> Any:
    """A certificate of the station itself."""
    made = world.store.begin_key(use, Subject(common_name=name, organization="O"))
    return world.store.accept_signed(use, parse_chain(authority.sign(made.csr, str(use))))


# --- M03 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
def test_nothing_is_found_in_an_empty_store(tmp_path: Path, version: OcppVersion) -> None:
    """M03.FR.01, M03.FR.02; and nothing is made on the disk for it."""

    async def scenario(world: World) -> None:
        for kinds in ([], [CSMS], [CHAIN, MO]):
            response = await listed(world, *kinds)
            assert response.status == "NotFound"
            assert response.certificate_hash_data_chain is None
        assert not world.folder.exists()

    in_world(scenario, tmp_path / "none", version=version)


@pytest.mark.parametrize("version", OcppVersion)
def test_what_is_installed_is_listed_by_its_type(tmp_path: Path, version: OcppVersion) -> None:
    """M03.FR.03, M03.FR.04, M04.FR.07."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        roots = {
            CSMS: pki.csms_root,
            MANUFACTURER: pki.manufacturer_root,
            V2G: pki.v2g_root,
            MO: pki.mo_root,
        }
        for kind, root in roots.items():
            assert (await install(world, kind, root)).status == "Accepted"
        for kind, root in roots.items():
            response = await listed(world, kind)
            assert response.status == "Accepted"
            (entry,) = response.certificate_hash_data_chain
            assert entry.certificate_type == kind
            assert plain(entry.certificate_hash_data) == plain(hash_data(root.certificate))
            assert entry.certificate_hash_data.hash_algorithm == "SHA256"
            assert entry.child_certificate_hash_data is None
        response = await listed(world)
        kinds = {str(each.certificate_type) for each in response.certificate_hash_data_chain}
        assert kinds == {*roots}
        assert (await listed(world, CHAIN)).status == "NotFound"
        two = await listed(world, CSMS, MO)
        assert len(two.certificate_hash_data_chain) == 2

    in_world(scenario, tmp_path, version=version)


@pytest.mark.parametrize("version", OcppVersion)
def test_sub_cas_stand_under_the_v2g_certificate(tmp_path: Path, version: OcppVersion) -> None:
    """M03.FR.05."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        world.trust(pki.v2g_root, use=RootUse.V2G)
        authority = CertificateAuthority(pki.csms_ca, world.clock, v2g=pki.v2g_ca)
        chain = leaf(world, authority, LeafUse.V2G, "SECC1").chain
        response = await listed(world, CHAIN)
        (entry,) = response.certificate_hash_data_chain
        assert plain(entry.certificate_hash_data) == plain(
            hash_data(chain.leaf, pki.v2g_ca.certificate)
        )
        assert [plain(each) for each in entry.child_certificate_hash_data] == [
            plain(hash_data(pki.v2g_ca.certificate, pki.v2g_upper_ca.certificate)),
            plain(hash_data(pki.v2g_upper_ca.certificate, pki.v2g_root.certificate)),
        ]
        # The certificate for the CSMS has no type of its own.
        leaf(world, authority, LeafUse.CHARGING_STATION, SERIAL)
        assert len((await listed(world)).certificate_hash_data_chain) == 2

    in_world(scenario, tmp_path, version=version)


def test_2_0_1_is_not_told_what_it_has_no_word_for(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.trust(Pki(world.clock.now()).oem_root, use=RootUse.OEM)
        assert (await listed(world)).status == "NotFound"

    in_world(scenario, tmp_path, version=OcppVersion.V201)


# --- M04 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
def test_a_certificate_is_deleted_once(tmp_path: Path, version: OcppVersion) -> None:
    """M04.FR.01, M04.FR.02, M04.FR.04; by the hash data that were listed, in whatever case."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        world.trust(pki.mo_root, use=RootUse.MO)
        world.trust(pki.csms_root)
        world.installed.changed()
        (entry,) = (await listed(world, MO)).certificate_hash_data_chain
        data = HashData(*plain(entry.certificate_hash_data))
        shouted = HashData(
            data.hash_algorithm,
            data.issuer_name_hash.upper(),
            data.issuer_key_hash.upper(),
            data.serial_number.upper(),
        )
        assert entries(world) == 2
        assert (await delete(world, shouted)).status == "Accepted"
        assert entries(world) == 1
        assert (await listed(world, MO)).status == "NotFound"
        again = await delete(world, data)
        assert (again.status, again.status_info.reason_code) == ("NotFound", "NotFound")
        await world.settle()
        assert await world.logged() == ["ReconfigurationOfSecurityParameters"]

    in_world(scenario, tmp_path, version=version)


def test_there_is_nothing_to_delete_in_an_empty_store(tmp_path: Path) -> None:
    """M04.FR.04."""

    async def scenario(world: World) -> None:
        data = hash_data(Pki(world.clock.now()).mo_root.certificate)
        assert (await delete(world, data)).status == "NotFound"
        assert not world.folder.exists()

    in_world(scenario, tmp_path / "none")


def test_the_certificate_of_the_station_stays(tmp_path: Path) -> None:
    """M04.FR.03, M04.FR.06."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        world.trust(pki.csms_root)
        authority = CertificateAuthority(pki.csms_ca, world.clock)
        own = leaf(world, authority, LeafUse.CHARGING_STATION, SERIAL)
        response = await delete(world, hash_data(own.chain.leaf, pki.csms_ca.certificate))
        assert response.status == "Failed"
        assert world.store.client_chain() == own

    in_world(scenario, tmp_path)


def test_the_last_root_for_the_csms_stays_where_it_is_needed(tmp_path: Path) -> None:
    """M04.FR.03: without it, a station with TLS could never connect again."""

    async def scenario(world: World) -> None:
        pki, other = Pki(world.clock.now()), Pki(world.clock.now())
        world.trust(pki.csms_root, other.csms_root)
        await world.connect()
        assert (await delete(world, hash_data(pki.csms_root.certificate))).status == "Accepted"
        assert (await delete(world, hash_data(other.csms_root.certificate))).status == "Failed"
        assert len(world.store.roots(RootUse.CSMS)) == 1
        world.disconnect()
        world.profile = 1
        await world.connect()
        assert (await delete(world, hash_data(other.csms_root.certificate))).status == "Accepted"

    in_world(scenario, tmp_path, profile=2)


def test_a_v2g_chain_goes_as_a_whole(tmp_path: Path) -> None:
    """M04.FR.08."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        world.trust(pki.v2g_root, use=RootUse.V2G)
        authority = CertificateAuthority(pki.csms_ca, world.clock, v2g=pki.v2g_ca)
        leaf(world, authority, LeafUse.V2G, "SECC1")
        world.installed.changed()
        assert entries(world) == 4
        data = hash_data(pki.v2g_ca.certificate, pki.v2g_upper_ca.certificate)
        assert (await delete(world, data)).status == "Accepted"
        assert entries(world) == 1
        assert (await listed(world, CHAIN)).status == "NotFound"

    in_world(scenario, tmp_path)


# --- M05 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OcppVersion)
def test_a_root_is_installed(tmp_path: Path, version: OcppVersion) -> None:
    """M05.FR.01, M05.FR.02."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        response = await install(world, CSMS, pki.csms_root)
        assert (response.status, response.status_info) == ("Accepted", None)
        assert world.store.roots(RootUse.CSMS) == (pki.csms_root.certificate,)
        assert entries(world) == 1
        await world.settle()
        (row,) = await world.log()
        assert row.kind == "ReconfigurationOfSecurityParameters"
        assert "CSMS Root CA" in (row.tech_info or "")

    in_world(scenario, tmp_path, version=version)


def test_oem_roots_are_of_2_1(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        assert (await install(world, OEM, pki.oem_root)).status == "Accepted"
        assert (await listed(world, OEM)).status == "Accepted"

    in_world(scenario, tmp_path)


def bad_roots(pki: Pki) -> dict[str, str]:
    return {
        "expired": pki.root("Old", **pki.expired()).pem,
        "no authority": pki.station(SERIAL).pem,
        "weak": pki.root("Weak", key=KeyKind.RSA_1024).pem,
        "two": pki.csms_root.pem + pki.mo_root.pem,
        "no certificate": "Hello",
        "rubbish": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "a key": pki.csms_root.key_pem,
    }


@pytest.mark.parametrize("version", OcppVersion)
def test_what_is_no_valid_root_is_rejected(tmp_path: Path, version: OcppVersion) -> None:
    """M05.FR.07."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        for name, text in bad_roots(pki).items():
            response = await install(world, CSMS, text)
            assert response.status == "Rejected", name
            assert response.status_info.reason_code == "InvalidCertificate"
        assert entries(world) == 0
        assert world.store.roots(RootUse.CSMS) == ()

    in_world(scenario, tmp_path, version=version)


def test_one_that_is_there_is_accepted_again(tmp_path: Path) -> None:
    """M05.FR.17; there is still one, and the log has nothing to say."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        for _ in range(3):
            assert (await install(world, CSMS, pki.csms_root)).status == "Accepted"
        assert entries(world) == 1
        await world.settle()
        assert len(await world.log()) == 1

    in_world(scenario, tmp_path)


def test_there_is_room_for_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M05.FR.06: CertificateEntries.maxLimit; one that is there already still is accepted."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        monkeypatch.setattr(world.installed, "_limit", lambda: 2)
        assert (await install(world, MO, pki.mo_root)).status == "Accepted"
        assert (await install(world, CSMS, pki.csms_root)).status == "Accepted"
        assert (await install(world, V2G, pki.v2g_root)).status == "Rejected"
        assert (await install(world, MO, pki.mo_root)).status == "Accepted"
        assert entries(world) == 2

    in_world(scenario, tmp_path)


def test_the_limit_is_that_of_the_component_files(tmp_path: Path) -> None:
    """M05.FR.06."""

    async def scenario(world: World) -> None:
        assert world.installed._limit() == LIMIT

    in_world(scenario, tmp_path)


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M05.FR.03."""

    async def scenario(world: World) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise StorageError("disk", "install", "full")

        monkeypatch.setattr(world.store, "install_root", fail)
        response = await install(world, CSMS, Pki(world.clock.now()).csms_root)
        assert (response.status, response.status_info.reason_code) == ("Failed", "OutOfStorage")

    in_world(scenario, tmp_path)


def successor(pki: Pki, **changes: Any) -> Issued:
    """A root that the present one has signed."""
    return pki.sub_ca("Next CSMS Root", pki.csms_root, path_length=None, **changes)


@pytest.mark.parametrize("version", OcppVersion)
def test_with_the_additional_check_a_root_names_its_successor(
    tmp_path: Path, version: OcppVersion
) -> None:
    """M05.FR.09, M05.FR.10, M05.FR.11, M05.FR.12, M05.FR.13."""

    async def scenario(world: World) -> None:
        world.configure("SecurityCtrlr", AdditionalRootCertificateCheck=True)
        pki, other = Pki(world.clock.now()), Pki(world.clock.now())
        assert (await install(world, CSMS, pki.csms_root)).status == "Accepted"
        assert (await install(world, CSMS, other.csms_root)).status == "Rejected"
        assert world.store.roots(RootUse.CSMS) == (pki.csms_root.certificate,)
        following = successor(pki)
        assert (await install(world, CSMS, following)).status == "Accepted"
        assert world.store.roots(RootUse.CSMS) == (following.certificate,)
        assert world.store.fallback_roots() == (pki.csms_root.certificate,)
        # A link that needed the old one proves nothing about the new one (M05.FR.14, M05.FR.16).
        await world.connect(old_root=True)
        assert world.store.fallback_roots() == (pki.csms_root.certificate,)
        world.disconnect()
        await world.connect()
        assert world.store.fallback_roots() == ()
        assert world.store.roots(RootUse.CSMS, fallback=True) == (following.certificate,)
        assert entries(world) == 1
        # Other roots have no such rule.
        assert (await install(world, MO, pki.mo_root)).status == "Accepted"
        assert (await install(world, MO, other.mo_root)).status == "Accepted"

    in_world(scenario, tmp_path, version=version, profile=2)


def test_a_link_without_tls_proves_no_root(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.configure("SecurityCtrlr", AdditionalRootCertificateCheck=True)
        pki = Pki(world.clock.now())
        await install(world, CSMS, pki.csms_root)
        await install(world, CSMS, successor(pki))
        await world.connect()
        assert len(world.store.fallback_roots()) == 1

    in_world(scenario, tmp_path, profile=1)


@pytest.mark.parametrize("profile", [0, 1])
def test_without_tls_roots_can_be_refused(tmp_path: Path, profile: int) -> None:
    """Allowed as the specification has it (A05 needs it), unless the operator forbids it."""

    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        await world.connect()
        assert (await install(world, CSMS, pki.csms_root)).status == "Accepted"
        names = ("AllowCSMSRootCertInstallWithUnsecureConnection", CSMS), (
            "AllowMFRootCertInstallWithUnsecureConnection", MANUFACTURER,
        )  # fmt: skip
        for variable, kind in names:
            world.configure("InternalCtrlr", **{variable: False})
            response = await install(world, kind, Pki(world.clock.now()).csms_root)
            assert (response.status, response.status_info.reason_code) == ("Rejected", "NotEnabled")
        assert (await install(world, V2G, pki.v2g_root)).status == "Accepted"
        world.disconnect()
        world.profile = 2
        await world.connect()
        assert (await install(world, CSMS, Pki(world.clock.now()).csms_root)).status == "Accepted"

    in_world(scenario, tmp_path, profile=profile)


def test_entries_are_counted_at_the_start(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        world.trust(pki.csms_root)
        assert entries(world) == 0
        again = await world.crash()
        assert entries(again) == 1

    in_world(scenario, tmp_path)


def test_a_root_that_begins_later_may_be_installed_ahead(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        pki = Pki(world.clock.now())
        later = pki.root("Later", not_before=world.clock.now() + timedelta(days=3))
        assert (await install(world, CSMS, later)).status == "Accepted"

    in_world(scenario, tmp_path)
