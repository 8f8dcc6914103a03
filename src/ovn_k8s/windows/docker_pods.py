# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods of the Docker Engine: one endpoint each, attached to all of its containers.

The Engine's events only say which pod to look at; what to do follows from what the Engine has then. The stream is
opened before everything is looked at, so nothing that happens is missed, whether the service, the Engine or the stream
between them was away.
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

from .docker_api import Container, Docker, DockerError
from .hcn_errors import HcnCallError, HcnTimeout
from .pod_endpoint import Endpoints, request_dns, result
from .sandboxes import Sandbox, Sandboxes

LOG = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 15.0
SYSTEM_NOT_FOUND = frozenset({0xC037010E, 0x80370110})
"""HCS_E_SYSTEM_NOT_FOUND and HCS_E_SYSTEM_ALREADY_STOPPED: the container ended in the meantime."""


class ComputeSystems(Protocol):
    """Attaches endpoints to containers that run; see `hcn_library.HcnLibrary`."""

    def attach(self, container_id: str, endpoint_id: str) -> None: ...
    def containers_of(self, endpoint_id: str) -> frozenset[str]: ...


class DockerPods:
    """Keeps the endpoints of the pods that the Engine runs. Any thread may call `handle`, the rest is for one."""

    def __init__(self, docker: Docker, endpoints: Endpoints, systems: ComputeSystems, sandboxes: Sandboxes) -> None:
        self._docker = docker
        self._endpoints = endpoints
        self._systems = systems
        self._sandboxes = sandboxes
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
        """One pod. Raises DockerError, HnsError."""
        self._converge(uid, self._docker.containers(uid))

    def handle(self, request: Request) -> dict[str, Any] | None:
        """CNI beside Docker: what calls it wants the pod's address. Raises CniError.

        ADD makes the endpoint if it is not there yet; its end comes with the Engine's events.
        """
        if request.command in ("DEL", "GC", "STATUS"):
            return None
        name = request.args.get("K8S_POD_NAME", "")
        uid = request.args.get("K8S_POD_UID") or self._uid_of(request.container_id)
        if not uid or not name:
            raise CniError(Code.INVALID_ENVIRONMENT, "CNI_ARGS has no K8S_POD_UID or no K8S_POD_NAME")
        pod = f"{request.args.get('K8S_POD_NAMESPACE', '')}_{name}"
        try:
            with self._lock:
                stored = self._sandboxes.find(uid)
                if request.command == "CHECK":
                    if stored is None or self._endpoints.read(stored.endpoint) is None:
                        raise CniError(Code.CHECK_FAILED, f"pod {pod} has no endpoint")
                    return None
                stored, endpoint = self._ensure(uid, pod, request)
        except HcnTimeout as error:
            raise CniError(Code.TRY_AGAIN_LATER, "HNS does not answer", str(error)) from error
        except HnsError as error:
            raise CniError(Code.INTERFACE_FAILURE, f"{request.command} failed in HNS", str(error)) from error
        return result(request, stored, endpoint)

    def _uid_of(self, container_id: str) -> str:
        """The pod of a sandbox, of which cri-dockerd names the container only. Raises CniError."""
        try:
            return next((one.uid for one in self._docker.containers() if one.id == container_id), "")
        except DockerError as error:
            raise CniError(
                Code.TRY_AGAIN_LATER, "the Docker Engine does not say whose sandbox it is", str(error)
            ) from error

    def _tried(self, uid: str, action: Callable[[], None]) -> None:
        """A pod that fails must not keep the others waiting."""
        try:
            action()
        except DockerError:
            raise
        except (HnsError, CniError) as error:
            LOG.error("pod %s: %s", uid, error)

    def _converge(self, uid: str, containers: Iterable[Container]) -> None:
        containers = list(containers)
        running = [container for container in containers if container.running]
        sandboxes = [container for container in containers if container.sandbox]
        # While its sandbox runs the pod keeps its address, whichever of its containers ends.
        alive = any(container.running for container in sandboxes) if sandboxes else bool(running)
        with self._lock:
            if not alive:
                self._remove(uid)
                return
            pod = f"{running[0].namespace}_{running[0].pod}"
            _stored, endpoint = self._ensure(uid, pod, None)
            attached = self._systems.containers_of(endpoint.id)
            for container in sorted(running, key=lambda one: (not one.sandbox, one.id)):
                if container.id not in attached:
                    self._attach(pod, container, endpoint)

    def _attach(self, pod: str, container: Container, endpoint: Endpoint) -> None:
        try:
            self._systems.attach(container.id, endpoint.id)
            LOG.info("pod %s: container %.12s has the pod's endpoint", pod, container.id)
        except HcnCallError as error:
            if error.code not in SYSTEM_NOT_FOUND:
                raise
            LOG.info("pod %s: container %.12s ended before it got the pod's endpoint", pod, container.id)

    def _ensure(self, uid: str, pod: str, request: Request | None) -> tuple[Sandbox, Endpoint]:
        for other in list(self._sandboxes.all()):
            if other.pod == pod and other.container_id != uid:
                self._remove(other.container_id)  # a pod of the same name that is gone
        stored = self._sandboxes.find(uid)
        if stored is None:
            stored = Sandbox(uid, "eth0", pod, "", str(uuid.uuid4()))
            # Written down first, and kept after a failure: HNS may have made the endpoint all the same.
            self._sandboxes.save(stored)
        return stored, self._endpoints.ensure(stored, request_dns(request.config) if request else None)

    def _remove(self, uid: str) -> None:
        stored = self._sandboxes.find(uid)
        if stored is not None:
            self._endpoints.remove(stored)
            self._sandboxes.remove(uid)
            LOG.info("pod %s is gone, and its endpoint with it", stored.pod)
