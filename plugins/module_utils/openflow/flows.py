# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A flow as a value, and as the text of ovs-ofctl(8), "Flow Syntax"; actions are those of ovs-actions(7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from .fields import FIELDS, KINDS, SYNONYMS, Field, FlowError, number, port, port_text, read, write

Conditions = tuple[tuple[str, int, int], ...]
"""(field, value, mask), sorted by field."""
Action = tuple[Any, ...]
"""The word of the action and its operands; see `_read_action`."""
DEFAULT_PRIORITY = 32768
VLAN_PRESENT = 0x1000
NAT_FLAGS = {"persistent": 4, "hash": 8, "random": 16}
_SUBFIELD = re.compile(r"(\w+)\[(?:(\d+)(?:\.\.(\d+))?)?\]")
_NAT_RANGE = re.compile(
    r"(?P<first>\[[0-9a-fA-F:.]+\]|[0-9.]+|[0-9a-fA-F:]+?)"
    r"(?:-(?P<last>\[?[0-9a-fA-F:.]+?\]?))?"
    r"(?::(?P<low>\d+)(?:-(?P<high>\d+))?)?"
)
_L4 = {6: "tcp", 17: "udp", 132: "sctp"}


@dataclass(frozen=True)
class Flow:
    """One flow: what identifies it, `key`, and what it does. No actions drop the packet."""

    table: int
    priority: int
    match: Conditions
    actions: tuple[Action, ...]

    @property
    def key(self) -> tuple[int, int, Conditions]:
        """Two flows of one key replace each other."""
        return self.table, self.priority, self.match


def parse(text: str, ports: Mapping[str, int]) -> Flow:
    """Read a flow. `ports` are the bridge's, by name.

    Raises:
        FlowError: it is not understood.
    """
    matched, found, actions = text.partition("actions=")
    if not found:
        raise FlowError(f"flow {text!r}: no actions; end it with actions=drop if packets shall be dropped")
    try:
        table, priority, conditions = _read_match(matched, ports)
        return Flow(table, priority, conditions, tuple(_read_actions(actions, ports)))
    except FlowError as error:
        raise FlowError(f"flow {text!r}: {error}") from None


def _read_match(text: str, ports: Mapping[str, int]) -> tuple[int, int, Conditions]:
    table, priority = 0, DEFAULT_PRIORITY
    match: dict[str, tuple[int, int]] = {}
    later: list[tuple[str, str]] = []
    for part in split(text):
        name, _sign, value = part.partition("=")
        name = name.strip()
        if name == "table":
            table = number(value, 8, "table")
        elif name == "priority":
            priority = number(value, 16, "priority")
        elif name in ("cookie", "idle_timeout", "hard_timeout", "send_flow_rem", "check_overlap", "importance"):
            raise FlowError(f"{name} cannot be given here: the flows stay until they are removed, under one cookie")
        elif name in KINDS and not value:
            for implied, exact in KINDS[name].items():
                _put(match, FIELDS[implied], (exact, FIELDS[implied].all_bits))
        else:
            later.append((name, value))
    for name, value in later:  # some names depend on the kind of packet
        field, content = _condition(name, value, match, ports)
        if content[1]:
            _put(match, field, content)
    return table, priority, tuple(sorted((name, *content) for name, content in match.items()))


def _put(match: dict[str, tuple[int, int]], field: Field, content: tuple[int, int]) -> None:
    if match.get(field.name, content) != content:
        raise FlowError(f"{field.name} is matched twice")
    match[field.name] = content


def _condition(
    name: str, value: str, match: Mapping[str, tuple[int, int]], ports: Mapping[str, int]
) -> tuple[Field, tuple[int, int]]:
    kind, protocol = match.get("eth_type", (0, 0))[0], match.get("nw_proto", (0, 0))[0]
    if name == "dl_vlan":
        vlan = number(value, 16, name)
        vid = FIELDS["vlan_vid"]
        return vid, (0, vid.all_bits) if vlan == 0xFFFF else (number(value, 12, name) | VLAN_PRESENT, vid.all_bits)
    if name == "vlan_tci" and value.lower() in ("0x1000/0x1000", "0x0000/0x1000", "0/0x1000"):
        present = VLAN_PRESENT if value.startswith("0x1") else 0
        return FIELDS["vlan_vid"], (present, VLAN_PRESENT if present else FIELDS["vlan_vid"].all_bits)
    if name in ("nw_src", "nw_dst"):
        name = {"nw_src": "arp_spa", "nw_dst": "arp_tpa"}[name] if kind == 0x0806 else f"ip_{name[3:]}"
    elif name in ("tp_src", "tp_dst"):
        if protocol not in _L4:
            raise FlowError(f"{name} needs tcp, udp or sctp beside it")
        name = f"{_L4[protocol]}_{name[3:]}"
    elif name in ("icmp_type", "icmp_code") and kind == 0x86DD:
        name = f"icmpv6_{name[5:]}"
    field = FIELDS.get(SYNONYMS.get(name, name))
    if field is None:
        raise FlowError(f"no field {name!r}")
    if not value:
        raise FlowError(f"{name}: no value")
    return field, read(field, value, ports)


def split(text: str) -> list[str]:
    """The parts between commas and blanks that stand in no brackets."""
    parts, depth, part = [], 0, ""
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character in ", \t\n" and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    if depth:
        raise FlowError(f"{text!r}: brackets do not match")
    return [item.strip() for item in [*parts, part] if item.strip()]


def _read_actions(text: str, ports: Mapping[str, int]) -> Iterator[Action]:
    parts = split(text)
    if parts == ["drop"]:
        return
    if not parts:
        raise FlowError("no actions; write drop if packets shall be dropped")
    actions = [_read_action(part, ports) for part in parts]
    for position, action in enumerate(actions):
        if action[0] == "goto_table" and position != len(actions) - 1:
            raise FlowError("goto_table is the last action")
    yield from actions


_WORDS: Mapping[str, tuple[Any, ...]] = {
    "dec_ttl": ("dec_ttl",),
    "pop_vlan": ("pop_vlan",),
    "strip_vlan": ("pop_vlan",),
    "ct_clear": ("ct_clear",),
}
_NUMBERS = {"goto_table": 8, "set_queue": 32, "group": 32, "meter": 32, "push_vlan": 16}
_REWRITES = {
    "mod_dl_src": "eth_src",
    "mod_dl_dst": "eth_dst",
    "mod_nw_src": "ip_src",
    "mod_nw_dst": "ip_dst",
}


def _read_action(text: str, ports: Mapping[str, int]) -> Action:  # noqa: PLR0911 - one return a kind
    word, _sign, rest = re.sub(r"^(\w+)\((.*)\)$", r"\1:\2", text, flags=re.DOTALL).partition(":")
    if text in _WORDS:
        return _WORDS[text]
    if word in _NUMBERS:
        return word, number(rest, _NUMBERS[word], word)
    if word in _REWRITES:
        field = FIELDS[_REWRITES[word]]
        return "set_field", field.name, *read(field, rest, ports)
    if word == "set_field":
        return _read_set_field(rest, ports)
    if word == "move":
        return _read_move(rest)
    if word == "resubmit":
        return _read_resubmit(text, rest, ports)
    if word == "ct":
        return _read_ct(rest, ports)
    if word == "conjunction":
        match = re.fullmatch(r"(\w+),\s*(\d+)/(\d+)", rest)
        if match is None:
            raise FlowError(f"{text!r}: write conjunction(id,part/parts)")
        return "conjunction", number(match[1], 32, word), int(match[2]), int(match[3])
    if word == "write_metadata":
        return word, *read(FIELDS["metadata"], rest, ports)
    if word.lower() == "controller":
        return "controller", number(rest, 16, word) if rest else 0xFFFF
    if word == "output" or (not rest and "(" not in text):
        return "output", port(rest or word, ports)
    raise FlowError(f"no action {word!r} is known here")


def _read_set_field(text: str, ports: Mapping[str, int]) -> Action:
    value, arrow, name = text.rpartition("->")
    field = FIELDS.get(SYNONYMS.get(name, name))
    if not arrow or field is None:
        raise FlowError(f"set_field:{text}: write set_field:value->field, with a field that there is")
    return "set_field", field.name, *read(field, value, ports)


def _read_subfield(text: str) -> tuple[str, int, int]:
    match = _SUBFIELD.fullmatch(text)
    field = FIELDS.get(SYNONYMS.get(match[1], match[1])) if match else None
    if match is None or field is None:
        raise FlowError(f"{text!r}: write field[], field[bit] or field[first..last]")
    first = int(match[2] or 0)
    last = int(match[3]) if match[3] else first if match[2] else field.bits - 1
    if not first <= last < field.bits:
        raise FlowError(f"{text!r}: {field.name} has the bits 0 to {field.bits - 1}")
    return field.name, first, last - first + 1


def _read_move(text: str) -> Action:
    source, arrow, target = text.partition("->")
    if not arrow:
        raise FlowError(f"move:{text}: write move:field[]->field[]")
    (from_name, from_bit, bits), (to_name, to_bit, to_bits) = _read_subfield(source), _read_subfield(target)
    if bits != to_bits:
        raise FlowError(f"move:{text}: {bits} bits do not go into {to_bits}")
    return "move", from_name, from_bit, to_name, to_bit, bits


def _read_resubmit(text: str, rest: str, ports: Mapping[str, int]) -> Action:
    where, comma, table = rest.partition(",")
    if not comma and not where:
        raise FlowError(f"{text!r}: write resubmit(port,table), resubmit(,table) or resubmit:port")
    return (
        "resubmit",
        port(where.strip(), ports) & 0xFFFF if where.strip() else 0xFFF8,
        number(table.strip(), 8, "resubmit") if table.strip() else 0xFF,
    )


def _read_ct(text: str, ports: Mapping[str, int]) -> Action:
    flags, zone, table, nat = 0, 0, 0xFF, None
    inner: list[Action] = []
    for part in split(text):
        word, _sign, value = re.sub(r"^(\w+)\((.*)\)$", r"\1=\2", part).partition("=")
        if part == "commit":
            flags |= 1
        elif part == "force":
            flags |= 2
        elif word == "zone":
            zone = number(value, 16, "ct zone")
        elif word == "table":
            table = number(value, 8, "ct table")
        elif word == "nat":
            nat = _read_nat(value)
        elif word == "exec":
            inner += [_read_action(item, ports) for item in split(value)]
        else:
            raise FlowError(f"ct: {part!r} is not known here")
    return "ct", flags, zone, table, nat, tuple(inner)


def _read_nat(text: str) -> tuple[Any, ...]:
    """(flags, first address, last address, first port, last port); what is not given is None."""
    flags = 0
    first = last = None
    low = high = None
    for part in split(text):
        word, _sign, value = part.partition("=")
        if word in ("src", "dst"):
            flags |= 1 if word == "src" else 2
            if value:
                first, last, low, high = _read_nat_range(value)
        elif part in NAT_FLAGS:
            flags |= NAT_FLAGS[part]
        else:
            raise FlowError(f"nat: {part!r} is not known here")
    return flags, first, last, low, high


def _read_nat_range(text: str) -> tuple[str, str | None, int | None, int | None]:
    match = _NAT_RANGE.fullmatch(text)
    if match is None:
        raise FlowError(f"nat: {text!r} is no range of addresses and ports")
    low, high = (number(match[name], 16, "nat") if match[name] else None for name in ("low", "high"))
    return _address(match["first"]), _address(match["last"]) if match["last"] else None, low, high


def _address(text: str) -> str:
    text = text.strip("[]")
    try:
        return str(IPv6Address(text) if ":" in text else IPv4Address(text))
    except AddressValueError:
        raise FlowError(f"nat: {text!r} is no address") from None


def text_of(flow: Flow, names: Mapping[int, str]) -> str:
    """The flow as `parse` reads it. `names` are the bridge's ports by number."""
    parts = [f"table={flow.table}", f"priority={flow.priority}"]
    parts += [f"{name}={write(FIELDS[name], value, mask, names)}" for name, value, mask in flow.match]
    actions = ",".join(_action_text(action, names) for action in flow.actions) or "drop"
    return f"{','.join(parts)},actions={actions}"


def _action_text(action: Action, names: Mapping[int, str]) -> str:  # noqa: PLR0911 - one return a kind
    word, *operands = action
    if word == "output":
        return f"output:{port_text(operands[0], names)}"
    if word == "set_field":
        name, value, mask = operands
        return f"set_field:{write(FIELDS[name], value, mask, names)}->{name}"
    if word == "write_metadata":
        value, mask = operands
        return f"write_metadata:{write(FIELDS['metadata'], value, mask, names)}"
    if word == "move":
        source, first, target, into, bits = operands
        return f"move:{source}[{first}..{first + bits - 1}]->{target}[{into}..{into + bits - 1}]"
    if word == "resubmit":
        where, table = operands
        return f"resubmit({'' if where == 0xFFF8 else where},{'' if table == 0xFF else table})"
    if word == "conjunction":
        return f"conjunction({operands[0]},{operands[1]}/{operands[2]})"
    return _ct_text(operands, names) if word == "ct" else ":".join([word, *map(str, operands)])


def _ct_text(operands: list[Any], names: Mapping[int, str]) -> str:
    flags, zone, table, nat, inner = operands
    parts = [word for word, bit in (("commit", 1), ("force", 2)) if flags & bit]
    parts += [f"zone={zone}"] if zone else []
    parts += [f"table={table}"] if table != 0xFF else []
    if nat is not None:
        parts.append(_nat_text(*nat))
    if inner:
        parts.append(f"exec({','.join(_action_text(action, names) for action in inner)})")
    return f"ct({','.join(parts)})"


def _nat_text(flags: int, first: str | None, last: str | None, low: int | None, high: int | None) -> str:
    brackets = first is not None and ":" in first and low is not None
    address = f"[{first}]" if brackets else first or ""
    if last:
        address += f"-[{last}]" if brackets else f"-{last}"
    if low is not None:
        address += f":{low}" + (f"-{high}" if high is not None else "")
    words = [("src" if flags & 1 else "dst") + (f"={address}" if address else "")] if flags & 3 else []
    words += [word for word, bit in NAT_FLAGS.items() if flags & bit]
    return f"nat({','.join(words)})" if words else "nat"
