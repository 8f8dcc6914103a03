# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A coordination.k8s.io Lease by which several processes agree on one of them.

The rules are client-go's (tools/leaderelection): a Lease belongs to its holder until nobody has seen it change for as
long as it says itself. Times in it are for people; every process counts on its own clock, so that clocks may differ.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from .api import Api, Document
from .errors import ApiRefused


@dataclass(frozen=True)
class LeaseName:
    """Where a Lease is."""

    namespace: str
    name: str

    @property
    def collection(self) -> str:
        """The path of all Leases of the namespace."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{quote(self.namespace)}/leases"

    @property
    def path(self) -> str:
        """The path of the Lease."""
        return f"{self.collection}/{quote(self.name)}"


class SharedLease:
    """One process's view of a Lease. Not thread-safe."""

    def __init__(self, api: Api, name: LeaseName, identity: str, duration_s: int) -> None:
        self._api = api
        self._name = name
        self._duration_s = duration_s
        self._identity = identity
        self._document: Document | None = None
        self._seen = ""
        self._since = 0.0

    @property
    def holder(self) -> str:
        """Who has it, as last read; empty when nobody does."""
        return str(self._spec.get("holderIdentity") or "")

    @property
    def remaining_s(self) -> float:
        """For how long the present holder has it if nothing more is heard of him."""
        if not self.holder:
            return 0.0
        return self._since + float(self._spec.get("leaseDurationSeconds") or self._duration_s) - now()

    @property
    def _spec(self) -> Document:
        return (self._document or {}).get("spec") or {}

    def read(self, timeout: float) -> None:
        """Look at it. Raises KubernetesError; a Lease that is not there is nobody's."""
        try:
            self._took(self._api.get(self._name.path, timeout=timeout))
        except ApiRefused as error:
            if error.status != 404:
                raise
            self._document = None

    def write(self, timeout: float) -> bool:
        """Take it, or renew it; False when somebody else was quicker, or it was deleted. Raises KubernetesError."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = self.holder == self._identity
        spec = {
            **self._spec,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration_s,
            "renewTime": moment,
            "acquireTime": self._spec.get("acquireTime", moment) if mine else moment,
            "leaseTransitions": int(self._spec.get("leaseTransitions") or 0) + (not mine),
        }
        return self._put(spec, timeout)

    def release(self, timeout: float) -> bool:
        """Let the next one have it at once. Raises KubernetesError."""
        return self._put({**self._spec, "holderIdentity": "", "leaseDurationSeconds": 1}, timeout)

    def _put(self, spec: Document, timeout: float) -> bool:
        metadata = {"name": self._name.name, "namespace": self._name.namespace}
        document = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        try:
            if self._document is None:
                self._took(self._api.create(self._name.collection, document, timeout))
            else:
                # The resourceVersion that was read makes the API server refuse when another has written since.
                metadata["resourceVersion"] = self._document["metadata"]["resourceVersion"]
                self._took(self._api.replace(self._name.path, document, timeout))
        except ApiRefused as error:
            # A new one that finds no place (404) lacks its namespace: that is for people to know.
            if error.status == 409 or (error.status == 404 and self._document is not None):
                return False
            raise
        return True

    def _took(self, document: Document) -> None:
        version = document["metadata"]["resourceVersion"]
        if version != self._seen:
            self._seen, self._since = version, now()
        self._document = document


def now() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
