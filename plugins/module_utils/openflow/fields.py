# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The fields of packets that flows match and set: their names, widths and numbers (ovs-fields(7))."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, NetmaskValueError, ip_network

OXM, NXM, NXM_OF = 0x8000, 0x0001, 0x0000
ONF = 0x4F4E4600
"""Stands for the class of fields of this experimenter."""
MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


class FlowError(ValueError):
    """A flow that cannot be understood. The message names the part."""


@dataclass(frozen=True)
class Field:
    """A field: `bits` that count, in as few octets as hold them unless `octets` says more.

    `kind` is how people write it: int, hex, mac, ipv4, ipv6, port or flags.
    """

    name: str
    space: int
    number: int
    bits: int
    kind: str = "int"
    octets: int = 0
    flags: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return self.octets or (self.bits + 7) // 8

    @property
    def all_bits(self) -> int:
        """The mask of an exact match."""
        return (1 << self.bits) - 1


CT_STATE = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")
TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns")

_FIELDS = (
    Field("in_port", OXM, 0, 32, "port"),
    Field("metadata", OXM, 2, 64, "hex"),
    Field("eth_dst", OXM, 3, 48, "mac"),
    Field("eth_src", OXM, 4, 48, "mac"),
    Field("eth_type", OXM, 5, 16, "hex"),
    Field("vlan_vid", OXM, 6, 13, "hex"),
    Field("vlan_pcp", OXM, 7, 3),
    Field("ip_dscp", OXM, 8, 6),
    Field("nw_ecn", OXM, 9, 2),
    Field("nw_proto", OXM, 10, 8),
    Field("ip_src", OXM, 11, 32, "ipv4"),
    Field("ip_dst", OXM, 12, 32, "ipv4"),
    Field("tcp_src", OXM, 13, 16),
    Field("tcp_dst", OXM, 14, 16),
    Field("udp_src", OXM, 15, 16),
    Field("udp_dst", OXM, 16, 16),
    Field("sctp_src", OXM, 17, 16),
    Field("sctp_dst", OXM, 18, 16),
    Field("icmp_type", OXM, 19, 8),
    Field("icmp_code", OXM, 20, 8),
    Field("arp_op", OXM, 21, 16),
    Field("arp_spa", OXM, 22, 32, "ipv4"),
    Field("arp_tpa", OXM, 23, 32, "ipv4"),
    Field("arp_sha", OXM, 24, 48, "mac"),
    Field("arp_tha", OXM, 25, 48, "mac"),
    Field("ipv6_src", OXM, 26, 128, "ipv6"),
    Field("ipv6_dst", OXM, 27, 128, "ipv6"),
    Field("ipv6_label", OXM, 28, 20, "hex", 4),
    Field("icmpv6_type", OXM, 29, 8),
    Field("icmpv6_code", OXM, 30, 8),
    Field("nd_target", OXM, 31, 128, "ipv6"),
    Field("nd_sll", OXM, 32, 48, "mac"),
    Field("nd_tll", OXM, 33, 48, "mac"),
    Field("tun_id", OXM, 38, 64, "hex"),
    *(Field(f"reg{number}", NXM, number, 32, "hex") for number in range(16)),
    Field("ip_frag", NXM, 26, 2, "int"),
    Field("nw_ttl", NXM, 29, 8),
    Field("tun_src", NXM, 31, 32, "ipv4"),
    Field("tun_dst", NXM, 32, 32, "ipv4"),
    Field("pkt_mark", NXM, 33, 32, "hex"),
    Field("tcp_flags", NXM, 34, 12, "flags", 2, TCP_FLAGS),
    Field("conj_id", NXM, 37, 32),
    Field("ct_state", NXM, 105, 32, "flags", 4, CT_STATE),
    Field("ct_zone", NXM, 106, 16),
    Field("ct_mark", NXM, 107, 32, "hex"),
    Field("ct_label", NXM, 108, 128, "hex"),
    Field("tun_ipv6_src", NXM, 109, 128, "ipv6"),
    Field("tun_ipv6_dst", NXM, 110, 128, "ipv6"),
)
FIELDS: Mapping[str, Field] = {field.name: field for field in _FIELDS}
_OLD_NUMBERS = (
    *((NXM_OF, number, name) for number, name in enumerate(("in_port", "eth_dst", "eth_src", "eth_type"))),
    *((NXM_OF, number, name) for number, name in enumerate(("nw_proto", "ip_src", "ip_dst", "tcp_src", "tcp_dst"), 6)),
    *((NXM_OF, number, name) for number, name in enumerate(("udp_src", "udp_dst", "icmp_type", "icmp_code"), 11)),
    *((NXM_OF, number, name) for number, name in enumerate(("arp_op", "arp_spa", "arp_tpa"), 15)),
    *((NXM, number, name) for number, name in enumerate(("tun_id", "arp_sha", "arp_tha", "ipv6_src", "ipv6_dst"), 16)),
    *((NXM, number, name) for number, name in enumerate(("icmpv6_type", "icmpv6_code", "nd_target"), 21)),
    *((NXM, number, name) for number, name in ((24, "nd_sll"), (25, "nd_tll"), (27, "ipv6_label"), (28, "nw_ecn"))),
    (ONF, 42, "tcp_flags"),
    (OXM, 42, "tcp_flags"),
)
BY_NUMBER: Mapping[tuple[int, int], Field] = {
    **{(field.space, field.number): field for field in _FIELDS},
    **{(space, number): FIELDS[name] for space, number, name in _OLD_NUMBERS},
}
"""Fields by their number and by the further ones under which Open vSwitch names them in some actions."""
SYNONYMS = {
    "dl_dst": "eth_dst",
    "dl_src": "eth_src",
    "dl_type": "eth_type",
    "dl_vlan_pcp": "vlan_pcp",
    "ip_proto": "nw_proto",
    "nw_dscp": "ip_dscp",
    "ip_ecn": "nw_ecn",
    "ttl": "nw_ttl",
    "tunnel_id": "tun_id",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
}
KINDS = {
    "ip": {"eth_type": 0x0800},
    "ipv6": {"eth_type": 0x86DD},
    "arp": {"eth_type": 0x0806},
    "rarp": {"eth_type": 0x8035},
    "icmp": {"eth_type": 0x0800, "nw_proto": 1},
    "tcp": {"eth_type": 0x0800, "nw_proto": 6},
    "udp": {"eth_type": 0x0800, "nw_proto": 17},
    "sctp": {"eth_type": 0x0800, "nw_proto": 132},
    "icmp6": {"eth_type": 0x86DD, "nw_proto": 58},
    "tcp6": {"eth_type": 0x86DD, "nw_proto": 6},
    "udp6": {"eth_type": 0x86DD, "nw_proto": 17},
    "sctp6": {"eth_type": 0x86DD, "nw_proto": 132},
}
"""Words that stand for a kind of packet."""
PORTS = {
    "IN_PORT": 0xFFFFFFF8,
    "NORMAL": 0xFFFFFFFA,
    "FLOOD": 0xFFFFFFFB,
    "ALL": 0xFFFFFFFC,
    "CONTROLLER": 0xFFFFFFFD,
    "LOCAL": 0xFFFFFFFE,
}


def number(text: str, bits: int, what: str) -> int:
    """A number in decimal or hexadecimal that fits in so many bits."""
    try:
        value = int(text, 0)
    except ValueError:
        raise FlowError(f"{what}: {text!r} is no number") from None
    if not 0 <= value < 1 << bits:
        raise FlowError(f"{what}: {text} is outside 0 to {(1 << bits) - 1}")
    return value


def port(text: str, ports: Mapping[str, int]) -> int:
    """A port's number, from its number, a reserved word or the name of one of the bridge's ports."""
    if text in ports:
        return ports[text]
    if text.upper() in PORTS:
        return PORTS[text.upper()]
    if not text.isdigit():
        raise FlowError(f"port {text!r}: the bridge has no port of this name")
    return number(text, 32, "port")


def read(field: Field, text: str, ports: Mapping[str, int]) -> tuple[int, int]:
    """A value, or value/mask, as (value, mask)."""
    if field.kind == "flags":
        return _read_flags(field, text)
    value, slash, mask = text.partition("/")
    if field.kind in ("ipv4", "ipv6") and slash:
        return _read_network(field, text)
    exact = _read_one(field, value, ports)
    bits = _read_one(field, mask, ports) if slash else field.all_bits
    return exact & bits, bits


def _read_one(field: Field, text: str, ports: Mapping[str, int]) -> int:
    try:
        if field.kind == "port":
            return port(text, ports)
        if field.kind == "mac":
            if not MAC.fullmatch(text):
                raise FlowError(f"{field.name}: {text!r} is no MAC address")
            return int("".join(part.zfill(2) for part in text.split(":")), 16)
        if field.kind == "ipv4":
            return int(IPv4Address(text))
        if field.kind == "ipv6":
            return int(IPv6Address(text))
    except AddressValueError:
        raise FlowError(f"{field.name}: {text!r} is no address of the kind {field.kind}") from None
    if field.name == "ip_frag" and text in ("no", "first", "later"):
        return {"no": 0, "first": 1, "later": 3}[text]
    return number(text, field.bits, field.name)


def _read_network(field: Field, text: str) -> tuple[int, int]:
    try:
        network = ip_network(text, strict=False)
    except (ValueError, NetmaskValueError):
        raise FlowError(f"{field.name}: {text!r} is no network") from None
    if network.version != (4 if field.kind == "ipv4" else 6):
        raise FlowError(f"{field.name}: {text!r} is no network of the kind {field.kind}")
    return int(network.network_address), int(network.netmask)


def _read_flags(field: Field, text: str) -> tuple[int, int]:
    """As +trk-new; a number or number/mask is taken, too."""
    if text[:1] not in "+-" or not text:
        value, slash, mask = text.partition("/")
        counted = number(mask, field.bits, field.name) if slash else field.all_bits
        return number(value, field.bits, field.name) & counted, counted
    state = bits = 0
    for sign, name in re.findall(r"([+-])([^+-]*)", text):
        if name not in field.flags:
            raise FlowError(f"{field.name}: no flag {name!r}; there are {', '.join(field.flags)}")
        bit = 1 << field.flags.index(name)
        bits |= bit
        state |= bit if sign == "+" else 0
    return state, bits


def write(field: Field, value: int, mask: int, names: Mapping[int, str]) -> str:
    """The inverse of `read`."""
    if field.kind == "flags" and mask != field.all_bits:
        set_or_not = (
            (("+" if value >> bit & 1 else "-") + name) for bit, name in enumerate(field.flags) if mask >> bit & 1
        )
        return "".join(set_or_not)
    text = _write_one(field, value, names)
    if mask == field.all_bits:
        return text
    if field.kind in ("ipv4", "ipv6"):
        length = mask.bit_count()
        if mask == field.all_bits >> length ^ field.all_bits:
            return f"{text}/{length}"
    return f"{text}/{_write_one(field, mask, {})}"


def _write_one(field: Field, value: int, names: Mapping[int, str]) -> str:
    if field.kind == "port":
        return port_text(value, names)
    if field.kind == "mac":
        return value.to_bytes(6, "big").hex(":")
    if field.kind == "ipv4":
        return str(IPv4Address(value))
    if field.kind == "ipv6":
        return str(IPv6Address(value))
    return str(value) if field.kind == "int" else hex(value)


def port_text(value: int, names: Mapping[int, str]) -> str:
    """A reserved word, the port's name, or its number."""
    reserved = next((word for word, number_ in PORTS.items() if number_ == value), None)
    return reserved or names.get(value, str(value))
