"""What a slot of the network configuration may be: pure rules over texts and numbers (B09, A05)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from ocpp_fast.config import INTERFACES, MAX_SECURITY_PROFILE, TLS_PROFILE
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.transport.handshake import check_identity, connection_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocpp_fast.messages import v21

__all__ = [
    "ACTIVE",
    "DOWNGRADE",
    "INVALID",
    "UNKNOWN_SLOT",
    "Apn",
    "LinkCertificates",
    "NetworkSlot",
    "Objection",
    "Vpn",
    "apn_of",
    "content_objection",
    "endpoint",
    "forbids",
    "profile_texts",
    "slot_numbers",
    "value_objection",
    "vpn_of",
]

INVALID: Final = "InvalidNetworkConf"
"""Reason code of errata 2.2 and 2.5 of 2.1 (2.11 of 2.0.1): B09.FR.02, B09.FR.34."""
DOWNGRADE: Final = "NoSecurityDowngrade"
"""B09.FR.04, B09.FR.31, B09.FR.32, B09.FR.35."""
UNKNOWN_SLOT: Final = "InvalidConfSlot"
"""B09.FR.05."""
ACTIVE: Final = "ActiveNetworkConf"
"""B09.FR.22."""

_PASSWORD: Final = 16
"""Fewest characters of a password (A00.FR.205)."""
_MAX_URL: Final = 2_000
_DIALLED: Final = ("OcppTransport", "SecurityProfile", "Identity", "OcppInterface")
"""What can make a slot useless by its own value, besides the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apn:
    """The mobile network that a slot needs (APNType)."""

    apn: str
    authentication: str
    """APNAuthenticationEnumType."""
    user_name: str | None = None
    password: str | None = field(default=None, repr=False)
    sim_pin: str | None = field(default=None, repr=False)
    preferred_network: str | None = None
    """MCC and MNC of the operator."""
    use_only_preferred_network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpn:
    """The VPN that a slot needs (VPNType)."""

    server: str
    type: str
    """VPNEnumType."""
    user: str
    group: str | None = None
    password: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    """The shared secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSlot:
    """One way to a CSMS, as it is to be dialled."""

    slot: int
    csms_url: str
    """`ws://` or `wss://` address as the security profile wants it, without the identity."""
    security_profile: int
    """0 to 3."""
    interface: str = "Any"
    """OcppInterfaceEnumType."""
    ocpp_transport: str = "JSON"
    message_timeout_s: float = 30.0
    identity: str
    """The slot's own, else that of SecurityCtrlr, else that of the configuration."""
    password: str | None = field(default=None, repr=False)
    """In the same order; None is to connect without."""
    apn: Apn | None = None
    """None: nothing has to be done about a mobile network."""
    vpn: Vpn | None = None
    is_former: bool = False
    """Whether this is what was in the slot before the CSMS has overwritten it, the way back."""


class Objection(NamedTuple):
    """Why the CSMS may not do something."""

    reason_code: str
    text: str


class LinkCertificates(Protocol):
    """What the certificate store is asked before a slot is taken into use."""

    def has_csms_root(self) -> bool:
        """Whether a CSMS root certificate is installed that is valid now (A05.FR.02)."""
        ...

    def has_client_certificate(self) -> bool:
        """Whether there is a certificate of the station, with its key, that is valid now
        (A05.FR.03)."""
        ...


def slot_numbers(text: str | None) -> tuple[int, ...]:
    """The slots that a list such as NetworkConfigurationPriority names, each once; what is no
    number is left out."""
    words = (word.strip() for word in (text or "").split(","))
    return tuple(dict.fromkeys(int(word) for word in words if word.isascii() and word.isdigit()))


def endpoint(url: str, profile: int, identity: str) -> str:
    """The address of the CSMS in a slot, without the identity of the station.

    The scheme may be missing, the security profile then says which it is. An identity that stands
    at the end nevertheless is taken away. Raises `ConfigurationError` for what is no address, and
    for a scheme that contradicts the profile.
    """
    if not url:
        raise ConfigurationError("it has no address")
    if len(url) > _MAX_URL:
        raise ConfigurationError(f"the address has more than {_MAX_URL} characters")
    if not url.isprintable() or " " in url:
        raise ConfigurationError("the address has spaces or control characters")
    scheme = "wss" if profile >= TLS_PROFILE else "ws"
    if "://" not in url:
        url = f"{scheme}://{url}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"not a ws:// or wss:// URL: {error}") from None
    connection_url(url, identity)  # All that concerns the address alone.
    if parts.scheme != scheme:
        raise ConfigurationError(
            f"{parts.scheme}:// contradicts security profile {profile}, which needs {scheme}://"
        )
    path, _, last = parts.path.rstrip("/").rpartition("/")
    if unquote(last) == identity:
        return urlunsplit(parts._replace(path=path))
    return url


def forbids(current: int, wanted: int, *, allow_downgrade: bool) -> bool:
    """Whether OCPP must not lead from security profile `current` to `wanted`.

    Never downwards, but from 3 to 2 where AllowSecurityProfileDowngrade says so (A00.FR.005,
    A05.FR.08 to A05.FR.10, B09.FR.04, B09.FR.31, B09.FR.32, B09.FR.35).
    """
    if wanted >= current:
        return False
    return not (allow_downgrade and wanted == TLS_PROFILE)


def content_objection(texts: Mapping[str, str | None], identity: str) -> str | None:
    """What is wrong with a slot of these variables of NetworkConfiguration, absent ones being
    None; None when it can be dialled (B09.FR.02, B09.FR.34, B10.FR.02). `identity` is the one that
    it falls back to."""
    for variable in _DIALLED:
        text = texts.get(variable)
        if text and (objection := value_objection(variable, text)):
            return objection
    profile = int(texts.get("SecurityProfile") or 0)
    try:
        endpoint(texts.get("OcppCsmsUrl") or "", profile, texts.get("Identity") or identity)
    except ConfigurationError as error:
        return str(error)
    if texts.get("ApnEnabled") == "true" and not texts.get("Apn"):
        return "ApnEnabled is true, and there is no Apn"
    if texts.get("VpnEnabled") == "true" and not texts.get("VpnServer"):
        return "VpnEnabled is true, and there is no VpnServer"
    return None


def value_objection(variable: str, text: str) -> str | None:
    """Why a variable of NetworkConfiguration cannot be that, whatever the others say (B09.FR.23,
    B09.FR.25); None if it can."""
    check = _CHECKS.get(variable)
    return None if check is None else check(text)


def _url_objection(text: str) -> str | None:
    objection: str | None = None
    for profile in (0, TLS_PROFILE) if text else ():
        try:
            endpoint(text, profile, "station")
        except ConfigurationError as error:
            objection = str(error)
        else:
            return None
    return objection


def _profile_objection(text: str) -> str | None:
    if text.isascii() and text.isdigit() and int(text) <= MAX_SECURITY_PROFILE:
        return None
    return f"there is no security profile {text}"


def _timeout_objection(text: str) -> str | None:
    if text.isascii() and text.isdigit() and int(text):
        return None
    return "MessageTimeout must be at least 1"


def _identity_objection(text: str) -> str | None:
    if text:
        try:
            check_identity(text)
        except ConfigurationError as error:
            return str(error)
    return None


def _password_objection(text: str) -> str | None:
    if 0 < len(text) < _PASSWORD:
        return f"a password has at least {_PASSWORD} characters"
    return None


def _one_of(words: Sequence[str]) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        return None if text in words else f"must be one of {', '.join(filter(None, words))}"

    return check


_CHECKS: Final[dict[str, Callable[[str], str | None]]] = {
    "OcppCsmsUrl": _url_objection,
    "SecurityProfile": _profile_objection,
    "OcppInterface": _one_of(INTERFACES),
    "OcppTransport": lambda text: None if text == "JSON" else f"{text} is not supported",
    "MessageTimeout": _timeout_objection,
    "Identity": _identity_objection,
    "BasicAuthPassword": _password_objection,
    "ApnAuthentication": _one_of(("", "PAP", "CHAP", "NONE", "AUTO")),
    "VpnType": _one_of(("", "IKEv2", "IPSec", "L2TP", "PPTP")),
}


def apn_of(texts: Mapping[str, str | None]) -> Apn | None:
    """The mobile network that a slot of these variables needs."""
    if texts.get("ApnEnabled") != "true":
        return None
    return Apn(
        apn=texts.get("Apn") or "",
        authentication=texts.get("ApnAuthentication") or "AUTO",
        user_name=texts.get("ApnUserName") or None,
        password=texts.get("ApnPassword") or None,
        sim_pin=texts.get("SimPin") or None,
        preferred_network=texts.get("PreferredNetwork") or None,
        use_only_preferred_network=texts.get("UseOnlyPreferredNetwork") == "true",
    )


def vpn_of(texts: Mapping[str, str | None]) -> Vpn | None:
    """The VPN that a slot of these variables needs."""
    if texts.get("VpnEnabled") != "true":
        return None
    return Vpn(
        server=texts.get("VpnServer") or "",
        type=texts.get("VpnType") or "",
        user=texts.get("VpnUser") or "",
        group=texts.get("VpnGroup") or None,
        password=texts.get("VpnPassword") or None,
        key=texts.get("VpnKey") or None,
    )


def profile_texts(profile: v21.NetworkConnectionProfileType) -> dict[str, str]:
    """A network profile, of either OCPP version, as variables of NetworkConfiguration (B09.FR.09).
    All that it may say and does not is emptied, ApnEnabled and VpnEnabled say whether there is one
    (B09.FR.11, B09.FR.12)."""
    texts = {
        "OcppCsmsUrl": profile.ocpp_csms_url,
        "SecurityProfile": str(profile.security_profile),
        "OcppInterface": str(profile.ocpp_interface),
        "OcppTransport": str(profile.ocpp_transport),
        "MessageTimeout": str(profile.message_timeout),
        # 2.0.1 has no credentials in it.
        "Identity": getattr(profile, "identity", None) or "",
        "BasicAuthPassword": getattr(profile, "basic_auth_password", None) or "",
    }
    if profile.ocpp_version is not None:
        texts["OcppVersion"] = str(profile.ocpp_version)
    return texts | _apn_texts(profile.apn) | _vpn_texts(profile.vpn)


def _apn_texts(apn: v21.APNType | None) -> dict[str, str]:
    if apn is None:
        return {
            "ApnEnabled": "false", "Apn": "", "ApnUserName": "", "ApnPassword": "", "SimPin": "",
            "PreferredNetwork": "", "UseOnlyPreferredNetwork": "false",
        }  # fmt: skip
    return {
        "ApnEnabled": "true",
        "Apn": apn.apn,
        "ApnUserName": apn.apn_user_name or "",
        "ApnPassword": apn.apn_password or "",
        "SimPin": "" if apn.sim_pin is None else str(apn.sim_pin),
        "PreferredNetwork": apn.preferred_network or "",
        "UseOnlyPreferredNetwork": "true" if apn.use_only_preferred_network else "false",
        "ApnAuthentication": str(apn.apn_authentication),
    }


def _vpn_texts(vpn: v21.VPNType | None) -> dict[str, str]:
    if vpn is None:
        names = ("VpnType", "VpnServer", "VpnUser", "VpnGroup", "VpnPassword", "VpnKey")
        return {"VpnEnabled": "false", **dict.fromkeys(names, "")}
    return {
        "VpnEnabled": "true",
        "VpnType": str(vpn.type),
        "VpnServer": vpn.server,
        "VpnUser": vpn.user,
        "VpnGroup": vpn.group or "",
        "VpnPassword": vpn.password,
        "VpnKey": vpn.key,
    }
