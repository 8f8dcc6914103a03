# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How a wanted object differs from the one that HNS has, option by option.

What can be changed in place follows what others are known to change (hcsshim, `hns.v2.psm1`, Antrea); for the rest
there is no call. Subnets cannot, though Microsoft's module has functions for them: hcsshim's maintainers say so
(microsoft/hcsshim issue 786).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .objects import Endpoint, LoadBalancer, Network, Policy, view

NETWORK_IN_PLACE = frozenset({"dns", "extensions", "host_route", "remote_subnets"})
NETWORK_POLICIES_IN_PLACE = frozenset({"SetPolicy", "NetworkACL", "L4Proxy"})
ENDPOINT_IN_PLACE = frozenset({"namespace", "policies"})

HNS_ENDPOINT_POLICIES = frozenset({"L2Driver", "PortName", "Iov", "InterfaceConstraint"})
"""Endpoint policies that HNS makes itself; they are compared only when a wanted endpoint names one of their type."""
HNS_NETWORK_POLICIES = frozenset({"InterfaceConstraint", "LayerConstraint"})
"""The same of networks."""


@dataclass(frozen=True)
class Difference:
    """One option; `before` and `after` as people read them."""

    option: str
    before: Any
    after: Any
    in_place: bool


def _ordered(values: Iterable[Any]) -> list[Any]:
    return sorted(values, key=repr)


def network_differences(wanted: Network, actual: Network) -> list[Difference]:
    """What must change for a network to be as wanted; options that nobody manages do not count."""
    result: list[Difference] = []
    for option in ("type", "adapter", "source_mac", "provider_address", "dns", "automatic_dns", "vxlan_port"):
        _compare(result, option, wanted, actual, option in NETWORK_IN_PLACE)
    for option in ("host_route", "host_port", "persistent"):
        _compare(result, option, wanted, actual, option in NETWORK_IN_PLACE)
    for option in ("subnets", "remote_subnets"):
        _compare(result, option, wanted, actual, option in NETWORK_IN_PLACE, as_set=True)
    if wanted.extensions is not None:
        has = dict(actual.extensions or ())
        before = {id_: has.get(id_, False) for id_, _enabled in wanted.extensions}
        after = dict(wanted.extensions)
        if before != after:
            result.append(Difference("extensions", before, after, True))
    if wanted.policies is not None:
        gone, come = policy_changes(wanted.policies, actual.policies or (), HNS_NETWORK_POLICIES)
        if gone or come:
            in_place = all(policy.type in NETWORK_POLICIES_IN_PLACE for policy in (*gone, *come))
            result.append(Difference("policies", view(gone), view(come), in_place))
    return result


def endpoint_differences(wanted: Endpoint, actual: Endpoint, network_id: str | None) -> list[Difference]:
    """As for networks. `network_id` is the wanted network's id, None when it does not exist yet."""
    result: list[Difference] = []
    if wanted.network is not None and network_id != actual.network:
        result.append(Difference("network", actual.network, wanted.network, False))
    for option in ("mac", "gateway", "dns", "namespace", "remote"):
        _compare(result, option, wanted, actual, option in ENDPOINT_IN_PLACE)
    _compare(result, "routes", wanted, actual, False, as_set=True)
    if wanted.addresses is not None and not _same_addresses(wanted, actual):
        result.append(Difference("addresses", view(actual.addresses), view(wanted.addresses), False))
    if wanted.policies is not None:
        gone, come = policy_changes(wanted.policies, actual.policies or (), HNS_ENDPOINT_POLICIES)
        if gone or come:
            result.append(Difference("policies", view(gone), view(come), True))
    return result


def load_balancer_differences(
    wanted: LoadBalancer, actual: LoadBalancer, endpoint_ids: tuple[str, ...] | None, *, can_modify: bool
) -> list[Difference]:
    """As for networks. `endpoint_ids` are the wanted endpoints by id (names of those that do not exist yet)."""
    result: list[Difference] = []
    if endpoint_ids is not None and sorted(endpoint_ids) != sorted(actual.endpoints or ()):
        result.append(Difference("endpoints", list(actual.endpoints or ()), list(endpoint_ids), can_modify))
    _compare(result, "ports", wanted, actual, can_modify, as_set=True)
    for option in ("source_vip", "dsr", "ipv6"):
        _compare(result, option, wanted, actual, False)
    return result


def _compare(
    result: list[Difference], option: str, wanted: Any, actual: Any, in_place: bool, *, as_set: bool = False
) -> None:
    after, before = getattr(wanted, option), getattr(actual, option)
    if after is None:
        return
    same = _ordered(after) == _ordered(before or ()) if as_set else after == before
    if not same:
        result.append(Difference(option, view(before), view(after), in_place))


def _same_addresses(wanted: Endpoint, actual: Endpoint) -> bool:
    has = {address.address: address.prefix_length for address in actual.addresses or ()}
    wants = {address.address: address.prefix_length for address in wanted.addresses or ()}
    return has.keys() == wants.keys() and all(not length or has[key] == length for key, length in wants.items())


def policy_changes(
    wanted: Iterable[Policy], actual: Iterable[Policy], left_to_hns: frozenset[str]
) -> tuple[tuple[Policy, ...], tuple[Policy, ...]]:
    """The policies to remove and those to add, so that the wanted ones and no others are there.

    HNS answers with more settings than it was given (priorities, ids); a policy is there when one of its type has
    at least the wanted settings.
    """
    missing = list(wanted)
    named = {policy.type for policy in missing}
    surplus = []
    for policy in actual:
        match = next((candidate for candidate in missing if _covers(policy, candidate)), None)
        if match is not None:
            missing.remove(match)
        elif policy.type in named or policy.type not in left_to_hns:
            surplus.append(policy)
    return tuple(surplus), tuple(missing)


def _covers(actual: Policy, wanted: Policy) -> bool:
    if actual.type != wanted.type:
        return False
    has, wants = json.loads(actual.settings), json.loads(wanted.settings)
    return all(_plain(has.get(key)) == _plain(value) for key, value in wants.items())


def _plain(value: Any) -> Any:
    """HNS writes some numbers as texts, and leaves out what is empty, zero or false."""
    if isinstance(value, list):
        return sorted((_plain(member) for member in value), key=repr)
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items() if _plain(member) != ""}
    if not value:
        return ""
    return str(value).lower()
