# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which network manager has a NIC."""

from __future__ import annotations

from ..errors import UplinkError
from ..kernel import Interface
from . import ifupdown, networkd, networkmanager
from .manager import Manager, Nobody


def manager_of(nic: Interface) -> Manager:
    """The one that has it now."""
    if networkmanager.owns(nic):
        return networkmanager.NetworkManager()
    if networkd.owns(nic):
        return networkd.Networkd(netplan=networkd.by_netplan(nic))
    if ifupdown.owns(nic):
        return ifupdown.Ifupdown()
    return Nobody()


def by_name(name: str) -> Manager:
    """The manager that a record names. Raises UplinkError for one that this release does not know."""
    known: dict[str, Manager] = {
        "networkmanager": networkmanager.NetworkManager(),
        "networkd": networkd.Networkd(),
        "netplan": networkd.Networkd(netplan=True),
        "ifupdown": ifupdown.Ifupdown(),
        "nobody": Nobody(),
    }
    if name not in known:
        raise UplinkError(f"network manager {name!r} is of another release of ovn-k8s-overlay")
    return known[name]
