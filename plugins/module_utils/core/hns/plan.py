# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The plan: what HNS has and what is wanted, to the calls that close the gap, in an order that works.

Load balancers go before endpoints and endpoints before networks; they come in the reverse order. Ids of objects that
the plan itself creates are not known yet: an action names them, whoever carries it out looks them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from . import hcn
from .compare import (
    HNS_ENDPOINT_POLICIES,
    HNS_NETWORK_POLICIES,
    Difference,
    endpoint_differences,
    load_balancer_differences,
    network_differences,
    policy_changes,
)
from .errors import DuplicateName, ImmutableChange, InvalidObject, MissingReference, StillInUse
from .hcn import Document
from .objects import EXTERNAL_TYPES, Endpoint, HnsObject, LoadBalancer, Namespace, Network, view
from .options import Wanted
from .reading import is_guid
from .versions import Version, require, supports

T = TypeVar("T", Network, Endpoint, LoadBalancer)

NETWORK, ENDPOINT, LOAD_BALANCER = "network", "endpoint", "load balancer"


@dataclass(frozen=True)
class Inventory:
    """What HNS has."""

    version: Version
    networks: tuple[Network, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    namespaces: tuple[Namespace, ...] = ()


@dataclass(frozen=True)
class Action:
    """One step: `create`, `modify` or `delete` an object, or let an endpoint `join` or `leave` a namespace.

    `id` is empty for an object of this plan. `target` is what to create; `requests` are the documents of HcnModify…
    """

    verb: str
    kind: str
    name: str
    id: str = ""
    target: HnsObject | None = None
    requests: tuple[Document, ...] = ()
    namespace: str = ""

    def __str__(self) -> str:
        place = f" namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.kind} {self.name}{place}"


@dataclass(frozen=True)
class Plan:
    """What to do. An empty plan is false."""

    actions: tuple[Action, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    disruptive: bool = False
    """A virtual switch comes or goes: the machine's connections on that adapter break for seconds."""

    def __bool__(self) -> bool:
        return bool(self.actions)

    def diff(self) -> dict[str, Any]:
        """As Ansible shows it."""
        return {"before": dict(self.before), "after": dict(self.after)}


def make_plan(wanted: Wanted, actual: Inventory, *, replace: bool = False, force: bool = False) -> Plan:
    """Plan the way from `actual` to `wanted`. Objects that are not named stay as they are.

    Args:
        replace: delete and create again what cannot be changed in place.
        force: delete the endpoints on a network with it.

    Raises:
        HnsError: nothing may be done; the message says why.
    """
    return _Planner(wanted, actual, replace, force).plan()


@dataclass
class _Planner:
    wanted: Wanted
    actual: Inventory
    replace: bool
    force: bool
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    deletions: list[Action] = field(default_factory=list)
    creations: list[Action] = field(default_factory=list)
    doomed_networks: dict[str, Network] = field(default_factory=dict)
    doomed_endpoints: set[str] = field(default_factory=set)

    def plan(self) -> Plan:
        for network in self.wanted.networks:
            self._network(network)
        for name in self.wanted.absent_networks:
            if (stored := _named(NETWORK, name, self.actual.networks)) is not None:
                self._doom_network(stored)
                self._show(NETWORK, name, view(stored), None)
        # What is made again on a network comes after everything that happens to networks.
        for endpoint in self.wanted.endpoints:
            self._endpoint(endpoint)
        for name in self.wanted.absent_endpoints:
            if (found := _named(ENDPOINT, name, self.actual.endpoints)) is not None:
                self._doom_endpoint(found)
                self._show(ENDPOINT, name, view(found), None)
        self._clear_networks()
        for balancer in self.wanted.load_balancers:
            self._load_balancer(balancer)
        for name in self.wanted.absent_load_balancers:
            if (stored_balancer := self._stored_balancer(name)) is not None:
                self._doom(LOAD_BALANCER, stored_balancer)
                self._show(LOAD_BALANCER, name, view(stored_balancer), None)
        return Plan(tuple(self._ordered()), self.before, self.after, self._is_disruptive())

    # ---- networks

    def _network(self, wanted: Network) -> None:
        for feature, what in _network_features(wanted):
            require(self.actual.version, feature, f"network {wanted.name!r}: {what}")
        stored = _named(NETWORK, wanted.name, self.actual.networks)
        if stored is None:
            self._create_network(wanted)
            return
        differences = network_differences(wanted, stored)
        if not differences:
            return
        fixed = self._fixed(NETWORK, wanted.name, differences)
        self._show_differences(NETWORK, wanted.name, differences, fixed)
        if fixed:
            self._doom_network(stored)
            self._create_network(_merged(wanted, stored), shown=True)
        else:
            requests = tuple(_network_requests(wanted, stored, differences))
            self.creations.append(Action("modify", NETWORK, wanted.name, stored.id, requests=requests))

    def _create_network(self, wanted: Network, *, shown: bool = False) -> None:
        if wanted.type is None:
            raise InvalidObject(f"network {wanted.name!r} does not exist yet, and to create it type is needed")
        for position, subnet in enumerate(wanted.subnets or ()):
            if not subnet.gateway:
                raise InvalidObject(
                    f"network {wanted.name!r}: subnets[{position}] needs gateway; HNS takes none without"
                )
        if not shown:
            self._show(NETWORK, wanted.name, None, view(wanted))
        self.creations.append(Action("create", NETWORK, wanted.name, target=replace(wanted, id="", router_mac="")))
        if wanted.extensions:
            requests = tuple(_extension_requests(wanted.extensions))
            self.creations.append(Action("modify", NETWORK, wanted.name, requests=requests))

    def _doom_network(self, stored: Network) -> None:
        self.doomed_networks[stored.id] = stored
        self._doom(NETWORK, stored)

    def _clear_networks(self) -> None:
        """Endpoints on networks that go, go first; nobody's endpoint goes by surprise."""
        for network in self.doomed_networks.values():
            left = [
                endpoint
                for endpoint in self.actual.endpoints
                if endpoint.network == network.id and endpoint.id not in self.doomed_endpoints
            ]
            if left and not self.force:
                raise StillInUse(network.name, [endpoint.name or endpoint.id for endpoint in left])
            for endpoint in left:
                self._doom_endpoint(endpoint)
                self._show(ENDPOINT, endpoint.name or endpoint.id, view(endpoint), None)

    def _network_id(self, endpoint: Endpoint) -> str | None:
        """The id of the network that an endpoint is wanted on; None when this plan makes it."""
        name = endpoint.network
        if name is None:
            return None
        if name in {action.name for action in self.creations if action.verb == "create" and action.kind == NETWORK}:
            return None
        if is_guid(name):
            return name.strip("{}").lower()
        stored = _named(NETWORK, name, self.actual.networks)
        if stored is None or stored.id in self.doomed_networks:
            raise MissingReference(
                f"endpoint {endpoint.name!r} is wanted on network {name!r}, which neither exists nor is wanted"
            )
        return stored.id

    # ---- endpoints

    def _endpoint(self, wanted: Endpoint) -> None:
        _check_endpoint_features(self.actual.version, wanted)
        stored = _named(ENDPOINT, wanted.name, self.actual.endpoints)
        if stored is not None and wanted.network is None and stored.network in self.doomed_networks:
            wanted = replace(wanted, network=self.doomed_networks[stored.network].name)
        network_id = self._network_id(wanted)
        if stored is None:
            self._create_endpoint(wanted)
            return
        differences = endpoint_differences(wanted, stored, network_id)
        on_doomed = stored.network in self.doomed_networks
        if not differences and not on_doomed:
            return
        if on_doomed and not [difference for difference in differences if not difference.in_place]:
            moved = Difference("network", stored.network, f"{wanted.network or stored.network} (made again)", False)
            differences.append(moved)
        fixed = self._fixed(ENDPOINT, wanted.name, differences)
        self._show_differences(ENDPOINT, wanted.name, differences, fixed)
        if fixed:
            self._doom_endpoint(stored)
            stays = network_id in (None, stored.network) and not on_doomed
            self._create_endpoint(_merged(wanted, stored, () if stays else _OF_A_NETWORK), shown=True)
        else:
            self._modify_endpoint(wanted, stored, differences)

    def _create_endpoint(self, wanted: Endpoint, *, shown: bool = False) -> None:
        if wanted.network is None:
            raise InvalidObject(f"endpoint {wanted.name!r} does not exist yet, and to create it network is needed")
        if not shown:
            self._show(ENDPOINT, wanted.name, None, view(wanted))
        self.creations.append(Action("create", ENDPOINT, wanted.name, target=replace(wanted, id="")))
        if wanted.namespace:
            self.creations.append(Action("join", ENDPOINT, wanted.name, namespace=wanted.namespace))

    def _modify_endpoint(self, wanted: Endpoint, stored: Endpoint, differences: list[Difference]) -> None:
        changed = {difference.option for difference in differences}
        if "policies" in changed:
            gone, come = policy_changes(wanted.policies or (), stored.policies or (), HNS_ENDPOINT_POLICIES)
            requests = tuple(_policy_requests(gone, come))
            self.creations.append(Action("modify", ENDPOINT, wanted.name, stored.id, requests=requests))
        if "namespace" in changed:
            if stored.namespace:
                self.creations.append(Action("leave", ENDPOINT, wanted.name, stored.id, namespace=stored.namespace))
            if wanted.namespace:
                self.creations.append(Action("join", ENDPOINT, wanted.name, stored.id, namespace=wanted.namespace))

    def _doom_endpoint(self, stored: Endpoint) -> None:
        if stored.id in self.doomed_endpoints:
            return
        self.doomed_endpoints.add(stored.id)
        if stored.namespace:
            self.deletions.append(Action("leave", ENDPOINT, stored.name, stored.id, namespace=stored.namespace))
        self._doom(ENDPOINT, stored)

    # ---- load balancers

    def _load_balancer(self, wanted: LoadBalancer) -> None:
        for feature, what in _load_balancer_features(wanted):
            require(self.actual.version, feature, f"load balancer {wanted.name!r}: {what}")
        endpoint_ids = self._endpoint_ids(wanted)
        stored = self._stored_balancer(wanted.name)
        if stored is None:
            self._show(LOAD_BALANCER, wanted.name, None, view(wanted))
            self.creations.append(Action("create", LOAD_BALANCER, wanted.name, target=wanted))
            return
        can_modify = supports(self.actual.version, "modify_load_balancer")
        differences = load_balancer_differences(wanted, stored, endpoint_ids, can_modify=can_modify)
        if not differences:
            return
        fixed = self._fixed(LOAD_BALANCER, wanted.name, differences)
        self._show_differences(LOAD_BALANCER, wanted.name, differences, fixed)
        merged = _merged(wanted, stored)
        if fixed:
            self._doom(LOAD_BALANCER, stored)
            self.creations.append(Action("create", LOAD_BALANCER, wanted.name, target=merged))
        else:
            self.creations.append(Action("modify", LOAD_BALANCER, wanted.name, stored.id, target=merged))

    def _endpoint_ids(self, wanted: LoadBalancer) -> tuple[str, ...] | None:
        if wanted.endpoints is None:
            return None
        created = {action.name for action in self.creations if action.verb == "create" and action.kind == ENDPOINT}
        result = []
        for name in wanted.endpoints:
            if name in created or is_guid(name):
                result.append(name)
                continue
            stored = _named(ENDPOINT, name, self.actual.endpoints)
            if stored is None or stored.id in self.doomed_endpoints:
                raise MissingReference(
                    f"load balancer {wanted.name!r} is wanted to send to endpoint {name!r}, "
                    "which neither exists nor is wanted"
                )
            result.append(stored.id)
        return tuple(result)

    def _stored_balancer(self, name: str) -> LoadBalancer | None:
        return _named(LOAD_BALANCER, name, self.actual.load_balancers)

    # ---- all

    def _doom(self, kind: str, stored: HnsObject) -> None:
        self.deletions.append(Action("delete", kind, stored.name, stored.id))

    def _fixed(self, kind: str, name: str, differences: list[Difference]) -> list[str]:
        fixed = [difference.option for difference in differences if not difference.in_place]
        if fixed and not self.replace:
            raise ImmutableChange(kind, name, fixed)
        return fixed

    def _show(self, kind: str, name: str, before: Any, after: Any) -> None:
        if before is not None:
            self.before[f"{kind} {name}"] = before
        if after is not None:
            self.after[f"{kind} {name}"] = after

    def _show_differences(self, kind: str, name: str, differences: list[Difference], fixed: list[str]) -> None:
        before = {difference.option: difference.before for difference in differences}
        after = {difference.option: difference.after for difference in differences}
        if fixed:
            after["replaced"] = f"deleted and created again, for {', '.join(fixed)} cannot be changed in place"
        self._show(kind, name, before, after)

    def _ordered(self) -> Iterator[Action]:
        for kind in (LOAD_BALANCER, ENDPOINT, NETWORK):
            yield from (action for action in self.deletions if action.kind == kind)
        for kind in (NETWORK, ENDPOINT, LOAD_BALANCER):
            yield from (action for action in self.creations if action.kind == kind)

    def _is_disruptive(self) -> bool:
        for network in self.doomed_networks.values():
            if network.type in EXTERNAL_TYPES:
                return True
        external = [network for network in self.actual.networks if network.type in EXTERNAL_TYPES]
        for action in self.creations:
            target = action.target
            if action.verb != "create" or not isinstance(target, Network) or target.type not in EXTERNAL_TYPES:
                continue
            if not any(target.adapter in (None, network.adapter) for network in external):
                return True
        return False


def _named(kind: str, name: str, stored: Iterable[T]) -> T | None:
    found = [item for item in stored if item.name == name]
    if len(found) > 1:
        raise DuplicateName(kind, name, [item.id for item in found])
    return found[0] if found else None


_OF_A_NETWORK = ("addresses", "gateway", "routes")
"""Options of an endpoint that mean nothing on another network."""


def _merged(wanted: T, stored: T, without: tuple[str, ...] = ()) -> T:
    """The object to create in place of `stored`: what nobody manages is taken over from it."""
    options = {
        name: getattr(stored, name)
        for name in stored.__dataclass_fields__
        if getattr(wanted, name) is None and getattr(stored, name) not in ("", ()) and name not in without
    }
    if "policies" in options:
        hns = HNS_NETWORK_POLICIES | HNS_ENDPOINT_POLICIES
        options["policies"] = tuple(policy for policy in options["policies"] if policy.type not in hns)
    return replace(wanted, **options)


# ---- requests


def _network_requests(wanted: Network, stored: Network, differences: list[Difference]) -> Iterator[Document]:
    changed = {difference.option for difference in differences}
    gone: list[Document] = []
    come: list[Document] = []
    if "remote_subnets" in changed:
        has, wants = set(stored.remote_subnets or ()), set(wanted.remote_subnets or ())
        gone += [hcn.remote_subnet_policy(remote) for remote in sorted(has - wants, key=repr)]
        come += [hcn.remote_subnet_policy(remote) for remote in sorted(wants - has, key=repr)]
    if "host_route" in changed:
        (come if wanted.host_route else gone).append(hcn.HOST_ROUTE_POLICY)
    if "policies" in changed:
        surplus, missing = policy_changes(wanted.policies or (), stored.policies or (), HNS_NETWORK_POLICIES)
        gone += [policy.document() for policy in surplus]
        come += [policy.document() for policy in missing]
    # A prefix that moves to another node must be free before it is given again.
    if gone:
        yield hcn.modify_policies("Remove", gone)
    if come:
        yield hcn.modify_policies("Add", come)
    if "dns" in changed and wanted.dns is not None:
        yield hcn.modify("DNS", "Update", hcn.write_dns(wanted.dns))
    if "extensions" in changed:
        has_extensions = dict(stored.extensions or ())
        switches = [(id_, on) for id_, on in wanted.extensions or () if has_extensions.get(id_, False) != on]
        yield from _extension_requests(switches)


def _extension_requests(switches: Iterable[tuple[str, bool]]) -> Iterator[Document]:
    for id_, on in switches:
        yield hcn.modify("Extension", "Update", {"Id": id_, "IsEnabled": on})


def _policy_requests(gone: Iterable[Any], come: Iterable[Any]) -> Iterator[Document]:
    removed, added = [policy.document() for policy in gone], [policy.document() for policy in come]
    if removed:
        yield hcn.modify_policies("Remove", removed)
    if added:
        yield hcn.modify_policies("Add", added)


# ---- features


def _network_features(network: Network) -> Iterator[tuple[str, str]]:
    yield "v2_api", "the interface that is used here"
    if network.remote_subnets:
        yield "remote_subnet", "remote_subnets"
    if network.host_route:
        yield "host_route", "host_route"
    if network.vxlan_port:
        yield "vxlan_port", "vxlan_port"
    if network.host_port is False:
        yield "disable_host_port", "host_port: false"
    for policy in network.policies or ():
        feature = {"SetPolicy": "set_policy", "L4Proxy": "l4_proxy", "NetworkACL": "network_acl"}.get(policy.type)
        if feature:
            yield feature, f"policy {policy.type}"


def _check_endpoint_features(version: Version, endpoint: Endpoint) -> None:
    require(version, "v2_api", f"endpoint {endpoint.name!r}")
    needs = {"ACL": "acl", "L4Proxy": "l4_proxy", "L4WFPPROXY": "l4_wfp_proxy", "TierAcl": "tier_acl"}
    for policy in endpoint.policies or ():
        if policy.type in needs:
            require(version, needs[policy.type], f"endpoint {endpoint.name!r}: policy {policy.type}")
    for address in endpoint.addresses or ():
        if address.prefix_length == 32:
            require(version, "slash32_endpoints", f"endpoint {endpoint.name!r}: {address.address}/32")


def _load_balancer_features(balancer: LoadBalancer) -> Iterator[tuple[str, str]]:
    yield "v2_api", "the interface that is used here"
    if balancer.dsr:
        yield "dsr", "dsr"
    if balancer.ipv6:
        yield "ipv6_dual_stack", "ipv6"
    if any(mapping.distribution for mapping in balancer.ports):
        yield "session_affinity", "distribution by client"
