# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Bytes of OpenFlow 1.4 messages (OpenFlow Switch Specification 1.4.0, section 7), without any I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ..core.openflow import (
    SCTP,
    TCP,
    UDP,
    Action,
    Conntrack,
    Flow,
    Goto,
    Masked,
    Match,
    Output,
    SetField,
    Untrack,
)

VERSION = 5
HEADER = struct.Struct("!BBHI")
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY = 0, 1, 2, 3
SET_CONFIG, PORT_STATUS, FLOW_MOD = 9, 12, 14
MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER, BUNDLE_CONTROL, BUNDLE_ADD = 18, 19, 20, 33, 34
MULTIPART_FLOW, MULTIPART_PORTS, MULTIPART_MONITOR = 1, 13, 16
MULTIPART_MORE = 1
BUNDLE_OPEN, BUNDLE_COMMIT, BUNDLE_DISCARD = 0, 4, 6
_BUNDLE_FLAGS = 3  # atomic, ordered
_ANY, _NO_BUFFER, _ALL_TABLES = 0xFFFFFFFF, 0xFFFFFFFF, 0xFF
ADD, DELETE = 0, 3
_ALL_COOKIE_BITS = 0xFFFFFFFFFFFFFFFF
_MONITOR_ADDED, _MONITOR_REMOVED, _MONITOR_MODIFIED = 2, 4, 8

_OXM, _NXM = 0x8000, 0x0001
_NICIRA = 0x00002320
_NX_CT, _NX_NAT, _NX_CT_CLEAR = 35, 36, 43
_NO_TABLE = 0xFF
_L4_FIELDS = {TCP: (13, 14), UDP: (15, 16), SCTP: (17, 18)}
_SET_FIELDS = {
    "eth_dst": 3,
    "eth_src": 4,
    "ip_src": 11,
    "ip_dst": 12,
    "arp_spa": 22,
    "arp_tpa": 23,
    "arp_sha": 24,
    "arp_tha": 25,
}
_CT_STATE, _CT_MARK = 105, 107
_TUN_SRC, _TUN_DST = 31, 32
_TUN_ID = 38
_FLOW = struct.Struct("!HBx8xH18xQ8x")
"""ofp_flow_stats: length, table, priority and packets; timeouts, flags, cookie and times are skipped."""


class MessageError(Exception):
    """A message that does not follow the specification."""


@dataclass(frozen=True)
class Port:
    """A port of the switch; `mac` in lower case."""

    name: str
    number: int
    mac: str


@dataclass(frozen=True)
class StoredFlow:
    """A flow that the switch has. `key` identifies it and what it does; `packets` is how many it has taken."""

    key: tuple[int, int, bytes]
    packets: int


def message(kind: int, number: int, body: bytes = b"") -> bytes:
    """A message with its header; `number` is its transaction id."""
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), number) + body


def hello(number: int) -> bytes:
    """We speak OpenFlow 1.4 only."""
    return message(HELLO, number, struct.pack("!HHI", 1, 8, 1 << VERSION))


def set_config(number: int) -> bytes:
    """Ask for asynchronous messages, which Open vSwitch sends to those that take packets only."""
    return message(SET_CONFIG, number, struct.pack("!HH", 0, 128))


def flow_mod(number: int, command: int, cookie: int, flow: Flow | None) -> bytes:
    """Add `flow`, or delete every flow with the cookie."""
    mask = 0 if command == ADD else _ALL_COOKIE_BITS
    table = flow.table if flow else _ALL_TABLES
    lifetime, priority = (flow.lifetime, flow.priority) if flow else (0, 0)
    body = struct.pack(
        "!QQBBHHHIIIHH", cookie, mask, table, command, 0, lifetime, priority, _NO_BUFFER, _ANY, _ANY, 0, 0
    )
    body += encode_match(flow.match if flow else Match())
    return message(FLOW_MOD, number, body + (encode_instructions(flow.actions) if flow else b""))


def bundle_control(number: int, bundle: int, kind: int) -> bytes:
    """Open, commit or discard a bundle: atomic, and in the order given."""
    return message(BUNDLE_CONTROL, number, struct.pack("!IHH", bundle, kind, _BUNDLE_FLAGS))


def bundle_add(number: int, bundle: int, content: bytes) -> bytes:
    """Put a message, made with the same transaction id, into a bundle."""
    return message(BUNDLE_ADD, number, struct.pack("!IHH", bundle, 0, _BUNDLE_FLAGS) + content)


def flows_request(number: int, cookie: int) -> bytes:
    """Ask for all flows with a cookie."""
    body = struct.pack("!HHI", MULTIPART_FLOW, 0, 0)
    body += struct.pack("!BxxxIIxxxxQQ", _ALL_TABLES, _ANY, _ANY, cookie, _ALL_COOKIE_BITS)
    return message(MULTIPART_REQUEST, number, body + encode_match(Match()))


def ports_request(number: int) -> bytes:
    """Ask for all ports."""
    return message(MULTIPART_REQUEST, number, struct.pack("!HHI", MULTIPART_PORTS, 0, 0))


def monitor_request(number: int) -> bytes:
    """Ask to be told of every flow that comes, changes or goes."""
    flags = _MONITOR_ADDED | _MONITOR_REMOVED | _MONITOR_MODIFIED
    body = struct.pack("!HHI", MULTIPART_MONITOR, 0, 0)
    body += struct.pack("!IIIHBB", 1, _ANY, _ANY, flags, _ALL_TABLES, 0)
    return message(MULTIPART_REQUEST, number, body + encode_match(Match()))


def encode_match(match: Match) -> bytes:
    """An OXM match, padded."""
    fields = b"".join(_match_fields(match))
    return _padded(struct.pack("!HH", 1, 4 + len(fields)) + fields)


def encode_instructions(actions: tuple[Action, ...]) -> bytes:
    """Apply the actions, then go to the next table if the last says so."""
    goto = actions[-1] if actions and isinstance(actions[-1], Goto) else None
    body = b"".join(_action(action) for action in actions if not isinstance(action, Goto))
    result = struct.pack("!HHxxxx", 4, 8 + len(body)) + body if body else b""
    return result + (struct.pack("!HHBxxx", 1, 8, goto.table) if goto else b"")


def parse_ports(body: bytes) -> Iterator[Port]:
    """The ports of a multipart reply (its body after the multipart header)."""
    while body:
        number, length = struct.unpack_from("!IH", body)
        yield parse_port(body)
        if length < 40:
            raise MessageError(f"port {number} of {length} bytes")
        body = body[length:]


def parse_port(body: bytes) -> Port:
    """One port description."""
    number, mac, name = struct.unpack_from("!I4x6s2x16s", body)
    return Port(name.split(b"\0")[0].decode(errors="replace"), number, mac.hex(":"))


def parse_flows(body: bytes) -> Iterator[StoredFlow]:
    """The flows of a multipart reply (its body after the multipart header)."""
    while body:
        if len(body) < _FLOW.size:
            raise MessageError(f"flow statistics of {len(body)} bytes")
        length, table, priority, packets = _FLOW.unpack_from(body)
        if length < _FLOW.size:
            raise MessageError(f"flow of {length} bytes")
        yield StoredFlow((table, priority, body[_FLOW.size : length]), packets)
        body = body[length:]


def _match_fields(match: Match) -> Iterator[bytes]:
    """Fields in an order in which each follows what it depends on."""
    if match.in_port is not None:
        yield _field(_OXM, 0, struct.pack("!I", match.in_port))
    if match.eth_dst is not None:
        address, _sign, mask = match.eth_dst.partition("/")
        yield _field(_OXM, 3, _mac(address), _mac(mask) if mask else None)
    if match.tagged:
        yield _field(_OXM, 6, b"\x10\x00", b"\x10\x00")
    source, destination = _L4_FIELDS.get(match.ip_proto or 0, (0, 0))
    if match.eth_type is not None:
        yield _field(_OXM, 5, struct.pack("!H", match.eth_type))
    if match.ip_proto is not None:
        yield _field(_OXM, 10, struct.pack("!B", match.ip_proto))
    yield from _network(11, match.ip_src)
    yield from _network(12, match.ip_dst)
    yield from _masked(_OXM, source, match.l4_src, "!H", 0xFFFF)
    yield from _masked(_OXM, destination, match.l4_dst, "!H", 0xFFFF)
    if match.icmp_type is not None:
        yield _field(_OXM, 19, struct.pack("!B", match.icmp_type))
    if match.arp_op is not None:
        yield _field(_OXM, 21, struct.pack("!H", match.arp_op))
    yield from _network(22, match.arp_spa)
    yield from _network(23, match.arp_tpa)
    yield from _masked(_NXM, _CT_STATE, match.ct_state, "!I", 0xFFFFFFFF)
    if match.ct_mark is not None:
        yield _field(_NXM, _CT_MARK, struct.pack("!I", match.ct_mark))
    if match.tun_id is not None:
        yield _field(_OXM, _TUN_ID, struct.pack("!Q", match.tun_id))
    if match.tun_src is not None:
        yield _field(_NXM, _TUN_SRC, match.tun_src.packed)


def _field(kind: int, number: int, value: bytes, mask: bytes | None = None) -> bytes:
    content = value + (mask or b"")
    return struct.pack("!HBB", kind, number << 1 | (mask is not None), len(content)) + content


def _masked(kind: int, number: int, value: Masked | None, form: str, exact: int) -> Iterator[bytes]:
    if value is not None:
        mask = None if value.mask == exact else struct.pack(form, value.mask)
        yield _field(kind, number, struct.pack(form, value.value), mask)


def _network(number: int, network: IPv4Network | None) -> Iterator[bytes]:
    if network is not None:
        mask = None if network.prefixlen == network.max_prefixlen else network.netmask.packed
        yield _field(_OXM, number, network.network_address.packed, mask)


def _action(action: Action) -> bytes:
    if isinstance(action, Output):
        return struct.pack("!HHIHxxxxxx", 0, 16, action.port, 0)
    if isinstance(action, SetField) and action.field == "tun_id":
        return _set_field(_field(_OXM, _TUN_ID, struct.pack("!Q", int(action.value))))
    if isinstance(action, SetField) and action.field == "tun_dst":
        return _set_field(_field(_NXM, _TUN_DST, IPv4Address(action.value).packed))
    if isinstance(action, SetField):
        value = _mac(action.value) if ":" in action.value else IPv4Address(action.value).packed
        return _set_field(_field(_OXM, _SET_FIELDS[action.field], value))
    if isinstance(action, Conntrack):
        return _conntrack(action)
    if isinstance(action, Untrack):
        return struct.pack("!HHIHxxxxxx", 0xFFFF, 16, _NICIRA, _NX_CT_CLEAR)
    raise TypeError(f"{action} is no action by itself")


def _set_field(field: bytes) -> bytes:
    length = -(-(4 + len(field)) // 8) * 8
    return (struct.pack("!HH", 25, length) + field).ljust(length, b"\0")


def _conntrack(action: Conntrack) -> bytes:
    inner = b""
    if action.restore or action.source:
        inner += _nat(action)
    if action.mark is not None:
        inner += _set_field(_field(_NXM, _CT_MARK, struct.pack("!I", action.mark)))
    table = _NO_TABLE if action.table is None else action.table
    return (
        struct.pack(
            "!HHIHHIHBxxxH", 0xFFFF, 24 + len(inner), _NICIRA, _NX_CT, int(action.commit), 0, action.zone, table, 0
        )
        + inner
    )


def _nat(action: Conntrack) -> bytes:
    if action.source is None:
        return struct.pack("!HHIHxxHH", 0xFFFF, 16, _NICIRA, _NX_NAT, 0, 0)
    return struct.pack("!HHIHxxHH4s4x", 0xFFFF, 24, _NICIRA, _NX_NAT, 1, 1, action.source.packed)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 8) * 8, b"\0")
