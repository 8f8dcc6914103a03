# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Annotations of nodes: what the nodes of the overlay have to know of each other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from urllib.parse import quote

from ovn_k8s.core.nodes import ClusterNode
from ovn_k8s.daemon.log import fields
from ovn_k8s.daemon.metrics import Counter
from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused, KubernetesError
from ovn_k8s.kubernetes.informer import Informer

from .workqueue import Key, WorkQueue

LOG = logging.getLogger(__name__)

GONE = 404


class NodeAnnotator:
    """A thread that patches nodes whose annotations are not right. It drops what is wanted when no longer `leads`."""

    def __init__(self, api: Api, nodes: Informer[ClusterNode], *, leads: Callable[[], bool]) -> None:
        self._api = api
        self._nodes = nodes
        self._leads = leads
        self._queue = WorkQueue()
        self._wanted: dict[str, dict[str, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-annotator", daemon=True)
        self.written = Counter("ovn_k8s_watcher_node_annotations_total", "Node annotations sent.", "result")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the request under way."""
        self._stop.set()
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def want(self, name: str, annotations: Mapping[str, str]) -> None:
        """The node shall have these annotations. Returns at once."""
        self._wanted[name] = dict(annotations)
        self._queue.add(Key("node", "", name))

    def _run(self) -> None:
        while not self._stop.is_set():
            for key in self._queue.take(1, 1.0):
                try:
                    self._annotate(key)
                except Exception:
                    LOG.exception("unexpected failure", extra=fields(object=key))
                    self._queue.retry(key)

    def _annotate(self, key: Key) -> None:
        wanted = self._wanted.pop(key.name, {})
        node = self._nodes.get(key.name)
        if node is None or not self._leads() or all(node.annotations.get(k) == v for k, v in wanted.items()):
            self._queue.forget(key)
            return
        try:
            self._api.merge_patch(f"/api/v1/nodes/{quote(key.name)}", {"metadata": {"annotations": wanted}})
        except KubernetesError as error:
            if isinstance(error, ApiRefused) and error.status == GONE:
                self.written.add(value="gone")
                self._queue.forget(key)
                return
            self.written.add(value="failed")
            self._wanted.setdefault(key.name, wanted)
            delay = self._queue.retry(key)
            LOG.warning("annotations: %s; trying again in %.1f s", error, delay, extra=fields(object=key))
        else:
            self.written.add(value="written")
            self._queue.forget(key)
            LOG.info("annotated: %s", ", ".join(f"{k}={v}" for k, v in wanted.items()), extra=fields(object=key))
