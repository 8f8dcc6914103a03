# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Careful access to JSON that came from HNS or from a person: every error says where the value is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from .errors import InvalidObject

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAC = re.compile(r"[0-9A-F]{2}(-[0-9A-F]{2}){5}")


class Place:
    """Where a value stands, for messages: `network 'pods': subnets[0].prefix`."""

    def __init__(self, text: str) -> None:
        self.text = text

    def at(self, key: str | int) -> Place:
        if isinstance(key, int):
            return Place(f"{self.text}[{key}]")
        return Place(f"{self.text}{'' if self.text.endswith(': ') else '.'}{key}")

    def wrong(self, value: Any, wanted: str) -> InvalidObject:
        return InvalidObject(f"{self.text} is {value!r}, not {wanted}")


def mapping(value: Any, place: Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise place.wrong(value, "an object of options")
    return value


def items(value: Any, place: Place) -> list[tuple[Any, Place]]:
    """The members of a list, each with its place; None is an empty list."""
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise place.wrong(value, "a list")
    return [(member, place.at(position)) for position, member in enumerate(value)]


def text(value: Any, place: Place) -> str:
    if not isinstance(value, str):
        raise place.wrong(value, "a text")
    return value


def texts(value: Any, place: Place) -> tuple[str, ...]:
    return tuple(text(member, at) for member, at in items(value, place))


def whole_number(value: Any, place: Place, least: int, most: int) -> int:
    """A number from `least` to `most`; texts of digits are numbers, as HNS writes both."""
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(value)
        if isinstance(value, float) and number != value:
            raise ValueError
    except (TypeError, ValueError):
        raise place.wrong(value, "a whole number") from None
    if not least <= number <= most:
        raise place.wrong(value, f"a number from {least} to {most}")
    return number


def truth(value: Any, place: Place) -> bool:
    if not isinstance(value, bool):
        raise place.wrong(value, "true or false")
    return value


def prefix(value: Any, place: Place) -> str:
    """A network in CIDR notation without host bits."""
    written = text(value, place)
    try:
        if "/" not in written:
            raise ValueError("it has no prefix length")
        return str(ip_network(written))
    except ValueError as error:
        raise place.wrong(value, f"a network in CIDR notation ({error})") from None


def address(value: Any, place: Place) -> str:
    try:
        return str(ip_address(text(value, place)))
    except ValueError:
        raise place.wrong(value, "an IP address") from None


def mac(value: Any, place: Place) -> str:
    """A MAC address in the form of HNS, whichever of `:` and `-` it was written with."""
    written = text(value, place).replace(":", "-").upper()
    if not _MAC.fullmatch(written):
        raise place.wrong(value, "a MAC address")
    return written


def guid(value: Any, place: Place) -> str:
    """A GUID in lower case, without the braces that Windows sometimes writes."""
    written = text(value, place).strip("{}").lower()
    if not _GUID.fullmatch(written):
        raise place.wrong(value, "a GUID")
    return written


def is_guid(value: str) -> bool:
    return _GUID.fullmatch(value.strip("{}").lower()) is not None
