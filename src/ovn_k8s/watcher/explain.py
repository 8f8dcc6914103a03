# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What stands between a pod and its network, in words: `ovn-k8s-watcher explain pod/<namespace>/<name>`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import Any

from ovn_k8s.core.addresses import FIRST_POD_HOST, mac_for
from ovn_k8s.core.database import Database, StoredRow
from ovn_k8s.core.pods import Pod, pod_from_api, pod_owner, pod_port_name
from ovn_k8s.core.policy_rows import OWNER_PREFIX as POLICIES
from ovn_k8s.core.service_rows import service_load_balancers, surroundings
from ovn_k8s.core.services import Endpoint, EndpointSlice, Service, endpoint_slice_from_api, service_from_api
from ovn_k8s.core.topology import LOAD_BALANCER_GROUP

from .explain_policies import explain_policies
from .explanation import Explanation
from .identity import host_of

TABLES = {
    "Logical_Switch": ("name", "ports", "load_balancer", "load_balancer_group", "other_config", "external_ids"),
    "Logical_Switch_Port": ("name", "addresses", "port_security", "options", "up", "enabled", "external_ids"),
    "Load_Balancer": ("name", "vips", "external_ids"),
    "Load_Balancer_Group": ("name", "load_balancer"),
    "Logical_Router": ("name", "load_balancer", "external_ids"),
    "Logical_Router_Port": ("name", "networks", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "policy", "external_ids"),
    "Port_Group": ("name", "ports", "acls", "external_ids"),
    "ACL": ("name", "direction", "action", "external_ids"),
    "Address_Set": ("name", "addresses", "external_ids"),
}
"""What is read of the northbound database."""


@dataclass(frozen=True)
class Binding:
    """What the southbound database says about a port. `chassis`: where it is bound, empty when nowhere."""

    known: bool
    chassis: str = ""
    up: bool = False


@dataclass(frozen=True)
class Facts:
    """What the API server and the databases say. Documents are those of the API, of the pod's namespace.

    `binding` is None when nobody asked the southbound database.
    """

    namespace: str
    name: str
    pod: Mapping[str, Any] | None
    services: tuple[Mapping[str, Any], ...]
    slices: tuple[Mapping[str, Any], ...]
    policies: tuple[Mapping[str, Any], ...]
    lease: Mapping[str, Any] | None
    database: Database
    binding: Binding | None = None


def explain_pod(facts: Facts) -> Explanation:
    """Follow a pod's way from the API server to its port and its services."""
    story = Explanation([f"pod {facts.namespace}/{facts.name}"])
    port = facts.database.find("Logical_Switch_Port", pod_port_name(facts.namespace, facts.name))
    if facts.pod is None:
        story.fault("API: there is no such pod")
        if port is not None:
            story.fault(f"port: {port.columns['name']} is still in OVN; a watcher that leads removes it")
            _leader(story, facts.lease)
        return story
    pod = pod_from_api(facts.pod)
    if not _scheduled(story, pod, facts.pod):
        return story
    if not _switch(story, facts.database, pod) or not _port(story, facts, pod, port):
        _leader(story, facts.lease)
        return story
    assert port is not None
    _binding(story, pod, port)
    if facts.binding is not None:
        _southbound(story, pod, facts.binding)
    _annotation(story, pod, port)
    explain_policies(story, facts.policies, pod, port, facts.database)
    _port_groups(story, facts.database, port)
    _services(story, facts, pod, port)
    return story


def _scheduled(story: Explanation, pod: Pod, document: Mapping[str, Any]) -> bool:
    phase = (document.get("status") or {}).get("phase", "unknown")
    if pod.host_network:
        story.say(f"API: {phase}, on the network of its node {pod.node or '(none yet)'}; it has no port by design")
    elif not pod.node:
        story.fault("API: no node yet; the scheduler has to choose one before the pod gets a port")
    elif pod.finished:
        story.say(f"API: {phase} and over; its port and address are given back")
    else:
        story.say(f"API: {phase}, on node {pod.node}, uid {pod.uid}")
        return True
    return False


def _switch(story: Explanation, database: Database, pod: Pod) -> bool:
    switch = database.find("Logical_Switch", pod.node)
    subnet = switch.columns["other_config"].get("subnet", "") if switch else ""
    if switch is None or not subnet:
        story.fault(f"switch: node {pod.node} has no logical switch with a subnet; has site.yml run for this node?")
        return False
    network = ip_network(subnet)
    used = sum(
        1
        for uuid in switch.columns["ports"]
        if (row := database.get("Logical_Switch_Port", uuid)) is not None and row.columns["external_ids"].get("pod")
    )
    room = network.num_addresses - 1 - FIRST_POD_HOST
    story.say(f"switch: {pod.node} with subnet {subnet}, {used} of {room} pod addresses in use")
    return True


def _port(story: Explanation, facts: Facts, pod: Pod, port: StoredRow | None) -> bool:
    name = pod_port_name(pod.namespace, pod.name)
    if port is None:
        story.fault(f"port: {name} is not in OVN yet")
        if pod.asks:
            _asked(story, facts.database, pod)
        return False
    ids, addresses = port.columns["external_ids"], " ".join(sorted(port.columns["addresses"]))
    if port.owner != pod_owner(pod.namespace, pod.name):
        story.fault(f"port: {name} is somebody else's (owner {port.owner or 'none'}); the watcher leaves it alone")
        return False
    story.say(f"port: {name} with {addresses or 'no address'}")
    if ids.get("pod_uid") != pod.sandbox_uid:
        story.fault(f"port: it is that of an earlier pod of this name, uid {ids.get('pod_uid', 'unknown')}")
    holders = [
        row.columns["name"] for row in facts.database.rows("Logical_Switch") if port.uuid in row.columns["ports"]
    ]
    if holders != [pod.node]:
        story.fault(f"port: it is on switch {', '.join(holders) or '(none)'} and not on {pod.node}")
    address = _address(port)
    if address and port.columns["addresses"] != {f"{mac_for(IPv4Address(address))} {address}"}:
        story.fault("port: its addresses are not those that the watcher writes")
    if port.columns["port_security"] != port.columns["addresses"]:
        story.fault("port: port_security differs from its addresses")
    if pod.asks and pod.asks != address:
        story.fault(f"port: the pod asks for {pod.asks} but had {address} already; an address never changes")
    for other in facts.database.rows("Logical_Switch_Port"):
        if (
            other.uuid != port.uuid
            and address
            and any(address in entry.split() for entry in other.columns["addresses"])
        ):
            story.fault(f"port: {other.columns['name']} has the same address")
    return True


def _asked(story: Explanation, database: Database, pod: Pod) -> None:
    for row in database.rows("Logical_Switch_Port"):
        if any(pod.asks in entry.split() for entry in row.columns["addresses"]):
            story.fault(f"address: the pod asks for {pod.asks}, which is that of port {row.columns['name']}")
            return
    story.say(f"address: the pod asks for {pod.asks}, which no port has; events of the pod say more")


def _binding(story: Explanation, pod: Pod, port: StoredRow) -> None:
    name, chassis = port.columns["name"], port.columns["options"].get("requested-chassis", "any chassis")
    if port.columns.get("up") is True:
        story.say(f"binding: up on {chassis}")
    else:
        story.fault(
            f"binding: no chassis has it up. On {pod.node} an interface of br-int needs "
            f"external_ids:iface-id={name} (made by ovn-k8s-node when kubelet asks), and ovn-controller the system-id "
            f"{chassis}"
        )
    if pod.address and pod.address != _address(port):
        story.fault(f"binding: kubelet reports {pod.address}, the port has {_address(port) or 'no address'}")


def _southbound(story: Explanation, pod: Pod, binding: Binding) -> None:
    """What the node agent and ovn-controller see."""
    if not binding.known:
        story.fault("southbound: it has no binding of the port; does ovn-northd run?")
    elif not binding.chassis:
        story.fault(f"southbound: no chassis has claimed the binding; see ovn-controller on {pod.node}")
    elif binding.chassis != pod.node:
        story.fault(f"southbound: chassis {binding.chassis} has claimed it, and not {pod.node}")
    else:
        state = "all its flows are in place" if binding.up else "its flows are being made"
        story.say(f"southbound: claimed by chassis {binding.chassis}, {state}")


def _annotation(story: Explanation, pod: Pod, port: StoredRow) -> None:
    wanted = port.columns["external_ids"].get("ip_address", "")
    if pod.annotation is None:
        story.fault("annotation: `ovn` is not written yet; nothing waits for it")
    elif f'"{wanted}"' not in pod.annotation:
        story.fault(f"annotation: `ovn` says {pod.annotation}, the port has {wanted}")
    else:
        story.say(f"annotation: `ovn` says {wanted}")


def _port_groups(story: Explanation, database: Database, port: StoredRow) -> None:
    groups = [
        row
        for row in database.rows("Port_Group")
        if port.uuid in row.columns["ports"] and not row.owner.startswith(POLICIES)
    ]
    for row in sorted(groups, key=lambda row: str(row.columns["name"])):
        owner = f" of {row.owner}" if row.owner else ""
        story.say(f"port group: {row.columns['name']}{owner} with {len(row.columns['acls'])} ACLs applies to it")


def _services(story: Explanation, facts: Facts, pod: Pod, port: StoredRow) -> None:
    address = _address(port)
    slices = [endpoint_slice_from_api(document) for document in facts.slices]
    labels = (facts.pod or {}).get("metadata", {}).get("labels") or {}
    seen = 0
    for document in facts.services:
        service = service_from_api(document)
        own = [part for part in slices if part.service == service.name]
        endpoints = [endpoint for part in own for endpoint in part.endpoints if endpoint.address == address]
        selector = (document.get("spec") or {}).get("selector") or {}
        selected = bool(selector) and all(labels.get(key) == value for key, value in selector.items())
        if not endpoints and not selected:
            continue
        seen += 1
        title = f"service {service.name}"
        if not endpoints:
            story.fault(f"{title}: its selector matches, but no EndpointSlice names {address}: see controller-manager")
        elif not service.cluster_ips:
            story.say(f"{title}: has no cluster address (headless, or somebody else's): found by name only")
        else:
            _service(story, facts.database, title, service, own, endpoints[0])
    if not seen:
        story.say("services: none names this pod")


def _service(
    story: Explanation,
    database: Database,
    title: str,
    service: Service,
    slices: Iterable[EndpointSlice],
    endpoint: Endpoint,
) -> None:
    state = "ready" if endpoint.ready else "ending, still serving" if endpoint.serving else "not ready"
    for row in service_load_balancers(service, slices, surroundings(database)):
        if row.parent and row.parent.table == "Logical_Switch" and row.parent.name != endpoint.node:
            continue
        stored = database.find("Load_Balancer", row.name)
        if stored is None:
            story.fault(f"{title}: load balancer {row.name} is not in OVN")
            continue
        for vip, backends in sorted(row.columns["vips"].items()):
            present = stored.columns["vips"].get(vip)
            if present != backends:
                story.fault(
                    f"{title}: {row.name} sends {vip} to {present or 'nobody'} instead of {backends or 'nobody'}"
                )
            elif any(_host(backend) == endpoint.address for backend in backends.split(",")):
                story.say(f"{title}: {vip} reaches it ({state}), one of {backends.count(',') + 1}")
            else:
                story.say(f"{title}: {vip} does not reach it, as it is {state}")
        if row.parent and row.parent.table == "Logical_Router":
            _routed(story, database, title, stored, row.parent.name)
        else:
            _reached(story, database, title, stored, endpoint.node)


def _routed(story: Explanation, database: Database, title: str, balancer: StoredRow, router: str) -> None:
    """Whether the load balancer works on a gateway's router."""
    found = database.find("Logical_Router", router)
    if found is None or balancer.uuid not in found.columns["load_balancer"]:
        story.fault(f"{title}: {balancer.columns['name']} is not on router {router}, so that no packet meets it")


def _reached(story: Explanation, database: Database, title: str, balancer: StoredRow, node: str) -> None:
    """Whether the load balancer works on the pod's own switch."""
    name = balancer.columns["name"]
    switch = database.find("Logical_Switch", node) if node else None
    if switch is not None and balancer.uuid in switch.columns["load_balancer"]:
        return
    group = database.find("Load_Balancer_Group", LOAD_BALANCER_GROUP)
    if group is None or balancer.uuid not in group.columns["load_balancer"]:
        story.fault(f"{title}: {name} is in no group or switch, so that no packet meets it")
    elif switch is not None and group.uuid not in switch.columns["load_balancer_group"]:
        story.fault(f"{title}: switch {node} has no part in group {LOAD_BALANCER_GROUP}")


def _leader(story: Explanation, lease: Mapping[str, Any] | None) -> None:
    spec = (lease or {}).get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if holder:
        story.say(f"watcher: {host_of(holder)} leads, its Lease was renewed at {spec.get('renewTime')}; see its log")
    else:
        story.fault("watcher: none leads; is ovn-k8s-watcher running on a master?")


def _address(port: StoredRow) -> str:
    return next(iter(_addresses(port)), "")


def _addresses(port: StoredRow) -> Iterator[str]:
    for entry in sorted(port.columns["addresses"]):
        yield from (word for word in entry.split()[1:] if "." in word)


def _host(backend: str) -> str:
    return backend.rsplit(":", 1)[0].strip("[]")
