# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkManager (nm-settings-keyfile(5)): the bridge gets a profile with the addressing of the NIC's, the NIC none.

The bridge is Open vSwitch's, so to NetworkManager its interface is one that somebody else has made: a generic one, or
with the userspace datapath a tap device, whose profile has to say as what kind of tap it was made. The integration
bridge, which is there already, shows both.
"""

from __future__ import annotations

import configparser
import io
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from ovn_k8s.host.config import INTEGRATION_BRIDGE

from ..errors import UplinkError
from ..kernel import Facts, Interface, default_metric
from ..record import Record, restore_files, write_files
from .manager import command

FOLDER = Path("/etc/NetworkManager")
STATE = Path("/run/NetworkManager/devices")
_MARK = "# Written by ovn-k8s-overlay nics-to-bridge; bridge-to-nics removes it.\n"
_CONFIGURATION = """\
{mark}[keyfile]
unmanaged-devices+=interface-name:{nic}

# At boot the bridge's interface is down, and so one that somebody else has made and is not yet done with.
[device-ovn-k8s-{bridge}]
match-device=interface-name:{bridge}
managed=1
"""
TAP_FLAGS = Path(f"/sys/class/net/{INTEGRATION_BRIDGE}/tun_flags")
_IFF_VNET_HDR = 0x4000
_PENALTY = 20000
"""What it adds to the metric of a default route that does not lead to the internet (NetworkManager.conf(5))."""
_ADDRESSING = ("ipv4", "ipv6", "proxy", "user")


def owns(nic: Interface) -> bool:
    """Whether NetworkManager runs and has a profile active on the NIC."""
    state = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        state.read_string((STATE / str(nic.index)).read_text("utf-8"))
    except (OSError, configparser.Error):
        return False
    if not state.get("device", "connection-uuid", fallback=""):
        return False
    try:
        return "running" in command("nmcli", "-t", "-f", "RUNNING", "general")
    except UplinkError:
        return False


class NetworkManager:
    """See above."""

    name = "networkmanager"

    def files(self, nic: Interface, bridge: str, facts: Facts) -> Mapping[str, str | None]:
        profile = command("nmcli", "-g", "GENERAL.CON-UUID", "device", "show", nic.name).strip()
        listed = command("nmcli", "-t", "-f", "UUID,FILENAME", "connection", "show").splitlines()
        path = next((line.partition(":")[2] for line in listed if line.startswith(f"{profile}:")), "")
        if not path or not Path(path).is_file():
            raise UplinkError(f"{nic.name}: the profile {profile} that NetworkManager uses for it has no file")
        profile_of_bridge = for_bridge(Path(path).read_text("utf-8"), nic.name, bridge, tap_settings(), facts)
        return {
            str(FOLDER / "conf.d" / f"90-ovn-k8s-{nic.name}.conf"): (
                _CONFIGURATION.format(mark=_MARK, nic=nic.name, bridge=bridge)
            ),
            str(FOLDER / "system-connections" / f"ovn-k8s-{bridge}.nmconnection"): profile_of_bridge,
        }

    def release(self, record: Record) -> None:
        command("nmcli", "device", "set", record.nic, "managed", "no")

    def adopt(self, record: Record) -> None:
        write_files(record.files, record.before)
        command("nmcli", "general", "reload", "conf")
        command("nmcli", "connection", "load", _profile(record))
        command("nmcli", "device", "set", record.bridge, "managed", "yes")
        command("nmcli", "--wait", "20", "connection", "up", f"ovn-k8s-{record.bridge}")

    def abandon(self, record: Record) -> None:
        command("nmcli", "device", "set", record.bridge, "managed", "no")
        # By a profile that it has, it makes a tap device of its own once Open vSwitch has removed the bridge.
        command("nmcli", "connection", "delete", f"ovn-k8s-{record.bridge}")

    def restore(self, record: Record) -> None:
        restore_files(record.before)
        command("nmcli", "connection", "reload")
        command("nmcli", "general", "reload", "conf")
        command("nmcli", "device", "set", record.nic, "managed", "yes")
        command("nmcli", "--wait", "20", "device", "connect", record.nic)

    def settled(self, interface: Interface, leased: bool) -> bool:
        return True  # nmcli waits


def tap_settings() -> dict[str, str]:
    """What a profile says of a bridge's tap device; nothing where bridges are the kernel's."""
    try:
        flags = int(TAP_FLAGS.read_text("ascii"), 16)
    except OSError:
        return {}
    return {"mode": "2", "vnet-hdr": "true" if flags & _IFF_VNET_HDR else "false"}


def for_bridge(text: str, nic: str, bridge: str, tap: Mapping[str, str], facts: Facts) -> str:
    """The bridge's profile, from the NIC's. `tap`: see `tap_settings`.

    Routes get the metric that the NIC's have: NetworkManager prefers Ethernet to what it takes the bridge for, so that
    another Ethernet interface would become the way out.

    Raises:
        UplinkError: the NIC is part of another interface.
    """
    profile = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    profile.optionxform = str  # type: ignore[assignment, method-assign]
    profile.read_string(text)
    for key in ("master", "controller"):
        if master := profile.get("connection", key, fallback=""):
            raise UplinkError(f"{nic} is part of {master}, which cannot be moved")
    made = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    made.optionxform = str  # type: ignore[assignment, method-assign]
    made["connection"] = {
        "id": f"ovn-k8s-{bridge}",
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{bridge}.ovn-k8s")),
        "type": "tun" if tap else "generic",
        "interface-name": bridge,
        "autoconnect-priority": "100",
    }
    if tap:
        made["tun"] = tap
    for section in _ADDRESSING:
        if profile.has_section(section):
            made[section] = dict(profile[section])
    for section, family in (("ipv4", socket.AF_INET), ("ipv6", socket.AF_INET6)):
        if metric := (default_metric(facts, family) or default_metric(facts)) % _PENALTY:
            if not made.has_section(section):
                made[section] = {"method": "auto"}
            made[section].setdefault("route-metric", str(metric))
    text_made = io.StringIO()
    made.write(text_made, space_around_delimiters=False)
    return _MARK + text_made.getvalue()


def _profile(record: Record) -> str:
    return next(path for path in record.files if path.endswith(".nmconnection"))
