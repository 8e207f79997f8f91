"""Who may charge, and which EVSE a token is meant for: C01, C02, C05, C09, C15."""

from typing import Any

import pytest

from ocpp_fast.config import TxPoint
from ocpp_fast.messages import OcppVersion
from ocpp_fast.station import TokenResult
from pair.station_kit import TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


def authorize_as(version: OcppVersion, **info: Any) -> dict[str, Any]:
    def answer(_station: object, _request: object) -> Any:
        m: Any = version.module
        return m.AuthorizeResponse(id_token_info=m.IdTokenInfoType(**info))

    return {"Authorize": answer}


@versions
def test_c01_fr_02_a_token_is_authorized_by_the_csms(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        outcome = await site.station.swipe(TOKEN)
        assert (outcome.result, outcome.evse_id) == (TokenResult.STARTED, 1)
        assert site.sent("Authorize") == [{"idToken": {"idToken": TOKEN, "type": "ISO14443"}}]

    at_site(scenario, version)


@versions
@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid", "NotAtThisLocation"])
def test_c01_fr_01_no_energy_for_a_token_that_is_not_accepted(
    version: OcppVersion, status: str
) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        outcome = await site.station.swipe(TOKEN, 1)
        assert (outcome.result, outcome.status) == (TokenResult.REFUSED, status)
        await site.clock.sleep(10)
        assert site.station.hardware[1].power_w == 0
        assert site.transactions == [], "E02.FR.20: a failed authorization is no event"

    at_site(scenario, version, handlers=authorize_as(version, status=status))


@versions
def test_c01_fr_03_25_the_token_that_started_stops_without_asking(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe("aBcD", 1)
        await site.clock.sleep(5)
        outcome = await site.station.swipe("AbCd")
        assert (outcome.result, outcome.evse_id) == (TokenResult.STOPPED, 1)
        assert len(site.sent("Authorize")) == 1

    at_site(scenario, version)


def test_another_token_does_not_stop_it() -> None:
    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        outcome = await site.station.swipe("SOMEBODY", 1)
        assert outcome.result is TokenResult.NO_USE
        assert site.station.evse(1).state == "charging"

    at_site(scenario)


def test_c09_a_token_of_the_same_group_does() -> None:
    m: Any = OcppVersion.V21.module
    family = m.IdTokenType(id_token="FAMILY", type="Central")

    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        outcome = await site.station.swipe("PARTNER", 1)
        assert outcome.result is TokenResult.STOPPED
        await site.clock.sleep(1)
        ended = site.sent("TransactionEvent")[-1]
        assert ended["idToken"]["idToken"] == "PARTNER", "E07.FR.02"
        assert len(site.sent("Authorize")) == 2

    handlers = authorize_as(OcppVersion.V21, status="Accepted", group_id_token=family)
    at_site(scenario, handlers=handlers)


def test_but_first_it_starts_at_an_evse_where_a_car_waits() -> None:
    m: Any = OcppVersion.V21.module
    family = m.IdTokenType(id_token="FAMILY", type="Central")

    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        await site.station.plug_in(2)
        outcome = await site.station.swipe("PARTNER")
        assert (outcome.result, outcome.evse_id) == (TokenResult.STARTED, 2)
        assert site.station.evse(1).state == "charging"

    handlers = authorize_as(OcppVersion.V21, status="Accepted", group_id_token=family)
    at_site(scenario, handlers=handlers)


def test_the_car_plugged_in_last_is_meant() -> None:
    async def scenario(site: Site) -> None:
        for evse_id in (2, 1, 3):
            await site.station.plug_in(evse_id)
            await site.clock.sleep(1)
        outcomes = [await site.station.swipe(f"CARD{n}") for n in range(3)]
        assert [outcome.evse_id for outcome in outcomes] == [3, 1, 2]

    at_site(scenario, evses=3)


def test_a_token_waits_for_the_cable_that_tells_the_evse() -> None:
    async def scenario(site: Site) -> None:
        outcome = await site.station.swipe(TOKEN)
        assert outcome.result is TokenResult.WAITING
        await site.clock.sleep(10)
        await site.station.plug_in(2)
        await site.clock.sleep(5)
        assert site.station.evse(2).state == "charging"
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        assert site.station.evse(1).state == "connected", "used once"

    at_site(scenario)


def test_c01_fr_26_it_does_not_wait_for_ever() -> None:
    async def scenario(site: Site) -> None:
        await site.station.swipe(TOKEN)
        await site.clock.sleep(25)
        await site.station.plug_in(2)
        await site.clock.sleep(5)
        assert site.station.evse(2).state == "connected"

    at_site(scenario, variables={"ev_connection_timeout_s": 20})


@versions
def test_c01_fr_20_21_a_token_for_some_evses_only(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        outcome = await site.station.swipe(TOKEN, 1)
        assert outcome.result is TokenResult.NO_USE
        await site.station.plug_in(2)
        outcome = await site.station.swipe(TOKEN)
        assert (outcome.result, outcome.evse_id) == (TokenResult.STARTED, 2)

    at_site(scenario, version, handlers=authorize_as(version, status="Accepted", evse_id=[2]))


@versions
@pytest.mark.parametrize("kind", ["Central", "NoAuthorization"])
def test_c02_c05_some_tokens_are_never_asked_about(version: OcppVersion, kind: str) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        token = m.IdTokenType(id_token="", type=kind)
        response = await site.station.charge_point.validate_token(token)
        assert response.id_token_info.status == "Accepted"
        assert site.sent("Authorize") == []

    at_site(scenario, version)


@versions
def test_c01_fr_01_without_auth_ctrlr_a_cable_is_enough(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        assert site.station.evse(1).state == "charging"
        (started, *_) = site.sent("TransactionEvent")
        assert started["idToken"] == {"idToken": "", "type": "NoAuthorization"}, "C02.FR.01"
        assert site.sent("Authorize") == []

    at_site(scenario, version, variables={"auth_enabled": False})


@versions
@pytest.mark.parametrize("allowed", [True, False])
def test_c15_a_token_presented_offline(version: OcppVersion, *, allowed: bool) -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=600)
        await site.clock.sleep(1)
        await site.station.plug_in(1)
        outcome = await site.station.swipe(TOKEN, 1)
        assert outcome.result == (TokenResult.STARTED if allowed else TokenResult.REFUSED)
        assert outcome.status == ("Accepted" if allowed else "Unknown")

    at_site(scenario, version, variables={"offline_tx_for_unknown_id_enabled": allowed})


@pytest.mark.parametrize("failure", ["error", "silence"])
def test_a_csms_that_cannot_say_accepts_nobody(failure: str) -> None:
    def answer(_station: object, _request: object) -> Any:
        raise ValueError("a bug of the CSMS")

    async def scenario(site: Site) -> None:
        assert site.link is not None
        if failure == "silence":
            site.link.to_left.drop_rate = 1.0
        outcome = await site.station.swipe(TOKEN, 1)
        assert (outcome.result, outcome.status) == (TokenResult.REFUSED, "Unknown")

    at_site(scenario, handlers={"Authorize": answer})


def test_after_its_end_a_transaction_needs_a_new_plug_where_the_cable_starts_it() -> None:
    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        await site.station.swipe("CARD1", 1)
        await site.clock.sleep(1)
        outcome = await site.station.swipe("CARD1", 1)
        assert outcome.result is TokenResult.NO_USE
        assert site.station.hardware[1].power_w == 0
        await site.station.unplug(1)
        await site.charge_without_end(1)
        assert len(site.transactions) == 2

    variables = {
        "tx_start_point": frozenset({TxPoint.EV_CONNECTED}),
        "tx_stop_point": frozenset({TxPoint.AUTHORIZED}),
    }
    at_site(scenario, variables=variables)


def test_c01_fr_23_a_stopped_transaction_goes_on_with_its_own_token_only() -> None:
    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        await site.station.swipe("CARD1", 1)
        await site.clock.sleep(1)
        assert (await site.station.swipe("OTHER", 1)).result is TokenResult.NO_USE
        assert (await site.station.swipe("CARD1", 1)).result is TokenResult.STARTED
        await site.clock.sleep(5)
        assert len(site.transactions) == 1
        assert site.events()[-1][2] == "Charging"

    at_site(scenario, variables={"tx_stop_point": frozenset({TxPoint.EV_CONNECTED})})


def test_an_evse_that_has_a_driver_or_a_fault_takes_no_other() -> None:
    async def scenario(site: Site) -> None:
        evse = site.station.evse(1)
        await site.station.plug_in(1)
        assert evse.can_authorize()
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert not evse.can_authorize()
        assert await evse.authorize(site.station.token("ANOTHER")) is False
        assert (await site.station.swipe(TOKEN)).result is TokenResult.STOPPED
        await evse.faulted()
        assert not evse.can_authorize()
        assert await evse.authorize(site.station.token(TOKEN)) is False

    at_site(scenario)


def test_c01_fr_23_the_next_transaction_is_for_anybody() -> None:
    """Also when nobody is authorized yet at its start."""

    async def scenario(site: Site) -> None:
        evse = site.station.evse(1)
        for card in (TOKEN, "ANOTHER"):
            await evse.bay_changed(occupied=True)
            await site.station.plug_in(1)
            outcome = await site.station.swipe(card, 1)
            assert outcome.result is TokenResult.STARTED
            await site.clock.sleep(5)
            assert evse.state == "charging"
            await site.station.swipe(card, 1)
            await site.station.unplug(1)
            await evse.bay_changed(occupied=False)
            await site.clock.sleep(5)
        assert len(site.transactions) == 2

    bay = frozenset({TxPoint.PARKING_BAY_OCCUPANCY})
    at_site(scenario, variables={"tx_start_point": bay, "tx_stop_point": bay})


@pytest.mark.parametrize("where", [1, None])
def test_c01_fr_23_also_before_its_ev_is_plugged_in_again(where: int | None) -> None:
    """Its driver has ended his authorization and pulled the plug; the bay is still occupied."""

    async def scenario(site: Site) -> None:
        first = site.station.evse(1)
        await first.bay_changed(occupied=True)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        await site.station.swipe(TOKEN, 1)
        await site.station.unplug(1)
        await site.clock.sleep(5)
        taken = site.station.hardware[1].energy_wh
        outcome = await site.station.swipe("ANOTHER", where)
        assert outcome.result is (TokenResult.NO_USE if where else TokenResult.WAITING)
        assert not await first.authorize(site.station.token("ANOTHER"))
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        assert (first.state, site.station.hardware[1].energy_wh) == ("connected", taken)
        if where is None:
            await site.station.evse(2).bay_changed(occupied=True)
            await site.station.plug_in(2)
            await site.clock.sleep(5)
            assert site.station.evse(2).state == "charging", "it waits for its own cable"
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert first.state == "charging"

    bay = frozenset({TxPoint.PARKING_BAY_OCCUPANCY})
    at_site(scenario, variables={"tx_start_point": bay, "tx_stop_point": bay})
