"""Security events (A04): which there are, who is told, and how often."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import text_of
from ocpp_fast.errors import ConnectFailed, ConnectFailure, StorageError, StorageFull
from ocpp_fast.storage.base import SecurityLogRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.errors import OcppError
    from ocpp_fast.storage.base import Storage

__all__ = ["CRITICAL", "DATABASE_CORRUPTED", "STORAGE_FAILED", "SecurityEvents"]

_log = logging.getLogger(__name__)

_ACTION: Final = "SecurityEventNotification"
_MAX_TYPE: Final = 50
_MAX_TECH_INFO: Final = 255
_MAX_CAUSES: Final = 100
"""Causes that are remembered; more would mean that somebody makes them up."""
_ALL: Final = "*"

DATABASE_CORRUPTED: Final = "DatabaseCorrupted"
"""Type of our own, since none of the appendix fits: the durable state could not be read. It was set
aside, where techInfo says; what could be saved of it is in a new one."""

STORAGE_FAILED: Final = "StorageFailed"
"""Type of our own: nothing can be stored, though the disk is not full."""

_MEMORY: Final = "MemoryExhaustion"

CRITICAL: Final[Mapping[str, bool]] = MappingProxyType(
    {
        "FirmwareUpdated": True,
        "FailedToAuthenticateAtCsms": False,
        "CsmsFailedToAuthenticate": False,
        "SettingSystemTime": True,
        "StartupOfTheDevice": True,
        "ResetOrReboot": True,
        "SecurityLogWasCleared": True,
        "ReconfigurationOfSecurityParameters": False,
        "MemoryExhaustion": True,
        "InvalidMessages": False,
        "AttemptedReplayAttacks": False,
        "TamperDetectionActivated": True,
        "InvalidFirmwareSignature": True,
        "InvalidFirmwareSigningCertificate": True,
        "InvalidCsmsCertificate": True,
        "InvalidChargingStationCertificate": True,
        "DiscardedRenewedClientCertificate": True,
        "InvalidTLSVersion": True,
        "InvalidTLSCipherSuite": True,
        "MaintenanceLoginAccepted": True,
        "MaintenanceLoginFailed": True,
        DATABASE_CORRUPTED: True,
        STORAGE_FAILED: True,
    }
)
"""Every type of the appendix, and ours: whether the CSMS is told (A04.FR.01). The two versions
differ in DiscardedRenewedClientCertificate alone, which an erratum brings to 2.0.1."""

# A00.FR.310, A00.FR.316, A00.FR.323 and their like of profile 3 (A00.FR.413, 419, 426).
_OF_FAILURE: Final[Mapping[ConnectFailure, str]] = MappingProxyType(
    {
        ConnectFailure.CERTIFICATE: "InvalidCsmsCertificate",
        ConnectFailure.TLS_VERSION: "InvalidTLSVersion",
        ConnectFailure.TLS_CIPHER: "InvalidTLSCipherSuite",
        ConnectFailure.CLIENT_CERTIFICATE: "FailedToAuthenticateAtCsms",
    }
)
_UNAUTHORIZED: Final = frozenset({401, 403})

_REBOOTS: Final = frozenset(
    {"ApplicationReset", "LocalReset", "RemoteReset", "ScheduledReset", "Triggered", "Watchdog"}
)


class SecurityEvents:
    """Tells the CSMS of critical security events, with guaranteed delivery, and keeps all events
    in the security log.

    Two variables of the device model change that, both live; a type needs only be named in them:
    InternalCtrlr.SecurityEventsNotTold are types that the CSMS is never told, `*` for all of them;
    InternalCtrlr.SecurityEventsTold are types that it is told though they are not critical.
    """

    def __init__(self, context: Context, device_model: DeviceModel, storage: Storage) -> None:
        self._context = context
        self._device_model = device_model
        self._storage = storage
        self._standing: dict[str, tuple[str, int]] = {}
        """Cause -> type, and how often it came again."""

    async def notify(
        self,
        kind: str,
        tech_info: str | None = None,
        *,
        critical: bool | None = None,
        cause: str | None = None,
    ) -> None:
        """An event has happened (A04.FR.01, A04.FR.02, A04.FR.04).

        `kind` is one of the appendix where one fits; unless `critical` says so, another is told
        to the CSMS. What is to be told is durable when this returns, and goes at once or when the
        CSMS has accepted the station. `tech_info` must not hold a secret (A01.FR.12); it becomes
        one line and is cut to what the message can hold.

        With a `cause`, the same cause is noted once until `over` says that it is gone.
        """
        if cause is not None and self._stands(cause, kind):
            return
        if critical is None:
            critical = CRITICAL.get(kind, True)
        context = self._context
        now = context.clock.now()
        kind, line = kind[:_MAX_TYPE], _one_line(tech_info)
        told = self._is_told(kind, critical=critical)
        _log.warning("security event %s: %s", kind, line)
        if told:
            request = context.messages.SecurityEventNotificationRequest(
                type=kind, timestamp=now, tech_info=line
            )
            # A lane of its own each: none waits for another, or for what was queued offline.
            lane = f"{_ACTION} {context.ids.message_id()}"
            await context.delivery.post(
                context.version, _ACTION, request, lane, opens=True, closes=True
            )
        await self._note(SecurityLogRow(now.isoformat(), kind, line, told))

    def report(
        self,
        kind: str,
        tech_info: str | None = None,
        *,
        critical: bool | None = None,
        cause: str | None = None,
    ) -> None:
        """Like `notify`, for who cannot wait."""
        work = self.notify(kind, tech_info, critical=critical, cause=cause)
        self._context.spawn(work, f"security event {kind}")

    def over(self, cause: str) -> None:
        """The cause is gone: when it comes again it is a new event. If it came more than once, the
        security log says how often."""
        kind, repeats = self._standing.pop(cause, ("", 0))
        if repeats:
            now = self._context.clock.now().isoformat()
            row = SecurityLogRow(now, kind, f"came {repeats} more times", critical=False)
            self._context.spawn(self._note(row), "security log")

    # --- what has happened ----------------------------------------------------------------

    def connect_failed(self, error: OcppError) -> None:
        """No link came to be. Raises the event of the appendix if it was a matter of security, once
        until there is a link again, however often the station dials (A00.FR.316, A00.FR.419)."""
        kind = _kind_of(error)
        if kind is not None:
            self.report(kind, str(error), cause=f"connect: {kind}")

    def connected(self) -> None:
        """There is a link: whatever fails from now on is news."""
        for cause in [each for each in self._standing if each.startswith("connect: ")]:
            self.over(cause)

    async def started(self, boot_reason: str) -> None:
        """The station has started, for this BootReasonEnumType."""
        if boot_reason == "FirmwareUpdate":
            kind = "FirmwareUpdated"
        else:
            kind = "ResetOrReboot" if boot_reason in _REBOOTS else "StartupOfTheDevice"
        await self.notify(kind, f"boot reason {boot_reason}")

    async def storage_set_aside(self, path: str) -> None:
        """The durable state was damaged: what is left of it is kept at `path`."""
        _log.error("the database was damaged; it is kept as %s, what could be saved is used", path)
        await self.notify(DATABASE_CORRUPTED, f"kept as {path}")

    def storage_health(self, error: StorageError | None) -> None:
        """Nothing can be stored, so that a power loss would cost what is kept in memory; None: it
        can be again."""
        cause = "storage"
        if error is None:
            self.over(cause)
        else:
            kind = _MEMORY if isinstance(error, StorageFull) else STORAGE_FAILED
            self.report(kind, str(error), cause=cause)

    def queue_is_full(self, text: str) -> None:
        """More is waiting for the CSMS than can be kept: once until the next start."""
        self.report(_MEMORY, text, cause="queue")

    # --- inside ---------------------------------------------------------------------------

    def _stands(self, cause: str, kind: str) -> bool:
        """Whether the cause was noted before; from now on it was."""
        known = self._standing.get(cause)
        if known is not None:
            self._standing[cause] = (kind, known[1] + 1)
            return True
        if len(self._standing) >= _MAX_CAUSES:
            self.over(next(iter(self._standing)))
        self._standing[cause] = (kind, 0)
        return False

    def _is_told(self, kind: str, *, critical: bool) -> bool:
        never = self._types("SecurityEventsNotTold")
        if kind in never or _ALL in never:
            return False
        if critical:
            return True
        always = self._types("SecurityEventsTold")
        return kind in always or _ALL in always

    def _types(self, variable: str) -> frozenset[str]:
        text = text_of(self._device_model, "InternalCtrlr", variable) or ""
        return frozenset(word.strip() for word in text.split(","))

    async def _note(self, row: SecurityLogRow) -> None:
        try:
            await self._storage.security_log_append((row,))
        except StorageError as error:  # The CSMS is to be told all the same.
            _log.error("the security log does not take %s: %s", row.kind, error)


def _kind_of(error: OcppError) -> str | None:
    if not isinstance(error, ConnectFailed):
        return None
    if error.failure is ConnectFailure.HTTP and error.http_status in _UNAUTHORIZED:
        return "FailedToAuthenticateAtCsms"
    return _OF_FAILURE.get(error.failure)


def _one_line(text: str | None) -> str | None:
    """Without line ends and other characters that nobody sees."""
    if text is None:
        return None
    seen = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(seen.split())[:_MAX_TECH_INFO]
