# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods of a Windows node with Open vSwitch and OVN: the address that the watcher gave, and a port on br-int.

The virtual adapter of a pod appears when a container starts, which is after ADD has returned (containerd 4851), or,
with Docker, some time after its endpoint was attached. Until then Open vSwitch cannot open the port, and does not try
again by itself: `settle` lets it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Collection

from ovn_k8s.cni.protocol import CniError, Code
from ovn_k8s.core.hns.objects import Address, Endpoint
from ovn_k8s.core.pods import pod_owner
from ovn_k8s.core.rows import OWNER_KEY
from ovn_k8s.host.config import NodeConfig as ReplicaConfig
from ovn_k8s.host.config import Southbound
from ovn_k8s.node.bindings import Binding, Bindings
from ovn_k8s.node.pod_ports import PodPorts
from ovn_k8s.ovsdb.errors import OvsdbError

from .config import NodeConfig

LOG = logging.getLogger(__name__)

BINDING_SECONDS = 30.0
INTERNAL = "internal"


def endpoint_name(container_id: str, ifname: str) -> str:
    """The name of a sandbox's endpoint, and so of its port: at most 15 characters, as every Open vSwitch takes."""
    return "pod" + hashlib.sha256(f"{container_id}/{ifname}".encode()).hexdigest()[:12]


class LogicalPorts:
    """What the southbound database says of the node's pods, and their ports in Open vSwitch."""

    def __init__(
        self,
        config: NodeConfig,
        southbound: Southbound,
        openvswitch: str,
        look: Callable[[], None] = lambda: None,
        *,
        binding_seconds: float = BINDING_SECONDS,
    ) -> None:
        """`openvswitch` is the remote of its database. When that is there again, or has a new port, `look` is called.

        Raises ValueError for a remote that is none.
        """
        settings = ReplicaConfig(
            config.node_name, config.cluster_cidr, config.service_cidr, config.node_subnet, 0, "system"
        )
        self._bindings = Bindings(settings, southbound)
        self._ports = PodPorts(openvswitch, look)
        self._look = look
        self._binding_seconds = binding_seconds

    def start(self) -> None:
        """Connect in the background."""
        self._bindings.start()
        self._ports.start()

    def stop(self) -> None:
        """End the connections."""
        self._bindings.stop()
        self._ports.stop()

    def wait(self, pod: str, uid: str, seconds: float | None = None) -> Binding:
        """The address and MAC that OVN has for a pod, `<namespace>_<name>`; with a `uid` those of that very pod.

        `seconds`: how long to wait for them, if not as long as a pod may. Raises CniError.
        """
        namespace, _, name = pod.partition("_")
        deadline = time.monotonic() + (self._binding_seconds if seconds is None else seconds)
        return self._bindings.wait(namespace, name, uid, deadline, lambda: False)

    def attach(self, name: str, pod: str, sandbox: str, binding: Binding) -> None:
        """Put the endpoint's port on br-int; one that is there with the same ids stays. Raises CniError."""
        namespace, _, pod_name = pod.partition("_")
        ids = {
            "iface-id": binding.port,
            "attached-mac": binding.mac,
            "ip_address": str(binding.address),
            "sandbox": sandbox,
            OWNER_KEY: pod_owner(namespace, pod_name),
        }
        try:
            stored = self._ports.find(name)
            if stored is not None and all(stored.ids.get(key) == value for key, value in ids.items()):
                return
            if stored is not None:
                self._ports.remove(name)
            self._ports.add(name, ids, INTERNAL)
            self._look()
        except OvsdbError as error:
            said = f"pod {pod}: Open vSwitch has not taken its port"
            raise CniError(Code.TRY_AGAIN_LATER, said, str(error)) from error

    def detach(self, name: str) -> None:
        """Take the port away; one that is gone is no error. Raises CniError."""
        try:
            self._ports.remove(name)
        except OvsdbError as error:
            raise CniError(Code.TRY_AGAIN_LATER, f"port {name} cannot be removed", str(error)) from error

    def settle(self, sandboxes: Collection[str]) -> bool:
        """Let Open vSwitch try again what it could not open, and remove ports whose sandbox is not known any more.

        Whether there is a port that it has not opened yet.
        """
        closed = False
        try:
            for port in self._ports.all():
                if port.sandbox not in sandboxes:
                    LOG.info("port %s: its sandbox is gone", port.name)
                    self._ports.remove(port.name)
                elif port.ofport == 0:
                    closed = True
                elif port.ofport < 0 or port.error:
                    closed = True
                    self._ports.reopen(port.name, INTERNAL)
        except OvsdbError as error:
            LOG.warning("ports cannot be looked at: %s", error)
        return closed

    @property
    def has_bridge(self) -> bool:
        """Whether br-int is there, and so the node's Open vSwitch is set up."""
        return self._ports.synced and self._ports.has_bridge()

    def status(self) -> None:
        """Raises CniError when no pod can be given a port now."""
        if not self.has_bridge:
            raise CniError(Code.NOT_AVAILABLE, "Open vSwitch has no bridge br-int, or does not run")
        if not self._bindings.synced:
            raise CniError(Code.LIMITED_CONNECTIVITY, "the southbound database is not connected")


def wanted_endpoint(name: str, binding: Binding) -> Endpoint:
    """The endpoint that has what OVN says."""
    return Endpoint(
        name,
        addresses=(Address(str(binding.address.ip), binding.address.network.prefixlen),),
        mac=binding.mac.replace(":", "-").upper(),
        gateway=str(binding.gateway),
    )
