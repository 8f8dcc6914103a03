# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Nodes of the Kubernetes API, cut down to what the network has to do with (Kubernetes API reference, Node v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

HYBRID_PREFIXES = ("k8s.ovn.org/hybrid-overlay", "ovn.ovn-k8s.io/hybrid-overlay")
"""Annotations of nodes that are read begin with one of these."""

_OS_LABEL = "kubernetes.io/os"


@dataclass(frozen=True)
class ClusterNode:
    """A node; `address` is its first InternalIP that is IPv4, None while it has none."""

    name: str
    uid: str
    address: IPv4Address | None
    windows: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the node is found by."""
        return self.name


def node_from_api(document: Mapping[str, Any]) -> ClusterNode:
    """The node in a document of the API; addresses that are no IPv4 addresses are passed over."""
    metadata, status = document["metadata"], document.get("status") or {}
    annotations = metadata.get("annotations") or {}
    return ClusterNode(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        address=next(_internal_addresses(status.get("addresses") or ()), None),
        windows=(metadata.get("labels") or {}).get(_OS_LABEL) == "windows",
        annotations={key: value for key, value in annotations.items() if key.startswith(HYBRID_PREFIXES)},
    )


def _internal_addresses(entries: Any) -> Any:
    for entry in entries:
        if entry.get("type") == "InternalIP":
            try:
                yield IPv4Address(entry.get("address", ""))
            except ValueError:
                continue
