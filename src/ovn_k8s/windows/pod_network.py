# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What CNI asks on a Windows node with containerd: an HNS endpoint in the HCN namespace of each pod sandbox.

containerd calls ADD once for a sandbox; the pod's containers join its namespace by themselves. The address is HNS's
choice from the node's subnet. Adding and deleting twice is the same as once.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ovn_k8s.cni.protocol import CniError, Code, Request, valid_attachments
from ovn_k8s.core.hns import hcn
from ovn_k8s.core.hns.errors import HnsError
from ovn_k8s.core.hns.reading import is_guid

from .config import NETWORK, TRANSPARENT_NETWORK, NodeConfig
from .hcn_errors import HcnCallError, HcnTimeout
from .host_network import Hcn
from .kinds import Kind
from .logical_ports import LogicalPorts, endpoint_name, wanted_endpoint
from .pod_endpoint import DELETE_SECONDS, Endpoints, request_dns, result
from .sandboxes import Sandbox, Sandboxes

LOG = logging.getLogger(__name__)

Result = dict[str, Any] | None

TURN_SECONDS = 60.0
ALREADY_THERE = frozenset({0x803B0014, 0x803B002B})
"""An endpoint that is in the namespace already."""


class PodNetwork:
    """Answers CNI requests. Any thread may call `handle`."""

    def __init__(
        self,
        library: Hcn,
        config: NodeConfig,
        sandboxes: Sandboxes,
        logical: LogicalPorts | None = None,
        *,
        delete_seconds: float = DELETE_SECONDS,
    ) -> None:
        """With `logical` pods have OVN's addresses and a port of Open vSwitch, on the network that is its switch."""
        self._library = library
        self._sandboxes = sandboxes
        self._logical = logical
        self._network = TRANSPARENT_NETWORK if logical else NETWORK
        self._endpoints = Endpoints(library, config, self._network, delete_seconds=delete_seconds)
        self._busy: set[str] = set()
        """Pods on which an operation runs."""
        self._turn_ended = threading.Condition()

    def handle(self, request: Request) -> Result:
        """The result of a request. Raises CniError."""
        operations = {
            "ADD": self.add,
            "DEL": self.delete,
            "CHECK": self.check,
            "GC": self.collect,
            "STATUS": self.status,
        }
        try:
            return operations[request.command](request)
        except HcnTimeout as error:
            raise CniError(Code.TRY_AGAIN_LATER, "HNS does not answer", str(error)) from error
        except HnsError as error:
            raise CniError(Code.INTERFACE_FAILURE, f"{request.command} failed in HNS", str(error)) from error

    def add(self, request: Request) -> Result:
        """ADD: the endpoint is there, and in the namespace."""
        pod = _pod(request)
        namespace = _namespace(request)
        with self._turn(pod):
            for other in self._sandboxes.all():
                if other.pod == pod and other.container_id != request.container_id:
                    # The pod has a new sandbox, so its old one is dead whether DEL came for it or not.
                    self._remove(other)
            name = endpoint_name(request.container_id, request.ifname)
            binding = self._logical.wait(pod, request.args.get("K8S_POD_UID", "")) if self._logical else None
            stored = self._sandboxes.find(request.container_id)
            if stored is None or stored.namespace != namespace:
                if stored is not None:
                    self._remove(stored)
                stored = Sandbox(request.container_id, request.ifname, pod, namespace, str(uuid.uuid4()))
                # Written down first: after a crash from here on, DEL finds what there is to remove.
                self._sandboxes.save(stored)
            wanted = wanted_endpoint(name, binding) if binding else None
            endpoint = self._endpoints.ensure(stored, request_dns(request.config), wanted)
            if endpoint.namespace != namespace:
                self._join(stored)
            if self._logical and binding:
                self._logical.attach(name, pod, request.container_id, binding)
            return result(request, stored, endpoint)

    def delete(self, request: Request) -> Result:
        """DEL: the endpoint is gone."""
        stored = self._sandboxes.find(request.container_id)
        if stored is not None:
            with self._turn(stored.pod):
                self._remove(stored)
        return None

    def check(self, request: Request) -> Result:
        """CHECK: what ADD made is still so."""
        stored = self._sandboxes.find(request.container_id)
        endpoint = self._endpoints.read(stored.endpoint) if stored else None
        if stored is None or endpoint is None:
            raise CniError(Code.CHECK_FAILED, f"container {request.container_id} has no endpoint")
        if endpoint.namespace != _namespace(request):
            said = f"it is in {endpoint.namespace or 'no namespace'}"
            raise CniError(Code.CHECK_FAILED, f"endpoint {stored.pod} is not in namespace {request.netns}", said)
        previous = request.config.get("prevResult") or {}
        told = {str(ip.get("address", "")).partition("/")[0] for ip in previous.get("ips") or []}
        has = {address.address for address in endpoint.addresses or ()}
        if told and told != has:
            raise CniError(Code.CHECK_FAILED, f"endpoint {stored.pod} has {sorted(has)}, not {sorted(told)}")
        return None

    def collect(self, request: Request) -> Result:
        """GC: endpoints of sandboxes that the runtime no longer knows go."""
        valid = valid_attachments(request.config)
        for stored in list(self._sandboxes.all()):
            if (stored.container_id, stored.ifname) not in valid:
                with self._turn(stored.pod):
                    self._remove(stored)
        return None

    def status(self, request: Request) -> Result:
        """STATUS: ADD could succeed."""
        try:
            self._endpoints.network_id()
        except HnsError as error:
            raise CniError(Code.NOT_AVAILABLE, f"network {self._network} is not there", str(error)) from error
        if self._logical is not None:
            self._logical.status()
        return None

    # ---- steps

    def settle(self) -> bool:
        """Bring the pods' ports in line with the sandboxes that there are; nothing to do without Open vSwitch.

        Whether one of them is not open yet.
        """
        if self._logical is None:
            return False
        return self._logical.settle({stored.container_id for stored in self._sandboxes.all()})

    def _join(self, stored: Sandbox) -> None:
        request = hcn.namespace_endpoint("Add", stored.endpoint)
        try:
            self._library.modify(Kind.NAMESPACE, stored.namespace, request)
        except HcnCallError as error:
            if error.code in ALREADY_THERE:
                return
            self._remove(stored)
            if error.is_not_found:
                what = f"namespace {stored.namespace} does not exist"
                raise CniError(Code.UNKNOWN_CONTAINER, what, str(error)) from error
            raise

    def _remove(self, stored: Sandbox) -> None:
        if self._logical is not None:
            self._logical.detach(endpoint_name(stored.container_id, stored.ifname))
        self._endpoints.remove(stored)
        self._sandboxes.remove(stored.container_id)

    @contextmanager
    def _turn(self, pod: str) -> Iterator[None]:
        with self._turn_ended:
            if not self._turn_ended.wait_for(lambda: pod not in self._busy, TURN_SECONDS):
                raise CniError(Code.TRY_AGAIN_LATER, f"another operation on pod {pod} is still running")
            self._busy.add(pod)
        try:
            yield
        finally:
            with self._turn_ended:
                self._busy.remove(pod)
                self._turn_ended.notify_all()


def _pod(request: Request) -> str:
    namespace, name = request.args.get("K8S_POD_NAMESPACE", ""), request.args.get("K8S_POD_NAME", "")
    if not namespace or not name:
        raise CniError(Code.INVALID_ENVIRONMENT, "CNI_ARGS has no K8S_POD_NAMESPACE or no K8S_POD_NAME")
    return f"{namespace}_{name}"


def _namespace(request: Request) -> str:
    netns = request.netns
    if not is_guid(netns):
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"CNI_NETNS {netns!r} is no HCN namespace",
            "this runtime is not supported here; containerd gives the GUID of a namespace",
        )
    return netns.strip("{}").lower()
