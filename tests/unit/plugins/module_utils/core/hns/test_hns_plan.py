# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The plan from what HNS has to what is wanted (evidence: unit)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns import errors
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.options import read_wanted
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.plan import Inventory, Plan, make_plan
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.hns.hns_objects import (
    BALANCER,
    NAMESPACE_ID,
    NETWORK_ID,
    OTHER_ENDPOINT_ID,
    OTHER_NETWORK_ID,
    OVERLAY,
    POD,
    inventory,
)

SAME_NETWORK: dict[str, Any] = {
    "name": "pods",
    "type": "Overlay",
    "adapter": "Ethernet",
    "subnets": [{"prefix": "10.244.5.0/24", "gateway": "10.244.5.1", "vsid": 4097}],
    "host_route": True,
    "persistent": False,
    "dns": {"domain": "cluster.local", "servers": ["10.96.0.10"]},
    "remote_subnets": [
        {
            "prefix": "10.244.1.0/24",
            "isolation_id": 4097,
            "provider_address": "192.0.2.12",
            "router_mac": "0a:58:0a:f4:01:03",
        }
    ],
    "policies": [],
}
SAME_POD: dict[str, Any] = {
    "name": "default_web",
    "network": "pods",
    "addresses": ["10.244.5.3"],
    "mac": "00:15:5d:00:05:03",
    "namespace": NAMESPACE_ID,
    "policies": [
        {"type": "OutBoundNAT", "settings": {"Exceptions": ["10.244.0.0/16", "10.96.0.0/16"]}},
        {"type": "ACL", "settings": {"Action": "Allow", "Direction": "In", "Protocols": "6", "Priority": 200}},
    ],
}
SAME_BALANCER: dict[str, Any] = {
    "vips": ["10.96.0.20"],
    "ports": [{"protocol": "tcp", "external_port": 80, "internal_port": 8080, "internal": True}],
    "endpoints": ["default_web"],
    "source_vip": "10.244.5.2",
    "dsr": True,
}


def planned(actual: Inventory, *, replace: bool = False, force: bool = False, **wanted: Any) -> Plan:
    return make_plan(read_wanted(wanted), actual, replace=replace, force=force)


def steps(plan: Plan) -> list[str]:
    return [str(action) for action in plan.actions]


def test_what_is_as_wanted_stays() -> None:
    plan = planned(inventory(), networks=[SAME_NETWORK], endpoints=[SAME_POD], load_balancers=[SAME_BALANCER])
    assert not plan
    assert plan.diff() == {"before": {}, "after": {}}


def test_everything_is_created_in_order() -> None:
    plan = planned(inventory([], [], []), networks=[SAME_NETWORK], endpoints=[SAME_POD], load_balancers=[SAME_BALANCER])
    assert steps(plan) == [
        "create network pods",
        "create endpoint default_web",
        f"join endpoint default_web namespace {NAMESPACE_ID}",
        "create load balancer 10.96.0.20 6/80",
    ]
    assert plan.disruptive
    assert plan.diff()["before"] == {}
    assert plan.diff()["after"]["network pods"]["subnets"][0]["vsid"] == 4097


def test_everything_is_deleted_in_order() -> None:
    plan = planned(
        inventory(),
        networks=[{"name": "pods", "state": "absent"}],
        endpoints=[{"name": "default_web", "state": "absent"}],
        load_balancers=[SAME_BALANCER | {"state": "absent"}],
    )
    assert steps(plan) == [
        "delete load balancer 10.96.0.20 6/80",
        f"leave endpoint default_web namespace {NAMESPACE_ID}",
        "delete endpoint default_web",
        "delete network pods",
    ]
    assert plan.disruptive
    assert plan.diff()["after"] == {}


def test_what_is_absent_already_needs_nothing() -> None:
    gone = {"name": "x", "state": "absent"}
    assert not planned(inventory([], [], []), networks=[gone], endpoints=[gone])


def test_a_second_network_on_the_adapter_does_not_disrupt() -> None:
    other = {
        "name": "more",
        "type": "Overlay",
        "adapter": "Ethernet",
        "subnets": [{"prefix": "10.9.0.0/24", "gateway": "10.9.0.1", "vsid": 4098}],
    }
    assert not planned(inventory(), networks=[other]).disruptive
    assert planned(inventory(), networks=[other | {"adapter": "Ethernet 2"}]).disruptive
    assert not planned(inventory([], [], []), networks=[{"name": "nat", "type": "NAT"}]).disruptive


def test_remote_subnets_are_exchanged_in_place() -> None:
    moved = {
        "prefix": "10.244.1.0/24",
        "isolation_id": 4097,
        "provider_address": "192.0.2.99",
        "router_mac": "0a:58:0a:f4:01:03",
    }
    plan = planned(inventory(), networks=[SAME_NETWORK | {"remote_subnets": [moved]}])
    assert steps(plan) == ["modify network pods"]
    remove, add = plan.actions[0].requests
    assert (remove["RequestType"], add["RequestType"]) == ("Remove", "Add")
    assert remove["Settings"]["Policies"][0]["Settings"]["ProviderAddress"] == "192.0.2.12"
    assert add["Settings"]["Policies"][0]["Settings"]["ProviderAddress"] == "192.0.2.99"
    assert not plan.disruptive


@pytest.mark.parametrize(
    ("option", "value", "resource", "requests"),
    [
        ("host_route", False, "Policy", ["Remove"]),
        ("remote_subnets", [], "Policy", ["Remove"]),
        ("dns", {"servers": ["10.96.0.11"]}, "DNS", ["Update"]),
        ("extensions", {"583CC151-73EC-4A6A-8B47-578297AD7623": True}, "Extension", ["Update"]),
        ("policies", [{"type": "SetPolicy", "settings": {"Id": "1"}}], "Policy", ["Add"]),
    ],
)
def test_mutable_options_of_a_network(option: str, value: Any, resource: str, requests: list[str]) -> None:
    plan = planned(inventory(), networks=[SAME_NETWORK | {option: value}])
    assert steps(plan) == ["modify network pods"]
    assert {request["ResourceType"] for request in plan.actions[0].requests} == {resource}
    assert [request["RequestType"] for request in plan.actions[0].requests] == requests


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("adapter", "Ethernet 2"),
        ("subnets", [{"prefix": "10.244.6.0/24", "gateway": "10.244.6.1", "vsid": 4097}]),
        ("source_mac", "00:15:5d:00:00:01"),
        ("provider_address", "192.0.2.21"),
        ("automatic_dns", True),
        ("vxlan_port", 4790),
        ("persistent", True),
    ],
)
def test_immutable_options_of_a_network(option: str, value: Any) -> None:
    network = SAME_NETWORK | {option: value}
    with pytest.raises(errors.ImmutableChange, match=f"network 'pods': {option} cannot be changed in place"):
        planned(inventory(endpoints=[], balancers=[]), networks=[network])
    plan = planned(inventory(endpoints=[], balancers=[]), networks=[network], replace=True)
    assert steps(plan) == ["delete network pods", "create network pods"]
    assert plan.disruptive
    assert "deleted and created again" in plan.diff()["after"]["network pods"]["replaced"]


def test_a_network_with_somebody_elses_endpoints_is_not_deleted() -> None:
    gone = {"name": "pods", "state": "absent"}
    with pytest.raises(errors.StillInUse, match="network 'pods' still has endpoints: default_web"):
        planned(inventory(), networks=[gone])
    assert steps(planned(inventory(balancers=[]), networks=[gone], force=True))[-2:] == [
        "delete endpoint default_web",
        "delete network pods",
    ]


def test_a_replaced_network_gets_its_wanted_endpoints_again() -> None:
    network = SAME_NETWORK | {"persistent": True}
    plan = planned(inventory(), networks=[network], endpoints=[SAME_POD], replace=True)
    assert steps(plan) == [
        f"leave endpoint default_web namespace {NAMESPACE_ID}",
        "delete endpoint default_web",
        "delete network pods",
        "create network pods",
        "create endpoint default_web",
        f"join endpoint default_web namespace {NAMESPACE_ID}",
    ]
    nameless = {"name": "default_web"}
    again = planned(inventory(), networks=[network], endpoints=[nameless], replace=True)
    target = next(a.target for a in again.actions if a.verb == "create" and a.kind == "endpoint")
    assert (target.network, target.addresses, target.mac) == ("pods", None, "00-15-5D-00-05-03")  # type: ignore[union-attr]
    assert [policy.type for policy in target.policies or ()] == ["OutBoundNAT", "ACL"]  # type: ignore[union-attr]


def test_duplicates_are_refused() -> None:
    twice = inventory([OVERLAY, OVERLAY | {"ID": OTHER_NETWORK_ID}])
    with pytest.raises(errors.DuplicateName, match=f"network 'pods': HNS has 2 .*{NETWORK_ID}, {OTHER_NETWORK_ID}"):
        planned(twice, networks=[SAME_NETWORK])
    with pytest.raises(errors.DuplicateName, match="endpoint 'default_web'"):
        planned(inventory(endpoints=[POD, POD | {"ID": OTHER_ENDPOINT_ID}]), endpoints=[SAME_POD])


def test_endpoint_changes() -> None:
    plan = planned(inventory(), endpoints=[SAME_POD | {"policies": [], "namespace": ""}])
    assert steps(plan) == [
        "modify endpoint default_web",
        f"leave endpoint default_web namespace {NAMESPACE_ID}",
    ]
    (request,) = plan.actions[0].requests
    assert request["RequestType"] == "Remove"
    assert [policy["Type"] for policy in request["Settings"]["Policies"]] == ["OutBoundNAT", "ACL"]
    for option, value in (("mac", "00:15:5d:00:05:04"), ("addresses", ["10.244.5.9"]), ("gateway", "10.244.5.9")):
        with pytest.raises(errors.ImmutableChange, match=option):
            planned(inventory(), endpoints=[SAME_POD | {option: value}])


def test_an_endpoint_needs_its_network() -> None:
    with pytest.raises(errors.MissingReference, match="network 'elsewhere'"):
        planned(inventory(), endpoints=[SAME_POD | {"network": "elsewhere"}])
    with pytest.raises(errors.InvalidObject, match="to create it network is needed"):
        planned(inventory(), endpoints=[{"name": "new"}])
    with pytest.raises(errors.InvalidObject, match="to create it type is needed"):
        planned(inventory(), networks=[{"name": "new"}])
    with pytest.raises(errors.InvalidObject, match=r"subnets\[0\] needs gateway"):
        planned(inventory(), networks=[{"name": "new", "type": "NAT", "subnets": [{"prefix": "10.0.0.0/24"}]}])


def test_a_load_balancer_is_modified_only_where_hns_can() -> None:
    pods = [POD, POD | {"ID": OTHER_ENDPOINT_ID, "Name": "default_web2"}]
    more = SAME_BALANCER | {"endpoints": ["default_web", "default_web2"]}
    with pytest.raises(errors.ImmutableChange, match="endpoints"):
        planned(inventory(endpoints=pods), load_balancers=[more])
    replaced = planned(inventory(endpoints=pods), load_balancers=[more], replace=True)
    assert steps(replaced) == ["delete load balancer 10.96.0.20 6/80", "create load balancer 10.96.0.20 6/80"]
    modified = planned(inventory(endpoints=pods, version=(15, 4)), load_balancers=[more])
    assert steps(modified) == ["modify load balancer 10.96.0.20 6/80"]
    with pytest.raises(errors.MissingReference, match="endpoint 'nobody'"):
        planned(inventory(), load_balancers=[SAME_BALANCER | {"endpoints": ["nobody"]}])


@pytest.mark.parametrize(
    ("version", "wanted", "feature"),
    [
        ((9, 1), {"networks": [{"name": "n", "type": "NAT"}]}, "v2_api"),
        ((10, 2), {"networks": [{"name": "n", "type": "Overlay", "vxlan_port": 4790}]}, "vxlan_port"),
        ((15, 0), {"networks": [{"name": "n", "type": "L2Bridge", "host_port": False}]}, "disable_host_port"),
        ((10, 1), {"load_balancers": [SAME_BALANCER]}, "dsr"),
        ((10, 3), {"endpoints": [{"name": "e", "network": "pods", "addresses": ["10.244.5.7/32"]}]}, "slash32"),
        ((13, 2), {"endpoints": [{"name": "e", "network": "pods", "policies": [{"type": "TierAcl"}]}]}, "tier_acl"),
    ],
)
def test_features_are_checked_before_anything_is_planned(
    version: tuple[int, int], wanted: dict[str, Any], feature: str
) -> None:
    with pytest.raises(errors.FeatureMissing, match=feature):
        planned(inventory(version=version), **copy.deepcopy(wanted))


def test_policies_match_whatever_hns_adds_to_them() -> None:
    richer = copy.deepcopy(POD)
    richer["Policies"][2]["Settings"] |= {"Id": "x", "RuleType": "Switch", "Protocols": 6}
    assert not planned(inventory(endpoints=[richer]), endpoints=[SAME_POD])
    assert BALANCER["Flags"] == 1
