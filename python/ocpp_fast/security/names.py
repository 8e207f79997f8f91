"""Whether a certificate belongs to the host that was dialled.

OCPP wants the host name of the CSMS as the common name (A00.FR.309, 412, 510) and allows further
names in the subjectAltName where a CSMS can be reached in several ways (A00.FR.511). So one of them
has to be equal to the host: the whole name, without regard to case, internationalised names in
their ASCII form. A wildcard stands for one whole label, the leftmost, and only counts where it is
allowed (AllowCSMSTLSWildcards; the errata of both versions recommend not to).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, TypeAlias
from unicodedata import normalize

from cryptography import x509
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["common_names", "dns_names", "host_objection", "printable"]

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_NAME: Final = 253
_MIN_LABELS_BELOW_WILDCARD: Final = 2
_SHOWN: Final = 3
_SHOWN_LENGTH: Final = 80


def host_objection(
    certificate: x509.Certificate,
    host: str,
    *,
    allow_wildcards: bool = False,
    common_name_counts: bool = True,
) -> str | None:
    """Why `certificate` is not that of `host`, as the end of a sentence; None if it is.

    `host` is a host name or an IP address, as it stands in a URL. An address is looked for in the
    subjectAltName and, written as text, in all names; a wildcard never covers one. Without
    `common_name_counts` only the subjectAltName is looked at.
    A00.FR.309, A00.FR.412, A00.FR.510, A00.FR.511.
    """
    try:
        names = list(dns_names(certificate))
        if common_name_counts:
            names = [*common_names(certificate), *names]
        addresses = _addresses(certificate)
    except ValueError:
        return "has names that cannot be read"
    address = _address(host)
    if address is not None:
        covered = address in addresses or address in map(_address, names)
        wildcard, shown = None, str(address)
    else:
        wanted = _ascii(host, mapped=True)
        if wanted is None:
            return f"cannot be that of {printable(host)}, which is no host name"
        covered = wanted in map(_ascii, names)
        wildcard, shown = _wildcard(names, wanted), wanted
    if covered or (wildcard is not None and allow_wildcards):
        return None
    if wildcard is not None:
        return f"has the wildcard name {printable(wildcard)}, which is not allowed"
    return f"is for {_shown([*names, *map(str, addresses)])}, not for {shown}"


def common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The common names in the subject; nearly always there is one."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(each.value for each in found if isinstance(each.value, str) and each.value)


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names in the subjectAltName. Raises `ValueError` if it cannot be read."""
    names = _alternatives(certificate)
    return () if names is None else tuple(names.get_values_for_type(x509.DNSName))


def printable(text: str) -> str:
    """What a stranger has written, fit for one line of a log."""
    short = text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."
    return short if short.isprintable() else ascii(short)


def _addresses(certificate: x509.Certificate) -> tuple[_Address, ...]:
    names = _alternatives(certificate)
    if names is None:
        return ()
    found = names.get_values_for_type(x509.IPAddress)
    return tuple(
        each for each in found if isinstance(each, (ipaddress.IPv4Address, ipaddress.IPv6Address))
    )


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error
    return extension.value


def _address(text: str) -> _Address | None:
    try:
        # In a URL an IPv6 address stands in brackets; a zone is of this computer alone.
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _ascii(name: str, *, mapped: bool = False) -> str | None:
    """The name in lower case and ASCII, without the dot at its end; None if it is no host name.

    With `mapped` letters are replaced by those that the look-up of a host name takes for them.
    That is right for what we dial; in a certificate it would let one name pass for another.
    """
    name = name.removesuffix(".")
    if not name.isascii():  # asked before `lower`, which makes a k of the Kelvin sign
        try:
            encoded = name.encode("idna").decode("ascii")
            same = encoded.encode("ascii").decode("idna") == name.lower()
            if not mapped and not (same and normalize("NFKC", name) == name):
                return None
        except UnicodeError:
            return None
        name = encoded
    name = name.lower()
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        return None
    return name


def _wildcard(names: Iterable[str], host: str) -> str | None:
    """That of the names which covers the host: `*.` and a name of at least two labels, which the
    host has after its first."""
    for name in names:
        below = _ascii(name.removeprefix("*.")) if name.startswith("*.") else None
        if below is None or below.count(".") + 1 < _MIN_LABELS_BELOW_WILDCARD:
            continue
        if host.partition(".")[2] == below:
            return name
    return None


def _shown(names: Iterable[str]) -> str:
    different = list(dict.fromkeys(names))
    if not different:
        return "no name"
    more = len(different) - _SHOWN
    shown = ", ".join(printable(name) for name in different[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
