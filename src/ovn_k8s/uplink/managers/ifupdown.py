# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""ifupdown (interfaces(5)): the NIC's stanzas become the bridge's, and the NIC gets one that leaves it bare.

Open vSwitch makes the bridge at boot, before ifupdown's networking.service.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path

from ..errors import UplinkError
from ..kernel import Facts, Interface, default_metric
from ..record import Record, restore_files, write_files
from .manager import command

MAIN = Path("/etc/network/interfaces")
STATE = Path("/run/network/ifstate")
_MARK = "# {nic} was moved to {bridge} by ovn-k8s-overlay nics-to-bridge; bridge-to-nics undoes it"
_STARTS = ("iface", "mapping", "auto", "source", "source-directory", "no-auto-down", "no-scripts", "rename", "template")
_STACKED = ("bridge_ports", "bridge-ports", "bond-master", "bond_master", "vlan-raw-device", "vlan_raw_device")


def owns(nic: Interface) -> bool:
    """Whether ifupdown has brought the NIC up."""
    try:
        lines = STATE.read_text("utf-8").split()
    except OSError:
        return False
    return any(line.partition("=")[0] == nic.name for line in lines) and bool(_sources(nic.name))


class Ifupdown:
    """See above."""

    name = "ifupdown"

    def files(self, nic: Interface, bridge: str, facts: Facts) -> Mapping[str, str | None]:
        return {str(path): for_bridge(path.read_text("utf-8"), nic.name, bridge, facts) for path in _sources(nic.name)}

    def release(self, record: Record) -> None:
        command("ifdown", "--force", record.nic)

    def adopt(self, record: Record) -> None:
        write_files(record.files, record.before)
        _bring_up(record.nic)
        _bring_up(record.bridge)

    def abandon(self, record: Record) -> None:
        command("ifdown", "--force", record.bridge, record.nic)

    def restore(self, record: Record) -> None:
        restore_files(record.before)
        _bring_up(record.nic)

    def settled(self, interface: Interface, leased: bool) -> bool:
        return True  # ifup waits


def _bring_up(interface: str) -> None:
    """ifup fails on addresses and routes that are there already, as those that the move gave: it adds them itself."""
    command("ip", "address", "flush", "dev", interface, "scope", "global")
    command("ifup", "--force", interface)


def for_bridge(text: str, nic: str, bridge: str, facts: Facts) -> str:
    """One of ifupdown's files with the NIC's stanzas given to the bridge.

    dhcpcd makes a route's metric from the interface's number, and the bridge's is higher than those of all other NICs:
    its leased routes get the metric that the NIC's had.

    Raises:
        UplinkError: the NIC carries other interfaces, or is part of one.
    """
    made: list[str] = []
    ours = leased = False
    metric = default_metric(facts, socket.AF_INET)
    word = re.compile(rf"(?<![\w.:-]){re.escape(nic)}(?![\w.:-])")
    stanzas = 0
    for original in text.splitlines():
        line, words = original, original.split()
        first = words[0] if words else ""
        if first in _STARTS or first.startswith("allow-"):
            ours = first == "iface" and len(words) > 1 and words[1] == nic
            if first == "auto" or first.startswith("allow-"):
                line = word.sub(f"{nic} {bridge}", line)
        elif first in _STACKED and nic in words:
            raise UplinkError(f"{nic} is stacked with another interface ({line.strip()}), which cannot be moved")
        if ours:
            if first == "iface" and not stanzas:
                made += [_MARK.format(nic=nic, bridge=bridge), f"iface {nic} inet manual"]
                made += [f"    up ip link set dev {nic} up", ""]
            stanzas += first == "iface"
            line = word.sub(bridge, line)
            if first == "iface":
                leased = words[2:4] == ["inet", "dhcp"]
                if leased and metric:
                    line += f"\n    metric {metric}"
            elif first in ("hwaddress", "mtu") or (first == "metric" and leased and metric):
                continue  # Open vSwitch gives the bridge the NIC's
        made.append(line)
    return "\n".join(made) + "\n"


def _sources(nic: str) -> list[Path]:
    """The files with a stanza of the NIC."""
    stanza = re.compile(rf"^\s*iface\s+{re.escape(nic)}\s", re.MULTILINE)
    candidates = [MAIN, *sorted((MAIN.parent / "interfaces.d").glob("*"))]
    return [path for path in candidates if path.is_file() and stanza.search(path.read_text("utf-8"))]
