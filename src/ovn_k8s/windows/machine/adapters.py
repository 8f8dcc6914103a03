# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The network adapters of this machine, through iphlpapi.dll (GetAdaptersAddresses, iptypes.h)."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Callable, Iterator
from typing import Any

from .errors import MachineError

AF_INET = 2
GAA_FLAG_SKIP = 0x0002 | 0x0004 | 0x0008
"""No anycast, multicast and DNS server addresses."""
GAA_FLAG_INCLUDE_GATEWAYS = 0x0080
ERROR_BUFFER_OVERFLOW = 111
ERROR_NO_DATA = 232
UP = 1
DHCP_ENABLED = 0x0004
LOOPBACK = 24
"""IfType softwareLoopback."""


class _SocketAddress(ctypes.Structure):
    _fields_ = [("sockaddr", ctypes.POINTER(ctypes.c_ubyte)), ("length", ctypes.c_int)]


class _Address(ctypes.Structure):
    """IP_ADAPTER_UNICAST_ADDRESS_LH, and the beginning of IP_ADAPTER_GATEWAY_ADDRESS_LH."""


_Address._fields_ = [
    ("length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("next", ctypes.POINTER(_Address)),
    ("address", _SocketAddress),
    ("prefix_origin", ctypes.c_int),
    ("suffix_origin", ctypes.c_int),
    ("dad_state", ctypes.c_int),
    ("valid_lifetime", ctypes.c_uint32),
    ("preferred_lifetime", ctypes.c_uint32),
    ("lease_lifetime", ctypes.c_uint32),
    ("prefix_length", ctypes.c_uint8),
]


class _Adapter(ctypes.Structure):
    """The beginning of IP_ADAPTER_ADDRESSES_LH."""


_Adapter._fields_ = [
    ("length", ctypes.c_uint32),
    ("if_index", ctypes.c_uint32),
    ("next", ctypes.POINTER(_Adapter)),
    ("adapter_name", ctypes.c_char_p),
    ("first_unicast", ctypes.POINTER(_Address)),
    ("first_anycast", ctypes.c_void_p),
    ("first_multicast", ctypes.c_void_p),
    ("first_dns_server", ctypes.c_void_p),
    ("dns_suffix", ctypes.c_wchar_p),
    ("description", ctypes.c_wchar_p),
    ("friendly_name", ctypes.c_wchar_p),
    ("physical_address", ctypes.c_ubyte * 8),
    ("physical_address_length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("mtu", ctypes.c_uint32),
    ("if_type", ctypes.c_uint32),
    ("oper_status", ctypes.c_int),
    ("ipv6_if_index", ctypes.c_uint32),
    ("zone_indices", ctypes.c_uint32 * 16),
    ("first_prefix", ctypes.c_void_p),
    ("transmit_link_speed", ctypes.c_uint64),
    ("receive_link_speed", ctypes.c_uint64),
    ("first_wins_server", ctypes.c_void_p),
    ("first_gateway", ctypes.POINTER(_Address)),
]


def adapters() -> list[dict[str, Any]]:
    """Name, description, mac (`00:15:5d:…`), mtu in bytes, up, dhcp, addresses (`192.0.2.1/24`), gateways of each one.

    Raises MachineError.
    """
    function = ctypes.WinDLL("iphlpapi").GetAdaptersAddresses  # type: ignore[attr-defined]
    function.argtypes = (
        ctypes.c_uint32,
        ctypes.c_uint32,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_uint32),
    )
    function.restype = ctypes.c_uint32
    return [_described(adapter) for adapter in _listed(function) if adapter.if_type != LOOPBACK]


def _listed(function: Callable[..., int]) -> Iterator[_Adapter]:
    size = ctypes.c_uint32(16 << 10)
    for _attempt in range(4):
        buffer = ctypes.create_string_buffer(size.value)
        flags = GAA_FLAG_SKIP | GAA_FLAG_INCLUDE_GATEWAYS
        code = function(AF_INET, flags, None, buffer, ctypes.byref(size))
        if code != ERROR_BUFFER_OVERFLOW:
            break
    if code == ERROR_NO_DATA:
        return
    if code:
        raise MachineError(f"the network adapters cannot be read: GetAdaptersAddresses ended with error {code}")
    pointer = ctypes.cast(buffer, ctypes.POINTER(_Adapter))
    while pointer:
        yield pointer.contents
        pointer = pointer.contents.next


def _described(adapter: _Adapter) -> dict[str, Any]:
    octets = bytes(adapter.physical_address[: adapter.physical_address_length])
    return {
        "name": adapter.friendly_name or "",
        "description": adapter.description or "",
        "mac": ":".join(f"{octet:02x}" for octet in octets),
        "mtu": adapter.mtu,
        "up": adapter.oper_status == UP,
        "dhcp": bool(adapter.flags & DHCP_ENABLED),
        "addresses": [f"{_ip(item)}/{item.prefix_length}" for item in _chain(adapter.first_unicast) if _ip(item)],
        "gateways": [_ip(item) for item in _chain(adapter.first_gateway) if _ip(item)],
    }


def _chain(pointer: Any) -> Iterator[Any]:
    while pointer:
        yield pointer.contents
        pointer = pointer.contents.next


def _ip(item: Any) -> str:
    if not item.address.sockaddr or item.address.length < 8:
        return ""
    octets = bytes(item.address.sockaddr[:8])
    return socket.inet_ntoa(octets[4:8]) if octets[0] == AF_INET else ""
