# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What HNS has, read whole, and plans carried out on it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ovn_k8s.core.hns import hcn
from ovn_k8s.core.hns.errors import HnsError, MissingReference
from ovn_k8s.core.hns.objects import Endpoint, LoadBalancer, Network
from ovn_k8s.core.hns.plan import ENDPOINT, LOAD_BALANCER, NETWORK, Action, Inventory, Plan
from ovn_k8s.core.hns.reading import is_guid
from ovn_k8s.core.hns.versions import Version

from .hcn_errors import HcnCallError, HcnTimeout
from .kinds import Kind

LOG = logging.getLogger(__name__)
T = TypeVar("T")

DELETE_SECONDS = 30.0
"""HNS has been seen to hang when it deletes an endpoint (Antrea gives it one second and goes on)."""

_KINDS = {NETWORK: Kind.NETWORK, ENDPOINT: Kind.ENDPOINT, LOAD_BALANCER: Kind.LOAD_BALANCER}


class Hcn(Protocol):
    """The calls of `hcn_library.HcnLibrary`."""

    def version(self) -> Version: ...
    def ids(self, kind: Kind) -> list[str]: ...
    def read(self, kind: Kind, id_: str) -> Any: ...
    def create(self, kind: Kind, document: hcn.Document, network_id: str = "") -> Any: ...
    def modify(self, kind: Kind, id_: str, request: hcn.Document) -> None: ...
    def delete(self, kind: Kind, id_: str) -> None: ...
    def hns_call(self, method: str, path: str, body: str = "") -> Any: ...


class PlanFailed(HnsError):
    """A step of a plan failed. What was done before it stays; another run goes on from there."""

    def __init__(self, action: Action, done: list[str], error: HnsError) -> None:
        before = f" (done before: {'; '.join(done)})" if done else ""
        super().__init__(f"{action}: {error}{before}")
        self.done = done


def read_all(library: Hcn, kind: Kind, read: Callable[[Any], T]) -> tuple[T, ...]:
    """All objects of a kind; one that goes while it is read is left out."""
    result = []
    for id_ in library.ids(kind):
        try:
            result.append(read(library.read(kind, id_)))
        except HcnCallError as error:
            if not error.is_not_found:
                raise
    return tuple(result)


def read_inventory(library: Hcn) -> Inventory:
    """Everything that HNS has. Raises HnsError."""
    return Inventory(
        library.version(),
        read_all(library, Kind.NETWORK, hcn.read_network),
        read_all(library, Kind.ENDPOINT, hcn.read_endpoint),
        read_all(library, Kind.LOAD_BALANCER, hcn.read_load_balancer),
        read_all(library, Kind.NAMESPACE, hcn.read_namespace),
    )


def carry_out(library: Hcn, plan: Plan, actual: Inventory, *, delete_seconds: float = DELETE_SECONDS) -> list[str]:
    """Carry out a plan that was made from `actual`; what was done, for people.

    Raises:
        PlanFailed: a step failed; the steps after it were not tried.
    """
    return _Execution(library, actual, delete_seconds).run(plan)


class _Execution:
    def __init__(self, library: Hcn, actual: Inventory, delete_seconds: float) -> None:
        self.library = library
        self.delete_seconds = delete_seconds
        self.ids: dict[tuple[str, str], str] = {}
        for kind, stored in ((NETWORK, actual.networks), (ENDPOINT, actual.endpoints)):
            self.ids |= {(kind, item.name): item.id for item in stored}

    def run(self, plan: Plan) -> list[str]:
        done: list[str] = []
        for action in plan.actions:
            LOG.info("%s", action)
            try:
                self._step(action)
            except HnsError as error:
                raise PlanFailed(action, done, error) from error
            done.append(str(action))
        return done

    def _step(self, action: Action) -> None:
        if action.verb == "delete":
            self._delete(action)
        elif action.verb == "create":
            self._create(action)
        elif action.verb in ("join", "leave"):
            self._move(action)
        else:
            self._modify(action)

    def _delete(self, action: Action) -> None:
        try:
            within(self.delete_seconds, str(action), lambda: self.library.delete(_KINDS[action.kind], action.id))
        except HcnCallError as error:
            if not error.is_not_found:
                raise
        if self.ids.get((action.kind, action.name)) == action.id:
            del self.ids[action.kind, action.name]

    def _create(self, action: Action) -> None:
        target = action.target
        network_id = ""
        if isinstance(target, Network):
            document = hcn.write_network(target)
        elif isinstance(target, Endpoint):
            network_id = self._id(NETWORK, str(target.network))
            document = hcn.write_endpoint(target, network_id)
        elif isinstance(target, LoadBalancer):
            document = self._balancer(target)
        else:
            raise TypeError(action)
        created = self.library.create(_KINDS[action.kind], document, network_id)
        self.ids[action.kind, action.name] = str(created.get("ID", "")).strip("{}").lower()

    def _balancer(self, target: LoadBalancer) -> hcn.Document:
        return hcn.write_load_balancer(target, [self._id(ENDPOINT, name) for name in target.endpoints or ()])

    def _modify(self, action: Action) -> None:
        id_ = action.id or self._id(action.kind, action.name)
        requests = action.requests
        if isinstance(action.target, LoadBalancer):
            requests = (self._balancer(action.target) | {"ID": id_},)
        for request in requests:
            self.library.modify(_KINDS[action.kind], id_, request)

    def _move(self, action: Action) -> None:
        endpoint = action.id or self._id(ENDPOINT, action.name)
        request = hcn.namespace_endpoint("Add" if action.verb == "join" else "Remove", endpoint)
        try:
            self.library.modify(Kind.NAMESPACE, action.namespace, request)
        except HcnCallError as error:
            # A namespace that is gone has let go of its endpoints.
            if action.verb == "join" or not error.is_not_found:
                raise

    def _id(self, kind: str, name: str) -> str:
        found = self.ids.get((kind, name))
        if found is None and is_guid(name):
            found = name.strip("{}").lower()
        if found is None:
            raise MissingReference(f"{kind} {name!r} does not exist")
        return found


def within(seconds: float, what: str, call: Callable[[], T]) -> T:
    """Wait for a call, but not for ever.

    Raises:
        HcnTimeout: it did not come back; it goes on in a thread of its own.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise HcnTimeout(f"{what}: HNS has not answered for {seconds:g} s; restart the service hns if it stays so")
    if failure:
        raise failure[0]
    return outcome[0]
