# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods: what of a pod matters to the network, and the logical switch port that it wants."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .addresses import mac_for
from .ipam import Lease
from .rows import Parent, Row
from .selectors import Labels, labels_from_api

ANNOTATION = "ovn"
"""Pod annotation for people and tools: {"ip_address": CIDR, "mac_address": MAC, "gateway_ip": address}."""

ADDRESS_ANNOTATION = "ovn.ovn-k8s.io/ip-address"
"""Pod annotation that asks for an address of the node's subnet; it counts when the pod gets its port."""

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
OWNER_PREFIX = "pod/"
_FINISHED = ("Succeeded", "Failed")
_STATUS_LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the API server describes it, cut down to what the network needs."""

    namespace: str
    name: str
    uid: str
    sandbox_uid: str
    """How kubelet calls the pod: the uid, but for a mirror of a static pod the hash of that pod's manifest."""
    node: str = ""
    host_network: bool = False
    finished: bool = False
    address: str = ""  # status.podIP: what the pod's interface got, as kubelet saw it
    annotation: str | None = None
    asks: str = ""  # the address that it wants to have
    labels: Labels = ()
    ports: tuple[tuple[str, str, int], ...] = ()  # those of its containers that have a name: name, protocol, number

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def needs_port(self) -> bool:
        """Scheduled, with a network of its own, and not over."""
        return bool(self.node) and not self.host_network and not self.finished


def pod_from_api(document: Mapping[str, Any]) -> Pod:
    """Read a v1 Pod."""
    metadata = document["metadata"]
    spec = document.get("spec") or {}
    status = document.get("status") or {}
    annotations = metadata.get("annotations") or {}
    return Pod(
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        sandbox_uid=annotations.get(MIRROR_ANNOTATION) or metadata["uid"],
        node=sys.intern(spec.get("nodeName") or ""),
        host_network=bool(spec.get("hostNetwork")),
        finished=is_finished(status),
        address=status.get("podIP") or "",
        annotation=annotations.get(ANNOTATION),
        asks=(annotations.get(ADDRESS_ANNOTATION) or "").strip(),
        labels=labels_from_api(metadata.get("labels")),
        ports=tuple(sorted(_named_ports(spec))),
    )


def _named_ports(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Ports of the containers, and of those beside them that stay (init containers that are always restarted)."""
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if port.get("name"):
                protocol = sys.intern(port.get("protocol") or "TCP")
                yield sys.intern(port["name"]), protocol, int(port["containerPort"])


def is_finished(status: Mapping[str, Any]) -> bool:
    """Whether the pod is over for good and its address can be another's.

    A terminal phase alone does not say so: it can be written for a pod whose containers still run (an eviction, a
    node that is lost), and then the last known container states still show one running.
    """
    if status.get("phase") not in _FINISHED:
        return False
    return not any(
        (container.get("state") or {}).get("running") is not None
        for name in _STATUS_LISTS
        for container in status.get(name) or ()
    )


def pod_owner(namespace: str, name: str) -> str:
    """`ovn-k8s-owner` of a pod's rows."""
    return f"{OWNER_PREFIX}{namespace}/{name}"


def pod_port_name(namespace: str, name: str) -> str:
    """Name of a pod's logical switch port. Neither part can hold an underscore, so the name is unique."""
    return f"{namespace}_{name}"


def pod_port(pod: Pod, lease: Lease) -> Row:
    """The logical switch port of a pod. The node agent finds in external_ids what it needs to make the interface."""
    mac = mac_for(lease.address)
    addresses = frozenset({f"{mac} {lease.address}"})
    return Row(
        table="Logical_Switch_Port",
        name=pod_port_name(pod.namespace, pod.name),
        owner=pod_owner(pod.namespace, pod.name),
        parent=Parent("Logical_Switch", lease.node, "ports"),
        columns={
            "addresses": addresses,
            "port_security": addresses,
            # Only this chassis may bind the port: the interface of a same-named pod that ended on another one cannot.
            "options": {"requested-chassis": lease.node},
            "external_ids": {
                "namespace": pod.namespace,
                "pod": "true",
                "pod_uid": pod.sandbox_uid,
                "ip_address": lease.interface,
                "gateway_ip": lease.gateway,
                "mac_address": mac,
            },
        },
    )


def pod_annotation(lease: Lease) -> str:
    """Value of the annotation `ovn`."""
    return json.dumps(
        {"ip_address": lease.interface, "mac_address": mac_for(lease.address), "gateway_ip": lease.gateway}
    )
