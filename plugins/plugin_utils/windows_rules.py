# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a Windows machine must be before anything but the bundle is put on it, judged from the bundle's facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..module_utils.core.hns.versions import Version, supported

OLDEST_BUILD = 17763
"""Windows Server 2019; the first with an HNS of which an overlay can be made (with KB4489899)."""
KEEPS_ADDRESS_BUILD = 20348
"""Windows Server 2022."""
EDITIONS = ("Server", "Server Core")
ARCHITECTURES = ("AMD64",)
MOST_SKEW_SECONDS = 120
"""Certificates are valid from an hour ago; tokens, Kerberos and logs want it closer."""
VXLAN_OVERHEAD = 50
"""Bytes that VXLAN takes of the underlay's MTU: outer IP, UDP and VXLAN headers, inner Ethernet header."""
GENEVE_OVERHEAD = 100
VIRTUAL = "vEthernet ("
"""An external HNS network moves the address of adapter `X` to a virtual one called `vEthernet (X)`."""
NEEDED = {"hybrid_overlay": ("remote_subnet", "host_route"), "ovs": ()}
"""Features of HNS that a datapath cannot do without."""


@dataclass(frozen=True)
class Wishes:
    """What the inventory says about the machine."""

    node_name: str
    node_ip: str
    datapath: str
    runtime: str
    adapter: str
    mtu: int
    may_reboot: bool
    now: float
    """Seconds since the epoch on the control machine when the facts were asked for."""


def problems(facts: Mapping[str, Any], wishes: Wishes) -> list[str]:
    """Everything that stands in the way on this machine; empty when nothing does."""
    return [
        *_system(facts),
        *_restart(facts, wishes),
        *_clock(facts, wishes),
        *_network(facts, wishes),
        *_hns(facts, wishes),
        *_runtimes(facts, wishes),
        *_datapath(facts, wishes),
    ]


def warnings(facts: Mapping[str, Any], wishes: Wishes) -> list[str]:
    """What works, but may surprise."""
    return [*_name(facts, wishes), *_fixed_address(facts, wishes)]


def _name(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    if str(facts.get("name", "")).lower() != wishes.node_name:
        yield (
            f"the machine calls itself {facts.get('name')!r} and its node {wishes.node_name!r}; programs that ask "
            "Windows for the name will not find the node"
        )


def _fixed_address(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    """ovn-kubernetes 2530, sig-windows-tools 162: the machine may be lost; Red Hat's operator asks for the value."""
    found = _with_address(facts.get("adapters", ()), wishes.node_ip)
    if (
        found is not None
        and not found.get("dhcp", True)
        and not found["name"].startswith(VIRTUAL)
        and int(facts.get("build", 0)) < KEEPS_ADDRESS_BUILD
        and not facts.get("device_less_nic_disabled")
    ):
        yield (
            f"adapter '{found['name']}' has a fixed address, and HNS of builds before {KEEPS_ADDRESS_BUILD} is known "
            "to lose one when it makes the virtual switch; set DeviceLessNicDisabled (DWORD) = 1 in HKLM:\\SYSTEM"
            "\\CurrentControlSet\\Services\\hns\\State and restart the service hns before, or have a console at hand"
        )


def adapter_of(facts: Mapping[str, Any], wishes: Wishes) -> str:
    """The physical adapter in the network between the nodes; empty when there is none."""
    if wishes.adapter:
        return wishes.adapter
    found = _with_address(facts.get("adapters", ()), wishes.node_ip)
    name = str(found["name"]) if found else ""
    return name[len(VIRTUAL) : -1] if name.startswith(VIRTUAL) and name.endswith(")") else name


def pod_mtu(facts: Mapping[str, Any], wishes: Wishes) -> int:
    """The MTU of pods in bytes: as the inventory says, else what the underlay leaves; 0 when nobody knows."""
    return wishes.mtu or max(_underlay_mtu(facts, wishes) - _overhead(wishes), 0)


def features(facts: Mapping[str, Any]) -> list[str]:
    """What this HNS can do; empty while there is none."""
    major, dot, minor = str(facts.get("hns_version") or "").partition(".")
    return sorted(supported(Version(int(major), int(minor)))) if dot else []


def _system(facts: Mapping[str, Any]) -> Iterator[str]:
    build, edition = int(facts.get("build", 0)), facts.get("installation_type")
    if edition not in EDITIONS:
        yield f"this is {facts.get('product') or 'Windows'} ({edition or 'unknown'}); use Windows Server 2019 or newer"
    elif build < OLDEST_BUILD:
        yield f"the build is {build}, older than {OLDEST_BUILD}; use Windows Server 2019 or newer"
    if facts.get("architecture") not in ARCHITECTURES:
        yield f"the architecture is {facts.get('architecture')}; Kubernetes runs on {' and '.join(ARCHITECTURES)} here"


def _restart(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    pending = facts.get("pending_reboot") or []
    if pending and not wishes.may_reboot:
        yield (
            f"a restart is pending ({'; '.join(pending)}); restart the machine, or let the role do it with "
            "windows_worker_reboot: true"
        )


def _clock(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    skew = float(facts.get("time", 0)) - wishes.now
    if abs(skew) > MOST_SKEW_SECONDS:
        yield (
            f"the clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the control machine's; "
            "set it (w32tm /resync), or certificates and tokens are refused"
        )


def _network(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    adapters = facts.get("adapters", ())
    found = _with_address(adapters, wishes.node_ip)
    if found is None:
        listed = ", ".join(f"{a['name']} {' '.join(a['addresses'])}".strip() for a in adapters) or "none"
        yield (
            f"ovn_k8s_node_ip = '{wishes.node_ip}' is no address of the machine, whose adapters are: {listed}; set "
            "ovn_k8s_node_ip to the one in the network between the nodes"
        )
        return
    if not found["up"]:
        yield f"adapter '{found['name']}' with {wishes.node_ip} is down; connect it"
    name = adapter_of(facts, wishes)
    if name not in [adapter["name"] for adapter in adapters]:
        names = ", ".join(str(adapter["name"]) for adapter in adapters)
        yield f"windows_worker_adapter = '{name}' does not exist on the machine, which has {names}"
    underlay, overhead = int(found["mtu"]), _overhead(wishes)
    if wishes.mtu and wishes.mtu + overhead > underlay:
        yield (
            f"ovn_k8s_mtu = {wishes.mtu} does not fit through adapter '{found['name']}', whose MTU is {underlay}, with "
            f"{overhead} bytes of encapsulation; use at most {underlay - overhead}, or 0"
        )


def _hns(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    if not facts.get("hns_version"):
        # The Containers feature, which the role installs, brings it.
        return
    lacking = [name for name in NEEDED[wishes.datapath] if name not in features(facts)]
    if lacking:
        yield (
            f"HNS {facts['hns_version']} has no {' and no '.join(lacking)}, which windows_datapath: {wishes.datapath} "
            "needs; install the machine's updates (on Windows Server 2019 at least KB4489899)"
        )


def _runtimes(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    other = {"containerd": "docker", "docker": "containerd"}[wishes.runtime]
    if (facts.get("services") or {}).get(other):
        yield (
            f"the service {other} runs, and windows_runtime is {wishes.runtime}: two runtimes keep two sets of "
            f"networks; remove {other}, or set windows_runtime: {other}"
        )


def _datapath(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    present = (facts.get("node") or {}).get("datapath", wishes.datapath)
    if present != wishes.datapath:
        yield (
            f"the machine is a node with windows_datapath: {present}, and the inventory says {wishes.datapath}: pods "
            "do not go over from one to the other; take the node out (playbooks/reset.yml with --limit), and run this "
            "again"
        )


def _overhead(wishes: Wishes) -> int:
    return VXLAN_OVERHEAD if wishes.datapath == "hybrid_overlay" else GENEVE_OVERHEAD


def _underlay_mtu(facts: Mapping[str, Any], wishes: Wishes) -> int:
    found = _with_address(facts.get("adapters", ()), wishes.node_ip)
    return int(found["mtu"]) if found else 0


def _with_address(adapters: Sequence[Mapping[str, Any]], address: str) -> Mapping[str, Any] | None:
    return next((a for a in adapters if address in [text.partition("/")[0] for text in a["addresses"]]), None)
