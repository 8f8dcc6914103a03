# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods of the Docker Engine: one endpoint each, attached to all of its containers.

The Engine's events only say which pod to look at; what to do follows from what the Engine has then. The stream is
opened before everything is looked at, so nothing that happens is missed, whether the service, the Engine or the stream
between them was away.

With Open vSwitch and OVN the endpoint has the address that the watcher gave to the pod, and a port on br-int that is
made after the endpoint was attached: before, there is no adapter for it (Antrea before 2.0, which had Docker's pods on
Open vSwitch, did it in this order).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from ovn_k8s.cni.protocol import CniError, Code, Request
from ovn_k8s.core.hns.errors import HnsError
from ovn_k8s.core.hns.objects import Endpoint
from ovn_k8s.node.bindings import Binding

from .docker_api import Container, Docker, DockerError
from .hcn_errors import HcnCallError, HcnTimeout
from .logical_ports import LogicalPorts, endpoint_name, wanted_endpoint
from .pod_endpoint import Endpoints, request_dns, result
from .sandboxes import Sandbox, Sandboxes

LOG = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 15.0
INTERFACE = "eth0"
SYSTEM_NOT_FOUND = frozenset({0xC037010E, 0x80370110})
"""HCS_E_SYSTEM_NOT_FOUND and HCS_E_SYSTEM_ALREADY_STOPPED: the container ended in the meantime."""


class ComputeSystems(Protocol):
    """Attaches endpoints to containers that run; see `hcn_library.HcnLibrary`."""

    def attach(self, container_id: str, endpoint_id: str) -> None: ...
    def containers_of(self, endpoint_id: str) -> frozenset[str]: ...


class DockerPods:
    """Keeps the endpoints of the pods that the Engine runs. Any thread may call `handle` and `settle`."""

    def __init__(
        self,
        docker: Docker,
        endpoints: Endpoints,
        systems: ComputeSystems,
        sandboxes: Sandboxes,
        logical: LogicalPorts | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """With `logical` pods have OVN's addresses. `failed` is called when `settle` has something to try again."""
        self._docker = docker
        self._endpoints = endpoints
        self._systems = systems
        self._sandboxes = sandboxes
        self._logical = logical
        self._failed = failed
        self._again: set[str] = set()
        """Pods at which the last look failed."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.synced = threading.Event()
        """Everything has been looked at once."""

    def run(self) -> None:
        """Follow the Engine until `stop`."""
        delay = FIRST_DELAY_SECONDS
        while not self._stop.is_set():
            try:
                for uid in self._docker.events():
                    if self._stop.is_set():
                        return
                    if uid:
                        self._tried(uid, partial(self.look, uid))
                    else:
                        self.look_at_all()
                        delay = FIRST_DELAY_SECONDS
            except DockerError as error:
                LOG.warning("%s; pods keep what they have, trying again in %.1f s", error, delay)
            except Exception:
                LOG.exception("unexpected failure; looking at everything again")
            self._stop.wait(delay)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    def stop(self) -> None:
        """End `run` with the next event; what is under way goes on."""
        self._stop.set()

    def look_at_all(self) -> None:
        """Every pod that the Engine or a record knows. Raises DockerError."""
        pods: dict[str, list[Container]] = {stored.container_id: [] for stored in self._sandboxes.all()}
        for container in self._docker.containers():
            pods.setdefault(container.uid, []).append(container)
        for uid, containers in pods.items():
            self._tried(uid, partial(self._converge, uid, containers))
        self.synced.set()

    def look(self, uid: str) -> None:
        """One pod. Raises DockerError, HnsError, CniError."""
        self._converge(uid, self._docker.containers(uid))

    def settle(self) -> bool:
        """Try again what failed, and bring Open vSwitch's ports in line; whether that should be done again soon."""
        with self._lock:
            again = tuple(self._again)
        try:
            for uid in again:
                self._tried(uid, partial(self.look, uid))
        except DockerError as error:
            LOG.warning("%s; what failed before is tried again later", error)
        closed = self._logical is not None and self._logical.settle({one.container_id for one in self._sandboxes.all()})
        return closed or bool(self._again)

    def handle(self, request: Request) -> dict[str, Any] | None:
        """CNI beside Docker: what calls it wants the pod's address. Raises CniError.

        ADD makes the endpoint if it is not there yet; its end comes with the Engine's events.
        """
        if request.command == "STATUS" and self._logical is not None:
            self._logical.status()
        if request.command in ("DEL", "GC", "STATUS"):
            return None
        name = request.args.get("K8S_POD_NAME", "")
        uid = request.args.get("K8S_POD_UID") or self._uid_of(request.container_id)
        if not uid or not name:
            raise CniError(Code.INVALID_ENVIRONMENT, "CNI_ARGS has no K8S_POD_UID or no K8S_POD_NAME")
        pod = f"{request.args.get('K8S_POD_NAMESPACE', '')}_{name}"
        try:
            if request.command == "CHECK":
                if not self._has_endpoint(uid):
                    raise CniError(Code.CHECK_FAILED, f"pod {pod} has no endpoint")
                return None
            binding = self._logical.wait(pod, uid) if self._logical else None
            running = [one for one in self._containers(uid) if one.running]
            with self._lock:
                stored, endpoint = self._connect(uid, pod, running, binding, request)
        except HcnTimeout as error:
            raise CniError(Code.TRY_AGAIN_LATER, "HNS does not answer", str(error)) from error
        except HnsError as error:
            raise CniError(Code.INTERFACE_FAILURE, f"{request.command} failed in HNS", str(error)) from error
        return result(request, stored, endpoint)

    def _uid_of(self, container_id: str) -> str:
        """The pod of a sandbox, of which cri-dockerd names the container only. Raises CniError."""
        return next((one.uid for one in self._containers() if one.id == container_id), "")

    def _containers(self, uid: str = "") -> tuple[Container, ...]:
        """Those of all pods, or of one, for a request of CNI. Raises CniError."""
        try:
            return self._docker.containers(uid)
        except DockerError as error:
            what = "the Docker Engine does not say whose containers it runs"
            raise CniError(Code.TRY_AGAIN_LATER, what, str(error)) from error

    def _tried(self, uid: str, action: Callable[[], None]) -> None:
        """A pod that fails must not keep the others waiting. Raises DockerError."""
        try:
            action()
        except (HnsError, CniError) as error:
            # Before the watcher has made a pod's logical port there is nothing wrong.
            early = isinstance(error, CniError) and error.code == Code.TRY_AGAIN_LATER
            LOG.log(logging.INFO if early else logging.ERROR, "pod %s: %s", uid, error)
            with self._lock:
                known = uid in self._again
                self._again.add(uid)
            if not known:
                self._failed()
        else:
            with self._lock:
                self._again.discard(uid)

    def _converge(self, uid: str, containers: Iterable[Container]) -> None:
        containers = list(containers)
        running = [container for container in containers if container.running]
        sandboxes = [container for container in containers if container.sandbox]
        # While its sandbox runs the pod keeps its address, whichever of its containers ends.
        alive = any(container.running for container in sandboxes) if sandboxes else bool(running)
        with self._lock:
            if alive:
                pod = f"{running[0].namespace}_{running[0].pod}"
                self._connect(uid, pod, running, self._binding(uid, pod), None)
            else:
                self._remove(uid)

    def _binding(self, uid: str, pod: str) -> Binding | None:
        """What OVN has for a pod by now; None without OVN, and for a pod that has its endpoint. Raises CniError."""
        if self._logical is None:
            return None
        try:
            return self._logical.wait(pod, uid, 0.0)
        except CniError:
            if not self._has_endpoint(uid):
                raise
            return None

    def _has_endpoint(self, uid: str) -> bool:
        stored = self._sandboxes.find(uid)
        return stored is not None and self._endpoints.read(stored.endpoint) is not None

    def _connect(
        self, uid: str, pod: str, running: Iterable[Container], binding: Binding | None, request: Request | None
    ) -> tuple[Sandbox, Endpoint]:
        """The pod's endpoint, which all of its containers that run have then, and its port. Needs the lock."""
        stored, endpoint = self._ensure(uid, pod, binding, request)
        attached = self._systems.containers_of(endpoint.id)
        for container in sorted(running, key=lambda one: (not one.sandbox, one.id)):
            if container.id not in attached:
                self._attach(pod, container, endpoint)
        if self._logical and binding:
            self._logical.attach(endpoint_name(uid, INTERFACE), pod, uid, binding)
        return stored, endpoint

    def _attach(self, pod: str, container: Container, endpoint: Endpoint) -> None:
        try:
            self._systems.attach(container.id, endpoint.id)
            LOG.info("pod %s: container %.12s has the pod's endpoint", pod, container.id)
        except HcnCallError as error:
            if error.code not in SYSTEM_NOT_FOUND:
                raise
            LOG.info("pod %s: container %.12s ended before it got the pod's endpoint", pod, container.id)

    def _ensure(self, uid: str, pod: str, binding: Binding | None, request: Request | None) -> tuple[Sandbox, Endpoint]:
        for other in list(self._sandboxes.all()):
            if other.pod == pod and other.container_id != uid:
                self._remove(other.container_id)  # a pod of the same name that is gone
        stored = self._sandboxes.find(uid)
        if stored is None:
            stored = Sandbox(uid, INTERFACE, pod, "", str(uuid.uuid4()))
            # Written down first, and kept after a failure: HNS may have made the endpoint all the same.
            self._sandboxes.save(stored)
        wanted = wanted_endpoint(endpoint_name(uid, INTERFACE), binding) if binding else None
        return stored, self._endpoints.ensure(stored, request_dns(request.config) if request else None, wanted)

    def _remove(self, uid: str) -> None:
        stored = self._sandboxes.find(uid)
        if stored is not None:
            if self._logical is not None:
                self._logical.detach(endpoint_name(uid, INTERFACE))
            self._endpoints.remove(stored)
            self._sandboxes.remove(uid)
            LOG.info("pod %s is gone, and its endpoint with it", stored.pod)
