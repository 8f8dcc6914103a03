# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The pod annotation `ovn`: written beside the pod's way to the network, for people and tools to read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from urllib.parse import quote

from ovn_k8s.core.ipam import Lease, PodKey
from ovn_k8s.core.pods import ANNOTATION, Pod, pod_annotation
from ovn_k8s.daemon.log import fields
from ovn_k8s.daemon.metrics import Counter
from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused, KubernetesError
from ovn_k8s.kubernetes.informer import Informer

from .workqueue import Key, WorkQueue

LOG = logging.getLogger(__name__)

THREADS = 2
LONGEST_YIELD_S = 1.0
GONE = (404, 409, 422)
"""Answers that mean: this pod is no more, or another one has its name now."""


class Annotator:
    """Threads that patch the annotation of pods where it is not right. They yield to `busy`, the writer's work.

    What is wanted is dropped when the watcher no longer `leads`.
    """

    def __init__(self, api: Api, pods: Informer[Pod], *, busy: Callable[[], bool], leads: Callable[[], bool]) -> None:
        self._api = api
        self._pods = pods
        self._busy = busy
        self._leads = leads
        self._queue = WorkQueue()
        self._wanted: dict[PodKey, tuple[str, str]] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"annotator-{number}", daemon=True) for number in range(THREADS)
        ]
        self.written = Counter("ovn_k8s_watcher_annotations_total", "Pod annotations sent to the API server.", "result")

    def __len__(self) -> int:
        return len(self._queue) + self._queue.waiting

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads after the request under way."""
        self._stop.set()
        self._queue.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def want(self, pod: Pod, lease: Lease) -> None:
        """The pod's annotation shall say this lease. For `PodHandler`."""
        value = pod_annotation(lease)
        if pod.annotation != value:
            self._wanted[pod.key] = (pod.uid, value)
            self._queue.add(Key("pod", *pod.key))

    def _run(self) -> None:
        while not self._stop.is_set():
            for key in self._queue.take(1, 1.0):
                self._yield()
                try:
                    self._annotate(key)
                except Exception:
                    LOG.exception("unexpected failure", extra=fields(object=key))
                    self._queue.retry(key)

    def _yield(self) -> None:
        waited = 0.0
        while self._busy() and waited < LONGEST_YIELD_S and not self._stop.wait(0.02):
            waited += 0.02

    def _annotate(self, key: Key) -> None:
        name = (key.namespace, key.name)
        uid, value = self._wanted.pop(name, ("", ""))
        pod = self._pods.get(name)
        if pod is None or pod.uid != uid or pod.annotation == value or not self._leads():
            self._queue.forget(key)
            return
        path = f"/api/v1/namespaces/{quote(key.namespace)}/pods/{quote(key.name)}"
        try:
            # The uid makes the API server refuse the patch when another pod has taken the name.
            self._api.merge_patch(path, {"metadata": {"uid": uid, "annotations": {ANNOTATION: value}}})
        except KubernetesError as error:
            if isinstance(error, ApiRefused) and error.status in GONE:
                self.written.add(value="gone")
                self._queue.forget(key)
                return
            self.written.add(value="failed")
            self._wanted.setdefault(name, (uid, value))
            first = self._queue.failures(key) == 0
            delay = self._queue.retry(key)
            LOG.log(
                logging.WARNING if first else logging.DEBUG,
                "annotation: %s; trying again in %.1f s",
                error,
                delay,
                extra=fields(object=key),
            )
        else:
            self.written.add(value="written")
            self._queue.forget(key)
