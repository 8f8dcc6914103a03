# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""systemd-networkd, also where netplan writes its files (systemd.network(5), netplan(5)).

The file that networkd uses for the NIC, with its drop-ins, becomes the bridge's; the NIC gets one that leaves it bare.
Both sort before all others, also before what netplan makes at each boot, whose own files stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import UplinkError
from ..kernel import Facts, Interface
from ..record import Record, restore_files, write_files
from .manager import SETTLE_SECONDS, command, within

FOLDER = Path("/etc/systemd/network")
ONLINE = Path("/etc/systemd/system/systemd-networkd-wait-online.service.d")
NETPLAN_ONLINE = Path("/run/systemd/system") / ONLINE.name / "10-netplan.conf"
"""Where netplan says, at each boot, which interfaces network-online.target has to wait for."""
STATE = Path("/run/systemd/netif")
_MARK = "# Written by ovn-k8s-overlay nics-to-bridge; bridge-to-nics removes it."
_BARE = """\
{mark}
[Match]
Name={nic}

[Link]
RequiredForOnline=no

[Network]
KeepMaster=yes
DHCP=no
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
_NOT_OF_A_BRIDGE = {"Link": ("MACAddress", "MTUBytes", "Unmanaged")}
"""Settings that belong to the NIC itself. The bridge has its MAC, and Open vSwitch sets the MTU."""
_STACKED = ("Bridge", "Bond", "VRF", "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "BatmanAdvanced")

Sections = list[tuple[str, list[tuple[str, str]]]]


def _state(kind: str, index: int) -> dict[str, str]:
    """One of networkd's state files: KEY=value lines."""
    try:
        lines = (STATE / kind / str(index)).read_text("utf-8").splitlines()
    except OSError:
        return {}
    return {key: value for key, _, value in (line.partition("=") for line in lines if not line.startswith("#"))}


def owns(nic: Interface) -> bool:
    """Whether networkd runs and configures the NIC."""
    state = _state("links", nic.index)
    if state.get("ADMIN_STATE", "unmanaged") == "unmanaged" or not state.get("NETWORK_FILE"):
        return False
    try:
        command("systemctl", "--quiet", "is-active", "systemd-networkd.service")
    except UplinkError:
        return False
    return True


def by_netplan(nic: Interface) -> bool:
    """Whether the file that networkd uses for the NIC is netplan's."""
    return "netplan" in Path(_state("links", nic.index).get("NETWORK_FILE", "")).name


class Networkd:
    """See above. `name` is netplan where the NIC's file is netplan's."""

    name = "networkd"

    def __init__(self, netplan: bool = False) -> None:
        self.name = "netplan" if netplan else "networkd"

    def files(self, nic: Interface, bridge: str, facts: Facts) -> Mapping[str, str | None]:
        state = _state("links", nic.index)
        sources = [state["NETWORK_FILE"], *filter(None, state.get("NETWORK_FILE_DROPINS", "").strip('"').split(":"))]
        text = "\n".join(Path(source).read_text("utf-8") for source in sources)
        client = _state("leases", nic.index).get("CLIENTID", "")
        online: dict[str, str] = {}
        if self.name == "netplan" and NETPLAN_ONLINE.is_file():
            awaited = NETPLAN_ONLINE.read_text("utf-8")
            if (instead := online_with(awaited, nic.name, bridge)) != awaited:
                online[str(ONLINE / f"90-ovn-k8s-{nic.name}.conf")] = f"{_MARK}\n{instead}"
        return {
            **online,
            str(FOLDER / f"00-ovn-k8s-{nic.name}.network"): _BARE.format(mark=_MARK, nic=nic.name),
            str(FOLDER / f"00-ovn-k8s-{bridge}.network"): for_bridge(text, nic.name, bridge, client),
        }

    def release(self, record: Record) -> None:
        return

    def adopt(self, record: Record) -> None:
        # The NIC first: a lease that it gives back must not be the one that the bridge has got meanwhile.
        bare = str(FOLDER / f"00-ovn-k8s-{record.nic}.network")
        write_files({bare: record.files[bare]}, record.before)
        command("networkctl", "reload")
        index = _index(record.nic)
        within(SETTLE_SECONDS / 4, lambda: _state("links", index).get("NETWORK_FILE") == bare)
        write_files(record.files, record.before)
        # Of a link that it did not manage it knows no networks, and waits for ever until their routers can be reached.
        # What is not leased it makes anew at once; a leased address stays until it has the lease.
        command("ip", "address", "flush", "dev", record.bridge, "permanent", "scope", "global")
        command("networkctl", "reload")

    def abandon(self, record: Record) -> None:
        return

    def restore(self, record: Record) -> None:
        restore_files(record.before)
        command("networkctl", "reload")

    def settled(self, interface: Interface, leased: bool) -> bool:
        state = _state("links", interface.index)
        # Up to release 252 it waits 12 s for a router of IPv6, where none may be, before it says configured.
        done = ("configured",) if leased else ("configured", "configuring")
        # a file that is gone is one that networkd has yet to leave
        return state.get("ADMIN_STATE") in done and Path(state.get("NETWORK_FILE", "")).is_file()


def for_bridge(text: str, nic: str, bridge: str, client: str) -> str:
    """The bridge's file, from the NIC's. `client` is the client identifier, in hexadecimal, that the DHCP server knows.

    Raises:
        UplinkError: the NIC carries other interfaces, or is part of one.
    """
    sections = [(name, entries) for name, entries in _parse(text) if name != "Match"]
    for name, entries in sections:
        for key, value in entries:
            if name == "Network" and key in _STACKED and value:
                raise UplinkError(f"{nic} is stacked with another interface ({key}={value}), which cannot be moved")
    made: Sections = [("Match", [("Name", bridge)])]
    for name, entries in sections:
        made.append((name, [(key, value) for key, value in entries if key not in _NOT_OF_A_BRIDGE.get(name, ())]))
    given = {(name, key) for name, entries in made for key, _ in entries}
    if ("Network", "IgnoreCarrierLoss") not in given:
        # The bridge's own interface has no cable: it is without carrier while Open vSwitch restarts.
        made.append(("Network", [("IgnoreCarrierLoss", "yes")]))
    identity = [(key, value) for key, value in _identity(client) if ("DHCPv4", key) not in given]
    if identity and ("DHCPv4", "ClientIdentifier") not in given:
        made.append(("DHCPv4", identity))
    return "\n\n".join((_MARK, *(_section(name, entries) for name, entries in made if entries))) + "\n"


def online_with(text: str, nic: str, bridge: str) -> str:
    """netplan's drop-in that waits for its interfaces by name, with the bridge in place of the NIC, which gets no
    address any more: each boot would wait for it for two minutes."""
    return re.sub(rf"(?<= -i ){re.escape(nic)}(?=[:\s]|$)", bridge, text)


def _identity(client: str) -> Iterator[tuple[str, str]]:
    """Settings with which the server knows the client again: networkd makes part of it from the interface's name.

    0xff, four bytes IAID, DUID (RFC 4361), or 0x01 and the MAC (RFC 2132).
    """
    if client.startswith("ff") and len(client) > 10:
        yield "IAID", str(int(client[2:10], 16))
    elif client.startswith("01"):
        yield "ClientIdentifier", "mac"


def _parse(text: str) -> Sections:
    """Sections and keys in order, repeated ones too; continued lines are joined (systemd.syntax(7))."""
    sections: Sections = []
    for raw in text.replace("\\\n", " ").splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            sections.append((line[1:-1], []))
        elif "=" in line and sections:
            key, _, value = line.partition("=")
            sections[-1][1].append((key.strip(), value.strip()))
    return sections


def _section(name: str, entries: list[tuple[str, str]]) -> str:
    return "\n".join((f"[{name}]", *(f"{key}={value}" for key, value in entries)))


def _index(name: str) -> int:
    return int((Path("/sys/class/net") / name / "ifindex").read_text("ascii"))
