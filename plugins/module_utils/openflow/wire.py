# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Flows as bytes of OpenFlow 1.4 (OpenFlow Switch Specification 1.4.0, section 7) with Open vSwitch's extensions.

Open vSwitch gives a flow back in a form of its own choice, so two flows are compared as values and never as bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from .fields import BY_NUMBER, FIELDS, Field
from .flows import Action, Conditions, Flow
from .messages import ADD, DELETE, FLOW_MOD, MULTIPART_FLOW, MULTIPART_REQUEST, message

ANY, ALL_TABLES, ALL_COOKIE_BITS = 0xFFFFFFFF, 0xFF, 0xFFFFFFFFFFFFFFFF
DELETE_STRICT = 4

NICIRA = 0x00002320
EXPERIMENTER = 0xFFFF
RESUBMIT_TABLE, REG_MOVE, REG_LOAD, REG_LOAD2, CONJUNCTION, CT, NAT, CT_CLEAR = 14, 6, 7, 33, 34, 35, 36, 43
OUTPUT, PUSH_VLAN, POP_VLAN, SET_QUEUE, GROUP, DEC_TTL, SET_FIELD = 0, 17, 18, 21, 22, 24, 25
GOTO, WRITE_METADATA, APPLY, METER = 1, 2, 4, 6
CONTROLLER = 0xFFFFFFFD
_STATISTICS = struct.Struct("!HBxIIHHHHHxxQQQ")
_SIMPLE = {"set_queue": (SET_QUEUE, "!HHI"), "group": (GROUP, "!HHI"), "push_vlan": (PUSH_VLAN, "!HHHxx")}
_SIMPLE_WORDS = {kind: (word, form) for word, (kind, form) in _SIMPLE.items()}
_BARE = {"pop_vlan": POP_VLAN, "dec_ttl": DEC_TTL}
_BARE_WORDS = {kind: word for word, kind in _BARE.items()}


class NotUnderstood(ValueError):
    """Bytes that say something which flows as values cannot."""


@dataclass(frozen=True)
class Stored:
    """A flow of the switch. `flow` is None when it has something that this program does not know."""

    table: int
    priority: int
    cookie: int
    flow: Flow | None


def flow_mod(number: int, command: int, cookie: int, flow: Flow) -> bytes:
    """A message that adds or strictly deletes a flow of this cookie; `number` is its transaction id."""
    mask = 0 if command == ADD else ALL_COOKIE_BITS
    body = struct.pack("!QQBBHHHIIIHH", cookie, mask, flow.table, command, 0, 0, flow.priority, ANY, ANY, ANY, 0, 0)
    body += encode_match(flow.match)
    return message(FLOW_MOD, number, body + (encode_instructions(flow.actions) if command == ADD else b""))


def delete_all(number: int, cookie: int) -> bytes:
    """A message that deletes every flow of this cookie."""
    body = struct.pack("!QQBBHHHIIIHH", cookie, ALL_COOKIE_BITS, ALL_TABLES, DELETE, 0, 0, 0, ANY, ANY, ANY, 0, 0)
    return message(FLOW_MOD, number, body + encode_match(()))


def flows_request(number: int) -> bytes:
    """Ask for the flows of all tables, whoever's they are."""
    body = struct.pack("!HHIBxxxIIxxxxQQ", MULTIPART_FLOW, 0, 0, ALL_TABLES, ANY, ANY, 0, 0)
    return message(MULTIPART_REQUEST, number, body + encode_match(()))


def encode_match(match: Conditions) -> bytes:
    """An OXM match, padded; each field after what it depends on."""
    order = {name: position for position, name in enumerate(FIELDS)}
    first = ("eth_type", "vlan_vid", "nw_proto")
    conditions = sorted(match, key=lambda item: (first.index(item[0]) if item[0] in first else 3, order[item[0]]))
    fields = b"".join(_tlv(FIELDS[name], value, mask) for name, value, mask in conditions)
    return _padded(struct.pack("!HH", 1, 4 + len(fields)) + fields)


def encode_instructions(actions: tuple[Action, ...]) -> bytes:
    """A meter first, then what is applied, metadata, and the next table, as the specification orders them."""
    result, applied = b"", b""
    later = b""
    for action in actions:
        word, *operands = action
        if word == "meter":
            result += struct.pack("!HHI", METER, 8, operands[0])
        elif word == "goto_table":
            later += struct.pack("!HHBxxx", GOTO, 8, operands[0])
        elif word == "write_metadata":
            later = struct.pack("!HHxxxxQQ", WRITE_METADATA, 24, *operands) + later
        else:
            applied += _encode_action(action)
    if applied:
        result += struct.pack("!HHxxxx", APPLY, 8 + len(applied)) + applied
    return result + later


def _tlv(field: Field, value: int, mask: int) -> bytes:
    exact = mask == field.all_bits
    content = value.to_bytes(field.size, "big") + (b"" if exact else mask.to_bytes(field.size, "big"))
    return struct.pack("!HBB", field.space, field.number << 1 | (not exact), len(content)) + content


def _nicira(subtype: int, body: bytes) -> bytes:
    length = -(-(10 + len(body)) // 8) * 8
    return (struct.pack("!HHIH", EXPERIMENTER, length, NICIRA, subtype) + body).ljust(length, b"\0")


def _encode_action(action: Action) -> bytes:  # noqa: PLR0911 - one return a kind
    word, *operands = action
    if word == "output":
        return struct.pack("!HHIHxxxxxx", OUTPUT, 16, operands[0], 0)
    if word == "controller":
        return struct.pack("!HHIHxxxxxx", OUTPUT, 16, CONTROLLER, operands[0])
    if word in _SIMPLE:
        kind, form = _SIMPLE[word]
        return struct.pack(form, kind, 8, operands[0])
    if word in _BARE:
        return struct.pack("!HHxxxx", _BARE[word], 8)
    if word == "set_field":
        return _encode_set_field(*operands)
    if word == "move":
        source, first, target, into, bits = operands
        return _nicira(REG_MOVE, struct.pack("!HHH", bits, first, into) + _header(source) + _header(target))
    if word == "resubmit":
        return _nicira(RESUBMIT_TABLE, struct.pack("!HB", *operands))
    if word == "conjunction":
        identity, part, parts = operands
        return _nicira(CONJUNCTION, struct.pack("!BBI", part - 1, parts, identity))
    if word == "ct_clear":
        return _nicira(CT_CLEAR, b"")
    if word == "ct":
        return _encode_ct(*operands)
    raise TypeError(f"{action} is no action")


def _header(name: str) -> bytes:
    field = FIELDS[name]
    return struct.pack("!HBB", field.space, field.number << 1, field.size)


def _encode_set_field(name: str, value: int, mask: int) -> bytes:
    field = _tlv(FIELDS[name], value, mask)
    if mask != FIELDS[name].all_bits:
        return _nicira(REG_LOAD2, field)
    length = -(-(4 + len(field)) // 8) * 8
    return (struct.pack("!HH", SET_FIELD, length) + field).ljust(length, b"\0")


def _encode_ct(flags: int, zone: int, table: int, nat: Any, inner: tuple[Action, ...]) -> bytes:
    content = b"" if nat is None else _encode_nat(*nat)
    content += b"".join(_encode_action(action) for action in inner)
    return _nicira(CT, struct.pack("!HIHBxxxH", flags, 0, zone, table, 0) + content)


def _encode_nat(flags: int, first: str | None, last: str | None, low: int | None, high: int | None) -> bytes:
    present, content = 0, b""
    for position, address in enumerate((first, last)):
        if address is not None:
            six = ":" in address
            present |= (4 if six else 1) << position
            content += (IPv6Address(address) if six else IPv4Address(address)).packed
    for position, number in enumerate((low, high)):
        if number is not None:
            present |= 16 << position
            content += struct.pack("!H", number)
    return _nicira(NAT, struct.pack("!xxHH", flags, present) + content)


def decode_flows(body: bytes) -> Iterator[Stored]:
    """The flows of a multipart reply (its body after the multipart header)."""
    place = 0  # not the rest of the reply each time: switches have had a hundred thousand flows
    while place < len(body):
        length, table, _sec, _nsec, priority, idle, hard, _flags, _importance, cookie, *_counters = (
            _STATISTICS.unpack_from(body, place)
        )
        content = body[place + _STATISTICS.size : place + length]
        place += length
        try:
            if idle or hard:
                raise NotUnderstood("it ends by itself")
            size = struct.unpack_from("!H", content, 2)[0]
            match = tuple(sorted(_decode_match(content[4:size])))
            actions = tuple(_decode_instructions(content[-(-size // 8) * 8 :]))
            yield Stored(table, priority, cookie, Flow(table, priority, match, actions))
        except (NotUnderstood, struct.error):
            yield Stored(table, priority, cookie, None)


def _decode_match(content: bytes) -> Iterator[tuple[str, int, int]]:
    while content:
        field, value, mask, content = _decode_tlv(content)
        yield field.name, value, mask


def _decode_tlv(content: bytes) -> tuple[Field, int, int, bytes]:
    space, number, length = struct.unpack_from("!HBB", content)
    start = 4
    if space == EXPERIMENTER:
        space = struct.unpack_from("!I", content, 4)[0]
        start = 8
    field = BY_NUMBER.get((space, number >> 1))
    if field is None:
        raise NotUnderstood(f"field {space:#x}/{number >> 1}")
    raw, rest = content[start : 4 + length], content[4 + length :]
    if not number & 1:
        return field, int.from_bytes(raw, "big"), field.all_bits, rest
    half = len(raw) // 2
    return field, int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big") & field.all_bits, rest


def _decode_instructions(content: bytes) -> Iterator[Action]:
    later: list[Action] = []
    while content:
        kind, length = struct.unpack_from("!HH", content)
        body, content = content[4:length], content[length:]
        if kind == METER:
            yield "meter", struct.unpack("!I", body)[0]
        elif kind == APPLY:
            yield from _decode_actions(body[4:])
        elif kind == WRITE_METADATA:
            later.append(("write_metadata", *struct.unpack("!xxxxQQ", body)))
        elif kind == GOTO:
            later.append(("goto_table", body[0]))
        else:
            raise NotUnderstood(f"instruction {kind}")
    yield from later


def _decode_actions(content: bytes) -> Iterator[Action]:
    while content:
        kind, length = struct.unpack_from("!HH", content)
        body, content = content[4:length], content[length:]
        if kind == OUTPUT:
            port, most = struct.unpack_from("!IH", body)
            yield ("controller", most) if port == CONTROLLER else ("output", port)
        elif kind in _SIMPLE_WORDS:
            word, form = _SIMPLE_WORDS[kind]
            yield word, struct.unpack_from(form.replace("!HH", "!"), body)[0]
        elif kind in _BARE_WORDS:
            yield (_BARE_WORDS[kind],)
        elif kind == SET_FIELD:
            field, value, mask, _sign = _decode_tlv(body)
            yield "set_field", field.name, value, mask
        elif kind == EXPERIMENTER and struct.unpack_from("!I", body)[0] == NICIRA:
            yield _decode_nicira(struct.unpack_from("!H", body, 4)[0], body[6:])
        else:
            raise NotUnderstood(f"action {kind}")


def _decode_nicira(subtype: int, body: bytes) -> Action:  # noqa: PLR0911 - one return a kind
    if subtype == RESUBMIT_TABLE:
        return "resubmit", *struct.unpack_from("!HB", body)
    if subtype == REG_MOVE:
        bits, first, into = struct.unpack_from("!HHH", body)
        source, target = _field_of(body[6:10]), _field_of(body[10:14])
        return "move", source.name, first, target.name, into, bits
    if subtype == REG_LOAD:
        where, value = struct.unpack_from("!H", body)[0], struct.unpack_from("!Q", body, 6)[0]
        first, bits = where >> 6, (where & 0x3F) + 1
        return "set_field", _field_of(body[2:6]).name, value << first, ((1 << bits) - 1) << first
    if subtype == REG_LOAD2:
        field, value, mask, _sign = _decode_tlv(body)
        return "set_field", field.name, value, mask
    if subtype == CONJUNCTION:
        part, parts, identity = struct.unpack_from("!BBI", body)
        return "conjunction", identity, part + 1, parts
    if subtype == CT_CLEAR:
        return ("ct_clear",)
    if subtype == CT:
        return _decode_ct(body)
    raise NotUnderstood(f"extension {subtype}")


def _field_of(header: bytes) -> Field:
    space, number = struct.unpack_from("!HB", header)
    field = BY_NUMBER.get((space, number >> 1))
    if field is None:
        raise NotUnderstood(f"field {space:#x}/{number >> 1}")
    return field


def _decode_ct(body: bytes) -> Action:
    flags, source, zone, table, helper = struct.unpack_from("!HIHBxxxH", body)
    if source or helper:
        raise NotUnderstood("a zone from a register, or a helper")
    nat: Any = None
    inner: list[Action] = []
    content = body[14:]
    while content:
        kind, length = struct.unpack_from("!HH", content)
        if kind == EXPERIMENTER and struct.unpack_from("!IH", content, 4) == (NICIRA, NAT):
            nat = _decode_nat(content[10:length])
        else:
            inner += _decode_actions(content[:length])
        content = content[length:]
    return "ct", flags, zone, table, nat, tuple(inner)


def _decode_nat(body: bytes) -> tuple[Any, ...]:
    flags, present = struct.unpack_from("!xxHH", body)
    place = 6
    addresses: list[str | None] = [None, None]
    numbers: list[int | None] = [None, None]
    for position in range(2):
        if present & 1 << position:
            addresses[position] = str(IPv4Address(body[place : place + 4]))
            place += 4
    for position in range(2):
        if present & 4 << position:
            addresses[position] = str(IPv6Address(body[place : place + 16]))
            place += 16
    for position in range(2):
        if present & 16 << position:
            numbers[position] = struct.unpack_from("!H", body, place)[0]
            place += 2
    return flags, *addresses, *numbers


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 8) * 8, b"\0")
