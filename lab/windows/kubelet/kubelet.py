# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kubelet stand-in: registers its node, runs the pods that are scheduled there, and says how they are."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import status, volumes
from .api import Api, ApiError, Document
from .cni import CniFailed
from .runtime import Runtime, RuntimeFailed
from .server import ExecServer
from .settings import Settings
from .status import ContainerState, PodState

LOG = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
ROUND_SECONDS = 1.0
RETRY_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 60.0
WORKERS = 2
LEASE_SECONDS = 40


class Kubelet:
    """One kubelet. The runtime outlives it, as containers do."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._api = Api(settings.access)
        self._boot = str(uuid.uuid4())
        self._pods: dict[str, Document] = {}
        self._states: dict[str, PodState] = {}
        self._told: dict[str, Document] = {}
        self._retry: dict[str, float] = {}
        self._busy: set[str] = set()
        self._since: dict[str, str] = {}
        self._lock = threading.Lock()
        self._look = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        watcher = threading.Thread(target=self._watch, args=(stop,), name="pods", daemon=True)
        heart = threading.Thread(target=self._beat, args=(stop,), name="heartbeat", daemon=True)
        with ExecServer(self._settings, self._uid_of, self._runtime) as server, ThreadPoolExecutor(WORKERS) as pool:
            for thread in (watcher, heart):
                thread.start()
            threading.Thread(target=server.serve_forever, args=(0.5,), name="exec", daemon=True).start()
            while not stop.is_set():
                with self._lock:
                    pods = [pod for uid, pod in self._pods.items() if uid not in self._busy]
                    self._busy |= {_uid(pod) for pod in pods if self._has_to_do(pod)}
                    todo = [pod for pod in pods if _uid(pod) in self._busy]
                for pod in todo:
                    pool.submit(self._sync, pod)
                self._look.wait(ROUND_SECONDS)
                self._look.clear()
            server.shutdown()

    def _uid_of(self, namespace: str, name: str) -> str:
        """The uid of a pod of this node, or nothing."""
        with self._lock:
            for uid, pod in self._pods.items():
                if (pod["metadata"]["namespace"], pod["metadata"]["name"]) == (namespace, name):
                    return uid
        return ""

    # ---- the node

    def _beat(self, stop: threading.Event) -> None:
        registered = False
        while not stop.is_set():
            try:
                if not registered:
                    self._register()
                    registered = True
                self._report_node()
                self._renew_lease()
            except ApiError as error:
                registered = registered and error.status != 404
                LOG.warning("the node cannot be reported: %s", error)
            # Soon again while the network comes up, so that nobody waits for a whole heartbeat.
            stop.wait(1.0 if self._since.get("Ready=True") is None else HEARTBEAT_SECONDS)

    def _register(self) -> None:
        document = status.node(self._settings)
        try:
            self._api.post("/api/v1/nodes", document)
            LOG.info("registered node %s", self._settings.node)
        except ApiError as error:
            if error.status != 409:
                raise
            self._api.patch(self._node, {"metadata": {"labels": document["metadata"]["labels"]}})

    @property
    def _node(self) -> str:
        return f"/api/v1/nodes/{self._settings.node}"

    def _report_node(self) -> None:
        not_ready = self._runtime.not_ready()
        condition = f"Ready={'False' if not_ready else 'True'}"
        self._since = {condition: self._since.get(condition, status.now())}
        document = status.node_status(self._settings, not_ready, self._boot, self._since)
        self._api.patch(f"{self._node}/status", {"status": document})

    def _renew_lease(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": self._settings.node,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
        }
        try:
            self._api.patch(f"{path}/{self._settings.node}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            metadata = {"name": self._settings.node, "namespace": "kube-node-lease"}
            self._api.post(
                path, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            )

    # ---- which pods there are

    def _watch(self, stop: threading.Event) -> None:
        selector = f"spec.nodeName={self._settings.node}"
        while not stop.is_set():
            try:
                listed = self._api.get("/api/v1/pods", fieldSelector=selector)
                with self._lock:
                    gone = set(self._pods) - {_uid(pod) for pod in listed["items"]}
                    self._pods.update({_uid(pod): pod for pod in listed["items"]})
                for uid in gone:
                    self._gone(uid)
                self._look.set()
                for event in self._api.watch(
                    "/api/v1/pods", listed["metadata"]["resourceVersion"], fieldSelector=selector
                ):
                    self._event(event)
                    if stop.is_set():
                        return
            except ApiError as error:
                LOG.warning("pods cannot be watched: %s", error)
                stop.wait(2.0)

    def _event(self, event: Document) -> None:
        pod = event["object"]
        if event["type"] == "DELETED":
            self._gone(_uid(pod))
        elif event["type"] != "BOOKMARK":
            with self._lock:
                self._pods[_uid(pod)] = pod
            self._look.set()

    def _gone(self, uid: str) -> None:
        """A pod that the API server has no more, but we may."""
        with self._lock:
            pod = self._pods.get(uid)
            if pod is not None:
                pod["metadata"]["deletionTimestamp"] = status.now()
        self._look.set()

    # ---- one pod

    def _has_to_do(self, pod: Document) -> bool:
        uid = _uid(pod)
        if time.monotonic() < self._retry.get(uid, 0.0):
            return False
        if pod["metadata"].get("deletionTimestamp") or uid not in self._runtime.sandboxes:
            return True
        state = self._states.get(uid)
        if state is None or not self._is_known(pod, status.pod_status(pod, self._settings, state)):
            return True
        return any(not self._runs(uid, spec["name"]) for spec in pod["spec"]["containers"])

    def _runs(self, uid: str, name: str) -> bool:
        container = self._runtime.containers.get((uid, name))
        return container is not None and container.exit_code is None

    def _sync(self, pod: Document) -> None:
        uid = _uid(pod)
        try:
            if pod["metadata"].get("deletionTimestamp"):
                self._end(pod)
            else:
                self._bring_up(pod)
        except (ApiError, CniFailed, RuntimeFailed) as error:
            LOG.warning("pod %s/%s: %s", pod["metadata"]["namespace"], pod["metadata"]["name"], error)
            self._retry[uid] = time.monotonic() + RETRY_SECONDS
        except Exception:
            LOG.exception("pod %s", uid)
            self._retry[uid] = time.monotonic() + RETRY_SECONDS
        finally:
            with self._lock:
                self._busy.discard(uid)

    def _bring_up(self, pod: Document) -> None:
        uid, metadata = _uid(pod), pod["metadata"]
        state = self._states.setdefault(uid, _resumed(pod))
        failure: Exception | None = None
        try:
            if uid in self._runtime.sandboxes:
                state.address = self._runtime.sandboxes[uid][1]
            else:
                state.address = ""
                self._tell(pod, state)
                self._runtime.tell_of_lost()
                settings = self._settings
                state.address = self._runtime.start_sandbox(
                    metadata["namespace"], metadata["name"], uid, settings.dns, settings.domain
                )
            state.failed = ""
            self._fill_volumes(pod)
            for spec in pod["spec"]["containers"]:
                self._keep_running(uid, spec, state.containers.setdefault(spec["name"], ContainerState()))
        except (CniFailed, RuntimeFailed) as error:
            state.failed = f"Failed to create pod sandbox: {error}"
            failure = error
        self._tell(pod, state)
        if failure is not None:
            self._record(pod, "FailedCreatePodSandBox", state.failed)
            raise failure

    def _fill_volumes(self, pod: Document) -> None:
        folder = self._runtime.volumes(_uid(pod))
        if not folder.exists():
            volumes.fill(self._api, pod, folder)
        self._runtime.mounts[_uid(pod)] = volumes.mounts(pod, folder)

    def _keep_running(self, uid: str, spec: dict[str, Any], state: ContainerState) -> None:
        container = self._runtime.containers.get((uid, spec["name"]))
        if container is not None and container.exit_code is None:
            state.id, state.started, state.waiting = container.id, container.started, ("", "")
            return
        if container is not None and state.id == container.id and not state.waiting[0]:
            state.exit_code, state.ended = container.exit_code, time.time()
            state.waiting = ("CrashLoopBackOff", "the container has ended and is started again")
        backoff = 0.0 if not state.restarts else min(2.0**state.restarts, LONGEST_BACKOFF_SECONDS)
        if state.exit_code is not None and time.time() < state.ended + backoff:
            return
        again = bool(state.id)
        try:
            made = self._runtime.start_container(uid, spec)
        except RuntimeFailed as error:
            state.waiting = ("ErrImagePull", str(error))
            self._retry[uid] = time.monotonic() + RETRY_SECONDS
            return
        state.id, state.started, state.waiting = made.id, made.started, ("", "")
        state.restarts += int(again)

    def _end(self, pod: Document) -> None:
        uid, metadata = _uid(pod), pod["metadata"]
        self._runtime.stop_sandbox(uid)
        try:
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            self._api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        with self._lock:
            for kept in (self._pods, self._states, self._told, self._retry):
                kept.pop(uid, None)

    def _is_known(self, pod: Document, document: Document) -> bool:
        """Whether the API server says what we say: we may not have told it, or it gave the node up meanwhile."""
        ready, said = (
            {one["type"]: one["status"] for one in found.get("conditions", ())}.get("Ready")
            for found in (document, pod.get("status", {}))
        )
        return self._told.get(_uid(pod)) == document and said == ready

    def _tell(self, pod: Document, state: PodState) -> None:
        document = status.pod_status(pod, self._settings, state)
        uid, metadata = _uid(pod), pod["metadata"]
        if self._is_known(pod, document):
            return
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        try:
            self._api.patch(path, {"metadata": {"uid": uid}, "status": document})
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        self._told[uid] = document

    def _record(self, pod: Document, reason: str, message: str) -> None:
        """An event, for `kubectl describe`."""
        metadata = pod["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:50]}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "reason": reason,
            "message": message[:1000],
            "type": "Warning",
            "source": {"component": "kubelet", "host": self._settings.node},
            "firstTimestamp": status.now(),
            "lastTimestamp": status.now(),
            "count": 1,
        }
        try:
            self._api.post(f"/api/v1/namespaces/{metadata['namespace']}/events", event)
        except ApiError as error:
            LOG.info("an event was not taken: %s", error)


def _uid(pod: Document) -> str:
    return str(pod["metadata"]["uid"])


def _resumed(pod: Document) -> PodState:
    """The state of a pod as far as the API server remembers it."""
    state = PodState(time.time())
    for told in pod.get("status", {}).get("containerStatuses") or []:
        if told.get("containerID"):
            container = ContainerState(id=told["containerID"].partition("://")[2], restarts=told["restartCount"])
            state.containers[told["name"]] = container
    return state
