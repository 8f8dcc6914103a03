# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How a value that a person writes is kept in a column or in a map, checked on the way there, and read back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Form:
    """A pair of functions. `write` raises ValueError, whose text says what would be right."""

    write: Callable[[Any], Any] = _same
    read: Callable[[Any], Any] = _same


def _checked(what: str, test: Callable[[str], object]) -> Callable[[str], str]:
    def write(text: str) -> str:
        try:
            test(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {what}") from None
        return text

    return write


def _network(text: str) -> None:
    """An address is one of itself only; a network has no bits set beyond its prefix."""
    ip_network(text)


def _mac(text: str) -> None:
    if not MAC.fullmatch(text):
        raise ValueError


def _version(version: int, parse: Callable[[str], Any]) -> Callable[[str], None]:
    def test(text: str) -> None:
        if parse(text).version != version:
            raise ValueError

    return test


def _each(write: Callable[[str], str]) -> Callable[[list[str]], list[str]]:
    return lambda values: [write(value) for value in values]


PLAIN = Form()
ADDRESS = Form(_checked("an IP address, such as 192.0.2.1", ip_address))
ADDRESS4 = Form(_checked("an IPv4 address, such as 192.0.2.1", _version(4, ip_address)))
ADDRESS6 = Form(_checked("an IPv6 address, such as 2001:db8::1", _version(6, ip_address)))
NETWORK = Form(_checked("an IP address or a network without host bits, such as 192.0.2.0/24", _network))
NETWORK4 = Form(_checked("an IPv4 network without host bits, such as 192.0.2.0/24", _version(4, ip_network)))
MAC_ADDRESS = Form(_checked("a MAC address, such as 0a:58:c0:00:02:01", _mac))
NETWORKS = Form(_each(NETWORK.write))
ADDRESSES = Form(_each(ADDRESS.write))


def _interface(text: str) -> None:
    if "/" not in text:
        raise ValueError
    ip_interface(text)


INTERFACES = Form(_each(_checked("an address with its prefix length, such as 192.0.2.1/24", _interface)))


def between(low: int, high: int) -> Form:
    """A number kept as text in a map, where the schema does not check it."""

    def write(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{value} is outside {low} to {high}")
        return value

    return Form(write)


def joined(separator: str, form: Form = PLAIN, split: str = r"[,\s]+") -> Form:
    """A list kept as one text; `split` is the pattern between two members when it is read."""

    def write(values: list[Any]) -> str:
        return separator.join(str(form.write(value)) for value in values)

    def read(text: str) -> list[str]:
        return [part for part in re.split(split, text.strip()) if part]

    return Form(write, read)


def _braces(values: list[str]) -> str:
    text = ", ".join(ADDRESS.write(value) for value in values)
    return f"{{{text}}}" if len(values) > 1 else text


BRACES = Form(_braces, lambda text: [part for part in re.split(r"[,\s]+", text.strip("{} ")) if part])
"""Addresses as DHCP options take them: one alone, several in braces."""

QUOTED = Form(lambda text: f'"{text}"', lambda text: text.strip('"'))
"""Text as DHCP options take it."""


def words(names: Mapping[str, str]) -> Form:
    """Words that the database writes otherwise: {ours: its own}."""
    back = {stored: name for name, stored in names.items()}
    return Form(lambda value: names.get(value, value), lambda value: back.get(value, value))
