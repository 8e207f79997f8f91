"""The names that a certificate authority may vouch for (RFC 5280, sections 4.2.1.10 and 6.1).

Host names, IP addresses and distinguished names are compared. Constraints on other kinds of names
are only met by certificates that have no such name.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509

from ocpp_fast.security.certificates import common_names, is_self_issued

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["objection"]


def objection(path: Sequence[x509.Certificate]) -> str | None:
    """Why a name in the path (leaf first) is not allowed by an authority above it; None if all are.

    A CN that looks like a host name counts as one where no subjectAltName has any, since OCPP looks
    for the host there (A00.FR.510).
    """
    for index, authority in enumerate(path[1:], 1):
        constraints = _constraints(authority)
        if constraints is None:
            continue
        for place, certificate in enumerate(path[:index]):
            if place and is_self_issued(certificate):
                continue
            for name in _names(certificate, leaf=not place):
                if not _allowed(name, constraints):
                    return f"has a name that {_short(authority.subject)} may not vouch for"
    return None


def _constraints(certificate: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _names(certificate: x509.Certificate, *, leaf: bool) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DirectoryName(certificate.subject)]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names.extend(found.value)
    except x509.ExtensionNotFound:
        pass
    if leaf and not any(isinstance(name, x509.DNSName) for name in names):
        hosts = common_names(certificate.subject)
        names.extend(
            x509.DNSName(host)
            for host in hosts
            if "." in host and " " not in host and host.isascii()
        )
    return names


def _allowed(name: x509.GeneralName, constraints: x509.NameConstraints) -> bool:
    if not isinstance(name, x509.DNSName | x509.DirectoryName | x509.IPAddress):
        subtrees = (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
        return not _of_kind(name, subtrees)
    if any(_within(name, each) for each in _of_kind(name, constraints.excluded_subtrees)):
        return False
    permitted = _of_kind(name, constraints.permitted_subtrees)
    return not permitted or any(_within(name, each) for each in permitted)


def _of_kind(
    name: x509.GeneralName, subtrees: Iterable[x509.GeneralName] | None
) -> list[x509.GeneralName]:
    return [each for each in subtrees or () if type(each) is type(name)]


def _within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    """Whether a name lies in a subtree of its own kind."""
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        host, domain = name.value.lower(), subtree.value.lower().lstrip(".")
        return not domain or host == domain or host.endswith(f".{domain}")
    if isinstance(name, x509.DirectoryName) and isinstance(subtree, x509.DirectoryName):
        wanted = subtree.value.rdns
        return name.value.rdns[: len(wanted)] == wanted
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        address, network = name.value, subtree.value
        if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network):
            return address in network
    return False


def _short(name: x509.Name) -> str:
    return "".join(each if each.isprintable() else "?" for each in name.rfc4514_string())[:120]
