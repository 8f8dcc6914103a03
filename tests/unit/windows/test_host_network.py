# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Plans carried out on the model of HNS (evidence: unit; the model was never compared with Windows)."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from model_hcn import ModelHcn

from lab.windows.hcn_model import Fault
from ovn_k8s.core.hns.errors import HnsError, ImmutableChange
from ovn_k8s.windows import hns
from ovn_k8s.windows.hcn_errors import HcnCallError, error_text
from ovn_k8s.windows.kinds import Kind

NETWORK: dict[str, Any] = {
    "name": "pods",
    "type": "Overlay",
    "subnets": [{"prefix": "10.244.5.0/24", "gateway": "10.244.5.1", "vsid": 4097}],
    "persistent": False,
}


def remote(node: int, provider: str) -> dict[str, Any]:
    return {
        "prefix": f"10.244.{node}.0/24",
        "isolation_id": 4097,
        "provider_address": provider,
        "router_mac": f"0a:58:0a:f4:0{node}:03",
    }


@pytest.fixture
def library() -> ModelHcn:
    return ModelHcn()


def apply(library: ModelHcn, *, replace: bool = False, force: bool = False, **wanted: Any) -> list[str]:
    request = {"operation": "apply", "wanted": wanted, "replace": replace, "force": force}
    actions: list[str] = hns.answer(request, library)["actions"]
    again = hns.answer(request, library)
    assert again["changed"] is False, again
    return actions


def test_every_change_ends_where_nothing_is_left_to_do(library: ModelHcn) -> None:
    namespace = library.create(Kind.NAMESPACE, {"Type": "Host"})["ID"].lower()
    other = library.create(Kind.NAMESPACE, {"Type": "Host"})["ID"].lower()
    web = {"name": "web", "network": "pods", "namespace": namespace}
    policies = [{"type": "ACL", "settings": {"Action": "Allow", "Direction": "In"}}]
    apply(library, networks=[NETWORK], endpoints=[web])
    apply(library, networks=[NETWORK | {"host_route": True, "remote_subnets": [remote(1, "192.0.2.1")]}])
    apply(library, networks=[NETWORK | {"remote_subnets": [remote(1, "192.0.2.9"), remote(2, "192.0.2.2")]}])
    apply(library, networks=[NETWORK | {"remote_subnets": [], "host_route": False}])
    apply(library, networks=[NETWORK | {"dns": {"servers": ["10.96.0.10"]}}])
    apply(library, networks=[NETWORK | {"extensions": {"583CC151-73EC-4A6A-8B47-578297AD7623": True}}])
    apply(library, endpoints=[web | {"policies": policies}])
    apply(library, endpoints=[web | {"policies": []}])
    apply(library, endpoints=[web | {"namespace": other}])
    apply(library, endpoints=[web | {"namespace": ""}])
    apply(library, endpoints=[web | {"mac": "00:15:5d:99:00:01"}], replace=True)
    apply(library, networks=[NETWORK | {"persistent": True}], endpoints=[{"name": "web"}], replace=True)
    assert apply(library, networks=[{"name": "pods", "state": "absent"}], force=True) == [
        f"leave endpoint web namespace {namespace}",
        "delete endpoint web",
        "delete network pods",
    ]


def test_load_balancers_on_old_and_new_hns(library: ModelHcn) -> None:
    apply(library, networks=[NETWORK], endpoints=[{"name": "a", "network": "pods"}, {"name": "b", "network": "pods"}])
    balancer = {"vips": ["10.96.0.20"], "ports": [{"protocol": "tcp", "external_port": 80}], "endpoints": ["a"]}
    apply(library, load_balancers=[balancer])
    with pytest.raises(ImmutableChange):
        apply(library, load_balancers=[balancer | {"endpoints": ["a", "b"]}])
    apply(library, load_balancers=[balancer | {"endpoints": ["a", "b"]}], replace=True)
    library.model.state.version = (15, 4)
    assert apply(library, load_balancers=[balancer]) == ["modify load balancer 10.96.0.20 6/80"]
    apply(library, load_balancers=[balancer | {"state": "absent"}])


def test_an_endpoint_that_is_gone_already_is_no_failure(library: ModelHcn) -> None:
    apply(library, networks=[NETWORK], endpoints=[{"name": "a", "network": "pods"}])
    library.model.faults["HcnDeleteEndpoint"] = Fault(code=0x803B0002)
    request = {"operation": "apply", "wanted": {"endpoints": [{"name": "a", "state": "absent"}]}}
    assert hns.answer(request, library)["changed"] is True


def test_an_object_that_goes_while_it_is_read_is_left_out(library: ModelHcn) -> None:
    apply(library, networks=[{"name": "one", "type": "NAT"}, {"name": "two", "type": "NAT"}])
    library.model.faults["HcnOpenNetwork"] = Fault(code=0x803B0001)
    assert len(hns.answer({"operation": "info"}, library)["networks"]) == 1


def test_reboot_loses_what_is_not_persistent(library: ModelHcn) -> None:
    base = NETWORK | {"name": "base", "persistent": True}
    apply(library, networks=[NETWORK, base])
    library.model.reboot()
    assert [n["name"] for n in hns.answer({"operation": "info"}, library)["networks"]] == ["base"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"operation": "apply", "wanted": {"networks": 1}, "detached": false}', "this is not Windows"),
    ],
)
def test_requests_that_cannot_be(text: str, message: str) -> None:
    out = io.StringIO()
    assert hns.main(io.StringIO(text), out) == 1
    reply = json.loads(out.getvalue())
    assert reply["ok"] is False
    assert message in reply["error"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"operation": "dance"}, "operation is 'dance'"),
        ({"operation": "plan"}, "wanted is None"),
        ({"operation": "plan", "wanted": {"networks": [{"name": "n", "x": 1}]}}, "unknown option x"),
    ],
)
def test_bad_requests(library: ModelHcn, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(HnsError, match=message):
        hns.answer(request_, library)


def test_error_records() -> None:
    record = '{"Success":false,"Error":"The parameter is incorrect. ","ErrorCode":2147942487}'
    assert error_text(record) == "The parameter is incorrect."
    assert error_text("plain") == "plain"
    error = HcnCallError("HcnCreateNetwork", "pods", -2147024809, record)
    assert error.code == 0x80070057
    assert str(error) == (
        "HcnCreateNetwork pods failed: E_INVALIDARG (0x80070057); HNS says: The parameter is incorrect."
    )
