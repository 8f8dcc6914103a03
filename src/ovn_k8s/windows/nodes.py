# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The nodes of the cluster as a Windows node needs them: its peers on the overlay, kept in step with the API server.

When the API server is away, what was known last holds: nothing is torn down because nobody answers.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from ovn_k8s.core.hybrid_overlay import ROUTER_MAC_ANNOTATION

from .api import Api, ApiError, Expired
from .hybrid_overlay import Peer, peers

LOG = logging.getLogger(__name__)

PATH = "/api/v1/nodes"
WATCH_SECONDS = (240, 480)
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0


class Nodes:
    """Follows the nodes on a thread of its own, and tells `on_change` when the peers are others."""

    def __init__(
        self, api: Api, own_name: str, on_change: Callable[[], None], *, first_delay: float = FIRST_DELAY_SECONDS
    ) -> None:
        self._api = api
        self._own_name = own_name
        self._on_change = on_change
        self._first_delay = first_delay
        self._nodes: dict[str, dict[str, Any]] = {}
        self._peers: tuple[Peer, ...] | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def peers(self) -> tuple[Peer, ...] | None:
        """The peers, or None before the first list."""
        with self._lock:
            return self._peers

    def announce(self, router_mac: str) -> None:
        """Say on our own node to which MAC address its overlay router answers, once nodes are known.

        Raises ApiError.
        """
        written = router_mac.replace("-", ":").lower()
        with self._lock:
            if self._peers is None:
                return
            own = self._nodes.get(self._own_name) or {}
        if ((own.get("metadata") or {}).get("annotations") or {}).get(ROUTER_MAC_ANNOTATION) == written:
            return
        patch = {"metadata": {"annotations": {ROUTER_MAC_ANNOTATION: written}}}
        patched = self._api.merge_patch(f"{PATH}/{self._own_name}", patch)
        with self._lock:
            # Known now, not only when the watch brings it.
            self._nodes[self._own_name] = patched
        LOG.info("announced router MAC %s on node %s", written, self._own_name)

    def start(self) -> None:
        threading.Thread(target=self.run, name="nodes", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """List and watch until `stop`."""
        delay = self._first_delay
        version = ""
        while not self._stop.is_set():
            try:
                if not version:
                    version = self._list()
                version = self._follow(version)
            except Expired:
                version = ""
                continue
            except ApiError as error:
                LOG.warning("%s; what was known last holds", error)
            except Exception:
                # Without this thread no route would ever change again, and nobody would see it.
                LOG.exception("an answer of the API server that nobody foresaw; what was known last holds")
            else:
                delay = self._first_delay
                # A server that ends watches at once must not keep us busy.
                self._stop.wait(self._first_delay)
                continue
            version = ""
            self._stop.wait(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    def _list(self) -> str:
        listed: dict[str, dict[str, Any]] = {}
        query = {"limit": "500"}
        while True:
            page = self._api.get(PATH, query)
            if not isinstance(page.get("items") or [], list):
                raise ApiError(f"the list of {PATH} has items that are no list")
            for node in page.get("items") or []:
                listed[_name(node)] = node
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = str(metadata["continue"])
        version = str(metadata.get("resourceVersion") or "")
        if not version:
            # Looked at first: what is no list says nothing about nodes that are gone.
            raise ApiError(f"the list of {PATH} has no resourceVersion")
        with self._lock:
            self._nodes = listed
        self._settle()
        return version

    def _follow(self, version: str) -> str:
        for event in self._api.watch(PATH, version, random.randint(*WATCH_SECONDS)):
            if self._stop.is_set():
                break
            node = event.get("object") or {}
            version = str((node.get("metadata") or {}).get("resourceVersion", version))
            if event.get("type") == "BOOKMARK":
                continue
            with self._lock:
                if event.get("type") == "DELETED":
                    self._nodes.pop(_name(node), None)
                else:
                    self._nodes[_name(node)] = node
            self._settle()
        return version

    def _settle(self) -> None:
        with self._lock:
            found = peers(self._nodes.values(), self._own_name)
            changed = found != self._peers
            self._peers = found
        if changed:
            self._on_change()


def _name(node: dict[str, Any]) -> str:
    return str((node.get("metadata") or {}).get("name", ""))
