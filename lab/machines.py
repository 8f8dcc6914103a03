# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The machines of the lab and their addresses (the inventory ``inventories/lab`` says the same)."""

from __future__ import annotations

from dataclasses import dataclass

MANAGEMENT = "172.31.0"
"""First three bytes of the management network, a /24: ssh and the package server."""
UNDERLAY = "172.30.0"
"""First three bytes of the network between the nodes, a /24."""
CONTROL = f"{MANAGEMENT}.1"
UNDERLAY_CONTROL = f"{UNDERLAY}.1"
"""The control machine's addresses in both networks."""
PACKAGE_PORT = 8000

INTERNET = ("192.0.2.1/24", "198.51.100.1/32")
"""Addresses of the namespace that plays the internet: the gateway's next hop, and a host further away."""
INTERNET_PORT = 8080
LEASED = "192.0.2.0/24"
"""The network in which the internet leases addresses to gateways."""
LEASE_S = 120
"""Seconds that a lease lasts; the shortest that dnsmasq has."""
CONTROL_OUTSIDE, INTERNET_INSIDE = "203.0.113.1", "203.0.113.2"
"""Ends of the cable between the control machine and the internet, a /30: gateways are logged in to from outside."""


@dataclass(frozen=True)
class Machine:
    """One node. ``octet`` is the last byte of its address in both networks."""

    name: str
    octet: int
    leased: str = ""
    """The address that the internet leases it on ext0, by which people log in to it too; without one it has mgmt0."""
    windows: bool = False
    """Whether it is a modelled Windows (lab/windows) rather than a Debian."""

    @property
    def internet(self) -> bool:
        return bool(self.leased)

    @property
    def management(self) -> str:
        return f"{MANAGEMENT}.{self.octet}"

    @property
    def underlay(self) -> str:
        return f"{UNDERLAY}.{self.octet}"

    @property
    def interfaces(self) -> tuple[str, str]:
        """Names of its interfaces in the management network and between the nodes."""
        return ("Management", "Ethernet") if self.windows else ("mgmt0", "eth0")

    @property
    def login(self) -> str:
        """The address for ssh."""
        return self.leased or self.management

    def mac(self, network: int) -> str:
        """The same hardware address at every boot; ``network`` counts the machine's interfaces."""
        return f"02:00:00:00:{network:02x}:{self.octet:02x}"


MACHINES = (
    Machine("master", 11),
    Machine("linux1", 12),
    Machine("linux2", 13),
    Machine("gw", 14, leased="192.0.2.2"),
    Machine("win1", 15, windows=True),
)


def machine(name: str) -> Machine:
    """The machine of that name; KeyError when there is none."""
    return {m.name: m for m in MACHINES}[name]
