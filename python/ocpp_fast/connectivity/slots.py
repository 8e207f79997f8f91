"""The network configuration of a station: its slots, which are tried, which has proved good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.config import CLIENT_CERTIFICATE_PROFILE, TLS_PROFILE
from ocpp_fast.connectivity.access import VARIABLES, Access, number_of
from ocpp_fast.connectivity.credentials import CommonCredentials
from ocpp_fast.connectivity.migration import migrate
from ocpp_fast.connectivity.rules import (
    DOWNGRADE,
    INVALID,
    NetworkSlot,
    Objection,
    apn_of,
    content_objection,
    endpoint,
    forbids,
    vpn_of,
)
from ocpp_fast.connectivity.standing import Standing
from ocpp_fast.device_model.facts import slot_values
from ocpp_fast.device_model.handle import DEFAULT
from ocpp_fast.errors import ConnectFailed, ConnectFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.config import StationConfig
    from ocpp_fast.connectivity.rules import LinkCertificates
    from ocpp_fast.device_model.model import DeviceModel
    from ocpp_fast.restoring import Restart
    from ocpp_fast.storage.base import Storage

__all__ = ["NetworkSlot", "Slots"]


class Slots:
    """Reads the slots from the device model, and keeps there and in the storage which is in use.

    Nothing here dials. What the CSMS may change is asked here and answered in
    `blocks.network_profiles`.
    """

    prefix = "network."

    def __init__(
        self,
        device_model: DeviceModel,
        config: StationConfig,
        storage: Storage,
        certificates: LinkCertificates | None = None,
    ) -> None:
        """Without `certificates` there is nobody to ask, and all that a profile needs is there."""
        self._model = device_model
        self._config = config
        self._certificates = certificates
        self.access = Access(device_model)
        """The variables of the slots."""
        self.common = CommonCredentials(self.access, config)
        """The credentials of slots that have none of their own."""
        self._standing = Standing(self.access, storage)
        self._active: int | None = None

    async def restore(self, facts: Mapping[str, str], _restart: Restart) -> None:
        """See `DurablePart.restore`. Finishes what a power cut has interrupted, and moves the
        profiles of an older libocpp into the slots, see `migration`. The storage and the device
        model are open already. Raises `StorageError`, after which it may be tried again."""
        self._standing.open(facts)
        if self._standing.profile is not None:
            self.access.write("SecurityCtrlr", "SecurityProfile", str(self._standing.profile))
        if self.last_good is not None:
            self.access.write("OCPPCommCtrlr", "ActiveNetworkProfile", str(self.last_good))
        await self._standing.complete(self.known)
        await migrate(self.access, self.known, self.common)

    # --- which there are ----------------------------------------------------------------------

    @property
    def known(self) -> tuple[int, ...]:
        """The slots that there are, whether something is in them or not (B09.FR.05, B09.FR.06)."""
        return self.access.known or self._configured

    @property
    def priority(self) -> tuple[int, ...]:
        """The slots of NetworkConfigurationPriority, the first one first."""
        return self.access.priority or self._configured

    @property
    def active(self) -> int | None:
        """The slot of the link that there is, or else of the last one; None before the first."""
        return self._active

    @property
    def last_good(self) -> int | None:
        """The slot of the last connection on which the CSMS has accepted the station; survives the
        end of the process."""
        return self._standing.slot

    @property
    def profile(self) -> int:
        """The security profile in use."""
        shown = self.access.text("SecurityCtrlr", "SecurityProfile")
        return number_of(shown) or 0

    @property
    def _configured(self) -> tuple[int, ...]:
        """Where the component files know of no slots."""
        return tuple(slot_values(self._config))

    # --- what is in one -----------------------------------------------------------------------

    def read(self, slot: int, *, former: bool = False) -> NetworkSlot:
        """How a slot is to be dialled now; with `former`, and if there is such, as it was when it
        was good and before the CSMS has overwritten it. Raises `ConnectFailed`, with the reason,
        for one that cannot be dialled."""
        kept = self._standing.former
        is_former = former and kept is not None and kept[0] == slot
        if is_former and kept is not None:
            texts = {**dict.fromkeys(VARIABLES), **kept[1]}
            objection = content_objection(texts, self.common.identity)
        else:
            texts = self._texts(slot)
            objection = self._objection(slot, texts)
        if objection is not None:
            raise ConnectFailed(ConnectFailure.SLOT, objection)
        profile = number_of(texts["SecurityProfile"]) or 0
        identity = texts["Identity"] or self.common.identity
        timeout_s = number_of(texts["MessageTimeout"]) or self._model.variables.message_timeout_s
        return NetworkSlot(
            slot=slot,
            csms_url=endpoint(texts["OcppCsmsUrl"] or "", profile, identity),
            security_profile=profile,
            interface=texts["OcppInterface"] or "Any",
            ocpp_transport=texts["OcppTransport"] or "JSON",
            message_timeout_s=float(timeout_s),
            identity=identity,
            password=texts["BasicAuthPassword"] or self.common.password,
            apn=apn_of(texts),
            vpn=vpn_of(texts),
            is_former=is_former,
        )

    def _objection(self, slot: int, texts: Mapping[str, str | None]) -> str | None:
        """Why a slot cannot be dialled; None if it can.

        Slots that the integrator has configured are trusted: only of those that the CSMS has made
        the security profile must not be below the one of the last good connection (A05.FR.06), nor
        0 unless AllowSecurityLevelZeroConnections says so.
        """
        if slot not in self.known:
            return "there is no such slot"
        if (objection := content_objection(texts, self.common.identity)) is not None:
            return objection
        profile = number_of(texts["SecurityProfile"]) or 0
        if not self.access.is_local(slot):
            good = self._standing.profile
            if good is not None and self._forbids(good, profile):
                return f"security profile {profile} is weaker than {good}, the one in use"
            if profile == 0 and not self._allows_profile_0():
                return "security profile 0 is not allowed"
        return None

    def listing_objection(self, slot: int, pending: Mapping[int, str]) -> Objection | None:
        """Why the CSMS may not take a slot into use (A05.FR.02, A05.FR.03, A05.FR.09, A05.FR.10,
        B09.FR.34, B10.FR.02); None if it may.

        `pending` are values that are about to be set, by the numbers of the cache.
        """
        if slot not in self.known:
            return Objection(INVALID, "there is no such slot")
        texts = self._texts(slot, pending)
        if (text := content_objection(texts, self.common.identity)) is not None:
            return Objection(INVALID, text)
        profile = number_of(texts["SecurityProfile"]) or 0
        local = self.access.is_local(slot, pending)
        if (objection := self.profile_objection(profile, local=local)) is not None:
            return objection
        missing = self._missing(profile, upgrade=profile > self.profile)
        return None if missing is None else Objection(INVALID, missing)

    def profile_objection(self, profile: int, *, local: bool = False) -> Objection | None:
        """Why the CSMS may not have a slot of this security profile (A00.FR.005); `local`: the
        integrator has made it."""
        current = self.profile
        if self._forbids(current, profile):
            text = f"security profile {profile} is weaker than {current}, the one in use"
            return Objection(DOWNGRADE, text)
        if profile == 0 and not local and not self._allows_profile_0():
            return Objection(INVALID, "security profile 0 is not allowed")
        return None

    def _texts(self, slot: int, pending: Mapping[int, str] | None = None) -> dict[str, str | None]:
        texts = self.access.texts(slot, pending)
        number = self.access.number(slot, "SecurityProfile")
        if number < 0:  # Not in the component files.
            texts |= slot_values(self._config).get(slot, {})
        if (
            texts["SecurityProfile"] == "0"
            and (number < 0 or self._is_open(slot, number))
            and (texts["BasicAuthPassword"] or self.common.password)
        ):
            # Nobody has said that there is to be none, and meanwhile there is a password.
            texts["SecurityProfile"] = "1"
        return texts

    def _is_open(self, slot: int, number: int) -> bool:
        """Whether the configuration leaves it to the password which profile a slot has."""
        if self.access.source(number) != DEFAULT or slot not in slot_values(self._config):
            return False
        of = self._config if slot == 1 else self._config.slots[slot - 2]
        return of.security_profile is None

    def _forbids(self, current: int, wanted: int) -> bool:
        allow = self.access.text("SecurityCtrlr", "AllowSecurityProfileDowngrade") == "true"
        return forbids(current, wanted, allow_downgrade=allow)

    def _allows_profile_0(self) -> bool:
        return self.access.text("InternalCtrlr", "AllowSecurityLevelZeroConnections") == "true"

    def _missing(self, profile: int, *, upgrade: bool) -> str | None:
        """Which certificate a security profile needs and has not.

        For an upgrade a root that the operating system brings will not do, and the station's own
        certificate has to be valid. Nobody asks this at a dial: there a missing root is a CSMS
        that cannot be verified, which is a security event (A00.FR.310), and whether an expired
        client certificate will do is for the CSMS to say (A00.FR.430).
        """
        certificates = self._certificates
        if certificates is None or profile < TLS_PROFILE:
            return None
        system = self.access.text("InternalCtrlr", "UseSslDefaultVerifyPaths") == "true"
        if (upgrade or not system) and not certificates.has_csms_root():
            return f"security profile {profile} needs a CSMS root certificate, none is valid"
        needs_own = upgrade and profile >= CLIENT_CERTIFICATE_PROFILE
        if needs_own and not certificates.has_client_certificate():
            return f"security profile {profile} needs a client certificate, none is valid"
        return None

    # --- what becomes of it -------------------------------------------------------------------

    def connected(self, slot: NetworkSlot) -> None:
        """There is a link over this slot: the device model says so, and SecurityCtrlr has the
        slot's own credentials if it has some (B09.FR.28). Nothing of this survives a restart."""
        self._active = slot.slot
        self.access.write("OCPPCommCtrlr", "ActiveNetworkProfile", str(slot.slot))
        self.access.write("SecurityCtrlr", "SecurityProfile", str(slot.security_profile))
        if slot.message_timeout_s != self._model.variables.message_timeout_s:
            self._model.write(message_timeout_s=slot.message_timeout_s)
        self.common.show(None if slot.is_former else slot.slot)

    async def overwriting(self, slot: int) -> None:
        """The CSMS is about to give this slot other content. If it is the one to come back to, what
        it has is kept until something else has proved good. Raises `StorageError`."""
        good = self._active if self.last_good is None else self.last_good
        if slot == good:
            await self._standing.keep(slot, self._texts(slot))

    async def confirmed(self, slot: NetworkSlot) -> None:
        """The CSMS has accepted the station over this slot: it is the one to come back to, its
        security profile is the least that will do from now on, and slots with a weaker one are
        emptied and no longer listed (A05.FR.06). Durable when this returns, or when the storage
        works again at the next such moment; see `Standing` for what a power cut leaves."""
        await self._standing.confirm(
            slot.slot, slot.security_profile, self.known, former=slot.is_former
        )
