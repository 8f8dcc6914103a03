# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The lab's network: namespaces, bridges and cables. The host's own namespace has no part in it.

NAME-ctl ──── bridge mgmt, 172.31.0.1 ──── mgmt0 of every machine
NAME-fabric ─ bridge underlay ──────────── eth0 of every machine
NAME-internet bridge lan, 192.0.2.1 ────── ext0 of the gateway, which has no mgmt0
   └───────── 203.0.113.2 ──────────────── 203.0.113.1 of NAME-ctl, so that people reach the gateway from outside
"""

from __future__ import annotations

from pathlib import Path

from .machines import (
    CONTROL,
    CONTROL_OUTSIDE,
    INTERNET,
    INTERNET_INSIDE,
    LEASED,
    MACHINES,
    UNDERLAY_CONTROL,
    Machine,
)
from .processes import in_namespace, run, works
from .settings import Settings

PARTS = ("ctl", "fabric", "internet")


def namespaces(settings: Settings) -> list[str]:
    """Names of the lab's namespaces that exist now."""
    folder = Path("/run/netns")
    prefix = f"{settings.name}-"
    known = {settings.namespace(part) for part in (*PARTS, *(m.name for m in MACHINES))}
    inner = tuple(compartments(settings, machine) for machine in MACHINES if machine.windows)
    names = [path.name for path in folder.glob(f"{prefix}*")] if folder.is_dir() else []
    return sorted(name for name in names if name in known or name.startswith(inner))


def compartments(settings: Settings, machine: Machine) -> str:
    """What the names of the namespaces begin with that are network compartments of a Windows machine."""
    return f"{settings.namespace(machine.name)}-c"


def build(settings: Settings) -> None:
    """Make the parts that are there whether machines run or not, where they are missing."""
    commands = {
        "ctl": [
            # of its own, or it changes with the machines that come and go, and neighbours lose sight of it
            "link add mgmt address 02:00:ac:1f:00:01 type bridge forward_delay 0",
            f"addr add {CONTROL}/24 dev mgmt",
            "link set mgmt up",
        ],
        "fabric": [
            f"link add underlay mtu {settings.underlay_mtu} type bridge forward_delay 0",
            "link set underlay up",
        ],
        "internet": [
            "link add lan address 02:00:c0:00:02:01 type bridge forward_delay 0",
            *(f"addr add {address} dev {'lo' if address.endswith('/32') else 'lan'}" for address in INTERNET),
            "link set lan up",
        ],
    }
    present = set(namespaces(settings))
    for part in PARTS:
        if settings.namespace(part) not in present:
            try:
                _namespace(settings, part)
                _ip(settings, part, *commands[part])
                if part == "fabric":
                    _connect_control(settings)
                if part == "internet":
                    _connect_internet(settings)
            except BaseException:
                works(["ip", "netns", "del", settings.namespace(part)])
                raise


def _connect_control(settings: Settings) -> None:
    """Let the control machine reach the network between the nodes, where the API server is."""
    mtu, near, far = str(settings.underlay_mtu), settings.namespace("ctl"), settings.namespace("fabric")
    works(["ip", "-n", near, "link", "del", "dev", "underlay"])
    peer = ["peer", "name", "ctl", "mtu", mtu, "netns", far]
    run(["ip", "link", "add", "underlay", "mtu", mtu, "netns", near, "type", "veth", *peer])
    _ip(settings, "ctl", f"addr add {UNDERLAY_CONTROL}/24 dev underlay", "link set underlay up")
    _ip(settings, "fabric", "link set dev ctl master underlay up")
    _no_offload(settings, "ctl", "underlay")


def _connect_internet(settings: Settings) -> None:
    """Let the control machine and the gateways reach each other through the internet, which forwards packets."""
    near, far = settings.namespace("ctl"), settings.namespace("internet")
    works(["ip", "-n", near, "link", "del", "dev", "internet"])
    run(["ip", "link", "add", "internet", "netns", near, "type", "veth", "peer", "name", "ctl", "netns", far])
    _ip(settings, "ctl", f"addr add {CONTROL_OUTSIDE}/30 dev internet", "link set internet up")
    _ip(settings, "ctl", f"route add {LEASED} via {INTERNET_INSIDE}")
    _ip(settings, "internet", f"addr add {INTERNET_INSIDE}/30 dev ctl", "link set ctl up")
    _ip(settings, "internet", f"route add {CONTROL}/32 via {CONTROL_OUTSIDE}")
    run(in_namespace(settings, "internet", ["sysctl", "-qw", "net.ipv4.ip_forward=1"]))


def plug(settings: Settings, machine: Machine) -> None:
    """Make a machine's namespace and cables, as after switching the power on."""
    unplug(settings, machine)
    _namespace(settings, machine.name)
    management, underlay = machine.interfaces
    _cable(settings, machine, underlay, 1, "fabric", machine.name, settings.underlay_mtu)
    _ip(settings, "fabric", f"link set dev {machine.name} master underlay up")
    commands = [f"addr add {machine.underlay}/24 dev {underlay}", f"link set {underlay} up"]
    bare = [underlay]
    if machine.internet:
        _cable(settings, machine, "ext0", 2, "internet", machine.name, 1500)
        _ip(settings, "internet", f"link set dev {machine.name} master lan up")
        _no_offload(settings, "internet", machine.name)
        bare.append("ext0")  # it is down and has no address: that is the machine's own business
    else:
        _cable(settings, machine, management, 0, "ctl", machine.name, 1500)
        _ip(settings, "ctl", f"link set dev {machine.name} master mgmt up")
        commands += [f"addr add {machine.management}/24 dev {management}", f"link set {management} up"]
    _ip(settings, machine.name, *commands)
    for interface in bare:
        _no_offload(settings, machine.name, interface)


def unplug(settings: Settings, machine: Machine) -> None:
    """Remove a machine's cables and namespace, with all that the machine made in it."""
    present = set(namespaces(settings))
    for part in ("internet" if machine.internet else "ctl", "fabric"):
        if settings.namespace(part) in present:
            works(["ip", "-n", settings.namespace(part), "link", "del", "dev", machine.name])
    for name in present:
        if name == settings.namespace(machine.name) or name.startswith(compartments(settings, machine)):
            run(["ip", "netns", "del", name])


def remove(settings: Settings) -> None:
    """Remove every namespace of the lab; what was in them goes with them."""
    for name in namespaces(settings):
        run(["ip", "netns", "del", name])


def inodes(settings: Settings) -> set[int]:
    """Inode numbers of the lab's namespaces: a process is in one when its /proc/PID/ns/net has that number."""
    return {(Path("/run/netns") / name).stat().st_ino for name in namespaces(settings)}


def _namespace(settings: Settings, part: str) -> None:
    run(["ip", "netns", "add", settings.namespace(part)])
    _ip(settings, part, "link set lo up")


def _cable(
    settings: Settings, machine: Machine, interface: str, number: int, part: str, far_name: str, mtu: int
) -> None:
    """A veth pair from a machine to another namespace; it is never in the host's namespace."""
    near = ["address", machine.mac(number), "mtu", str(mtu), "netns", settings.namespace(machine.name)]
    far = ["peer", "name", far_name, "mtu", str(mtu), "netns", settings.namespace(part)]
    run(["ip", "link", "add", interface, *near, "type", "veth", *far])


def _ip(settings: Settings, part: str, *commands: str) -> None:
    run(["ip", "-n", settings.namespace(part), "-batch", "-"], stdin="".join(f"{line}\n" for line in commands))


def _no_offload(settings: Settings, part: str, interface: str) -> None:
    """Have checksums written by the sender, as a wire has them.

    A veth hands over packets whose checksum is still to be written; Open vSwitch's userspace datapath at the other end
    would send them on as they are, and TCP would fail while ping works.
    """
    run(in_namespace(settings, part, ["ethtool", "-K", interface, "tx", "off"]))
