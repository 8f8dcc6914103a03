# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Events on pods that cannot be wired and services that do not get an address, as `kubectl describe` shows them."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from ovn_k8s.daemon.log import fields
from ovn_k8s.daemon.metrics import Counter
from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused, KubernetesError

from .workqueue import Key

LOG = logging.getLogger(__name__)

COMPONENT = "ovn-k8s-watcher"
NO_PORT = "NoLogicalPort"
"""Reason of an event: the pod has no port in OVN yet."""

ADDRESS_REFUSED = "AddressRefused"
"""Reason of an event: the pod or service does not get the address that it asks for."""

PATIENCE_S = 1.0
"""What passes by itself within this time is not worth an event."""

AGAIN_S = 300.0
"""The same event is repeated no sooner than this, with a count."""

CHANGED_S = 10.0
TICK_S = 0.5
MOST_PER_TICK = 5
MOST_KEPT = 2000


class Known(Protocol):
    """What an event can be about."""

    @property
    def uid(self) -> str: ...


class Cache(Protocol):
    """What is there, by namespace and name."""

    def get(self, key: tuple[str, str]) -> Known | None: ...


@dataclass
class _Notice:
    reason: str
    message: str
    due: float
    first: datetime = field(default_factory=lambda: datetime.now(UTC))
    last: datetime = field(default_factory=lambda: datetime.now(UTC))
    count: int = 1
    sent: float = 0.0
    name: str = ""
    uid: str = ""


class EventRecorder:
    """A thread that writes events, ten in a second at most. What is said again is counted, not written again.

    `objects`: the caches of the kinds of objects, as keys have them, that events are about.
    """

    def __init__(self, api: Api, objects: Mapping[str, Cache], *, leads: Callable[[], bool]) -> None:
        self._api = api
        self._objects = objects
        self._leads = leads
        self._notices: dict[Key, _Notice] = {}
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self.written = Counter("ovn_k8s_watcher_events_total", "Events sent to the API server.", "result")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the request under way."""
        self._stop.set()
        self._some.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def tell(self, key: Key, reason: str, message: str) -> None:
        """Something is wrong with an object; with one of other kinds nothing is done. Returns at once."""
        if key.kind not in self._objects:
            return
        now = time.monotonic()
        with self._lock:
            notice = self._notices.get(key)
            if notice is None:
                if len(self._notices) >= MOST_KEPT:
                    self.written.add(value="dropped")
                    return
                self._notices[key] = _Notice(reason, message, now + PATIENCE_S)
            elif (notice.reason, notice.message) == (reason, message):
                notice.count += 1
                notice.last = datetime.now(UTC)
                if not notice.due:
                    notice.due = notice.sent + AGAIN_S
            else:
                again = max(now + PATIENCE_S, notice.sent + CHANGED_S if notice.sent else 0.0)
                self._notices[key] = _Notice(reason, message, again, sent=notice.sent)
            self._some.set()

    def well(self, key: Key) -> None:
        """Nothing is wrong with an object any more. Returns at once."""
        if key in self._notices:
            with self._lock:
                self._notices.pop(key, None)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._some.wait()
            self._stop.wait(TICK_S)
            try:
                self._tick()
            except Exception:
                LOG.exception("unexpected failure")

    def _tick(self) -> None:
        now = time.monotonic()
        with self._lock:
            if not self._leads():
                self._notices.clear()
            if not self._notices:
                self._some.clear()
            due = [(key, notice) for key, notice in self._notices.items() if notice.due and notice.due <= now]
        for key, notice in sorted(due, key=lambda item: item[1].due)[:MOST_PER_TICK]:
            if self._stop.is_set():
                return
            self._write(key, notice)

    def _write(self, key: Key, notice: _Notice) -> None:
        known = self._objects[key.kind].get((key.namespace, key.name))
        if known is None or (notice.uid and notice.uid != known.uid):
            self.well(key)
            return
        collection = f"/api/v1/namespaces/{quote(key.namespace)}/events"
        notice.due, notice.sent, notice.uid = 0.0, time.monotonic(), known.uid
        try:
            if notice.name:
                patch = {"count": notice.count, "lastTimestamp": _seconds(notice.last)}
                self._api.merge_patch(f"{collection}/{quote(notice.name)}", patch)
            else:
                document = _event(key, notice)
                self._api.create(collection, document)
                notice.name = document["metadata"]["name"]
            self.written.add(value="written")
        except KubernetesError as error:
            if isinstance(error, ApiRefused) and error.status == 404:
                notice.name = ""  # events live for an hour; or the namespace has gone
            notice.due = time.monotonic() + CHANGED_S
            self.written.add(value="failed")
            LOG.warning("event: %s", error, extra=fields(object=key))


def _event(key: Key, notice: _Notice) -> dict[str, Any]:
    """A v1 Event."""
    return {
        "metadata": {"namespace": key.namespace, "name": f"{key.name[:230]}.{secrets.token_hex(8)}"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": key.kind.capitalize(),
            "namespace": key.namespace,
            "name": key.name,
            "uid": notice.uid,
        },
        "type": "Warning",
        "reason": notice.reason,
        "message": notice.message[:1000],
        "firstTimestamp": _seconds(notice.first),
        "lastTimestamp": _seconds(notice.last),
        "count": notice.count,
        "source": {"component": COMPONENT, "host": socket.gethostname()},
        "reportingComponent": COMPONENT,
        "reportingInstance": socket.gethostname(),
    }


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
