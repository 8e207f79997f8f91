"""TCP connections to the CSMS, from a chosen network interface if need be (Linux).

The connection is made here and not by the event loop, so that an attempt tells how far it came:
a name that does not resolve, an interface that is none, a server that does not answer.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ocpp_fast.errors import ConnectFailed, ConnectFailure

if TYPE_CHECKING:
    from ocpp_fast.clock import Clock

__all__ = ["LocalEnd", "local_end", "open_socket"]

_SIOCGIFADDR: Final = 0x8915
_IF_INET6: Final = Path("/proc/net/if_inet6")
# Binding to a device needs Linux 5.7 or a capability.
_NOT_ALLOWED: Final = (errno.EPERM, errno.EACCES, errno.ENOPROTOOPT, errno.ENOSYS)

_Address: TypeAlias = "tuple[Any, ...]"
"""What the operating system's calls take as the address of their family."""


@dataclass(frozen=True, slots=True)
class LocalEnd:
    """Where connections come from."""

    name: str
    """As it was asked for, for messages."""
    device: str | None = None
    """The device that sockets are bound to, whatever the routes say."""
    addresses: tuple[tuple[socket.AddressFamily, _Address], ...] = ()
    """In the place of a device: the local addresses, at most one of each family."""


def local_end(name: str) -> LocalEnd:
    """The device or the local IPv4 or IPv6 address called `name`.

    A device is bound by name where the system allows it, else by the addresses that it has at
    present. Raises `ConnectFailed` (INTERFACE) if there is no such device or it has no address;
    that an address is not one of this computer shows when it is used.
    """
    try:
        address = ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return _device(name)
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    found = socket.getaddrinfo(name.strip("[]"), 0, family, flags=socket.AI_NUMERICHOST)
    return LocalEnd(name, addresses=((family, found[0][4]),))


def _device(name: str) -> LocalEnd:
    try:
        socket.if_nametoindex(name)
    except (OSError, ValueError) as error:  # a null character is no device either
        raise _no_interface(f"there is no network device {name!r}") from error
    if _may_bind_to(name):
        return LocalEnd(name, device=name)
    addresses = tuple(_addresses_of(name))
    if not addresses:
        raise _no_interface(f"the network device {name} has no address")
    return LocalEnd(name, addresses=addresses)


def _may_bind_to(device: str) -> bool:
    with socket.socket() as probe:
        try:
            _bind_to_device(probe, device)
        except OSError as error:
            if error.errno in _NOT_ALLOWED:
                return False
            raise _no_interface(f"the network device {device}: {error.strerror}") from error
    return True


def _bind_to_device(sock: socket.socket, device: str) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")


def _addresses_of(device: str) -> list[tuple[socket.AddressFamily, _Address]]:
    """Of each family one, if the device has one; of IPv6 one that is no link-local if it can be."""
    found: list[tuple[socket.AddressFamily, _Address]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", device.encode())
        try:
            answer = _ioctl(probe.fileno(), _SIOCGIFADDR, request)
        except OSError:
            pass  # no address of this family
        else:
            found.append((socket.AF_INET, (socket.inet_ntoa(answer[20:24]), 0)))
    candidates: list[IPv6Address] = []
    for line in _IF_INET6.read_text(encoding="ascii").splitlines() if _IF_INET6.exists() else ():
        digits, *_, owner = line.split()
        if owner == device:
            candidates.append(IPv6Address(bytes.fromhex(digits)))
    if candidates:
        best = min(candidates, key=lambda one: one.is_link_local)
        scope = socket.if_nametoindex(device) if best.is_link_local else 0
        found.append((socket.AF_INET6, (str(best), 0, 0, scope)))
    return found


def _ioctl(number: int, request: int, argument: bytes) -> bytes:
    from fcntl import ioctl  # Linux alone has what is asked for

    return ioctl(number, request, argument)


async def open_socket(
    host: str, port: int, *, clock: Clock, timeout_s: float, local: LocalEnd | None = None
) -> socket.socket:
    """A TCP connection to `host`, from `local` if given.

    All addresses of `host` are tried in the order of the system; where there are several, each may
    take its share of `timeout_s`, so that one that swallows everything leaves time for the others.
    The look-up of the name takes the way that the system chooses, whatever `local` is.

    Raises `ConnectFailed` (ADDRESS, INTERFACE, NETWORK). Cancelled, it leaves nothing open.
    """
    targets = await _resolve(host, port)
    if local is not None and local.device is None:
        families = {family for family, _ in local.addresses}
        targets = [target for target in targets if target[0] in families]
        if not targets:
            text = f"{host} has no address of the family of {local.name}"
            raise ConnectFailed(ConnectFailure.ADDRESS, text)
    share_s = timeout_s / len(targets)
    last: OSError | ConnectFailed | None = None
    for family, address in targets:
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.settimeout(0)
            if local is not None:
                _bind(sock, family, local)
            connecting = asyncio.get_running_loop().sock_connect(sock, address)
            await (connecting if len(targets) == 1 else clock.wait_for(connecting, share_s))
        except (OSError, ConnectFailed) as error:  # TimeoutError is an OSError
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    if isinstance(last, ConnectFailed):
        raise last
    text = str(last or "") or f"{host} does not answer"
    raise ConnectFailed(ConnectFailure.NETWORK, text) from last


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, _Address]]:
    try:  # without a thread where there is nothing to look up
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError):
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:  # such as a label of more than 63 characters
            raise ConnectFailed(ConnectFailure.ADDRESS, f"{host}: {error}") from error
    return [(family, address) for family, _, _, _, address in found]


def _bind(sock: socket.socket, family: socket.AddressFamily, local: LocalEnd) -> None:
    try:
        if local.device is not None:
            _bind_to_device(sock, local.device)
        else:
            sock.bind(dict(local.addresses)[family])
    except OSError as error:
        text = f"cannot dial from {local.name}: {error.strerror or error}"
        raise _no_interface(text) from error


def _no_interface(text: str) -> ConnectFailed:
    return ConnectFailed(ConnectFailure.INTERFACE, text)
