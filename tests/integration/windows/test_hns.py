# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""HNS by JSON on the bundle's real Python: real ctypes calls, real strings and handles, an emulated HNS.

Evidence: Wine. What HNS itself does is a model here.
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from windows_machine import HANDLES, TURNS, Windows

from lab.windows.hcn_model import Fault

NETWORK: dict[str, Any] = {
    "name": "pods",
    "type": "Overlay",
    "adapter": "Ethernet",
    "subnets": [{"prefix": "10.244.5.0/24", "gateway": "10.244.5.1", "vsid": 4097}],
    "host_route": True,
    "persistent": False,
}
ENDPOINT: dict[str, Any] = {"name": "default_web", "network": "pods", "addresses": ["10.244.5.7"]}
REMOTE = {
    "prefix": "10.244.1.0/24",
    "isolation_id": 4097,
    "provider_address": "192.0.2.12",
    "router_mac": "0a:58:0a:f4:01:03",
}


def test_a_life_of_objects(windows: Windows) -> None:
    balancer = {
        "vips": ["10.96.0.20"],
        "ports": [{"protocol": "tcp", "external_port": 80}],
        "endpoints": ["default_web"],
    }
    wanted = {"networks": [NETWORK], "endpoints": [ENDPOINT], "load_balancers": [balancer]}
    assert windows.hns("plan", wanted=wanted)["changed"] is True
    assert windows.model.state.networks == {}
    first = windows.hns("apply", wanted=wanted)
    assert first["actions"] == [
        "create network pods",
        "create endpoint default_web",
        "create load balancer 10.96.0.20 6/80",
    ]
    assert windows.hns("apply", wanted=wanted)["changed"] is False
    info = windows.hns("info")
    assert info["version"] == "13.2"
    assert info["networks"][0]["router_mac"].startswith("00-15-5D")
    assert info["endpoints"][0]["addresses"] == [{"address": "10.244.5.7", "prefix_length": 24}]

    with_route = {"networks": [NETWORK | {"remote_subnets": [REMOTE]}]}
    assert windows.hns("apply", wanted=with_route)["actions"] == ["modify network pods"]
    assert windows.hns("plan", wanted=with_route)["changed"] is False

    gone = {
        "networks": [{"name": "pods", "state": "absent"}],
        "endpoints": [{"name": "default_web", "state": "absent"}],
        "load_balancers": [balancer | {"state": "absent"}],
    }
    assert len(windows.hns("apply", wanted=gone)["actions"]) == 3
    state = windows.model.state
    assert (state.networks, state.endpoints, state.load_balancers) == ({}, {}, {})
    assert windows.model.handles == {}


def test_names_beyond_ascii_survive(windows: Windows) -> None:
    name = "réseau-網路"
    windows.hns("apply", wanted={"networks": [{"name": name, "type": "NAT"}]})
    assert [n["Name"] for n in windows.model.state.networks.values()] == [name]
    (network,) = windows.hns("info")["networks"]
    assert (network["name"], network["type"]) == (name, "NAT")


@pytest.mark.parametrize(
    ("function", "fault", "kind", "message"),
    [
        ("HcnEnumerateNetworks", Fault(answer="not json"), "InvalidObject", "HcnEnumerateNetworks gave no JSON"),
        ("HcnEnumerateNetworks", Fault(answer="{}"), "InvalidObject", "gave no list"),
        ("HcnEnumerateNetworks", Fault(code=0x80070005), "HcnCallError", "E_ACCESSDENIED .* takes an administrator"),
        ("HcnCreateNetwork", Fault(code=0x803B0006), "PlanFailed", "create network pods.*HCN_E_ADAPTER_NOT_FOUND"),
        ("HcnQueryNetworkProperties", Fault(answer='{"ID": 7}'), "InvalidObject", "ID is 7, not a text"),
        ("HNSCall", Fault(answer="<html>"), "InvalidObject", "HNS gave no reply"),
        ("HNSCall", Fault(code=0x800706BA), "HcnCallError", "Host Network Service does not run"),
    ],
)
def test_what_goes_wrong_is_said(windows: Windows, function: str, fault: Fault, kind: str, message: str) -> None:
    if function == "HcnQueryNetworkProperties":
        windows.model.call("HcnCreateNetwork", "", 0, '{"Name": "other", "Type": "NAT"}')
    windows.model.faults[function] = fault
    answer = windows.hns("apply", wanted={"networks": [NETWORK]})
    assert answer["kind"] == kind
    assert re.search(message, answer["error"]), answer["error"]


def test_a_step_that_fails_says_what_was_done_before(windows: Windows) -> None:
    windows.model.faults["HcnCreateEndpoint"] = Fault(code=0x803B001E)
    answer = windows.hns("apply", wanted={"networks": [NETWORK], "endpoints": [ENDPOINT]})
    assert "create endpoint default_web" in answer["error"]
    assert "done before: create network pods" in answer["error"]
    # The next run goes on from there.
    again = windows.hns("apply", wanted={"networks": [NETWORK], "endpoints": [ENDPOINT]})
    assert again["actions"] == ["create endpoint default_web"]


def test_without_the_library_the_advice_is_clear(windows: Windows) -> None:
    library = windows.machine.system32 / "computenetwork.dll"
    hidden = library.with_suffix(".hidden")
    library.rename(hidden)
    try:
        answer = windows.hns("info")
    finally:
        hidden.rename(library)
    assert answer["kind"] == "HcnUnavailable"
    assert "Containers" in answer["error"]


def test_a_detached_request_goes_on_by_itself(windows: Windows) -> None:
    windows.model.faults["HcnCreateNetwork"] = Fault(seconds=3)
    started = windows.hns("apply", wanted={"networks": [NETWORK]}, detached=True)
    assert started["ok"], started
    job = started["job"]
    deadline = time.monotonic() + 60
    while (result := windows.hns("result", job=job))["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert result["answer"]["actions"] == ["create network pods"]
    query = windows.machine.run("sc", "query", f"ovn-k8s-request-{job}")
    assert "RUNNING" not in query.stdout
    assert windows.hns("result", job="nosuchjob")["kind"] == "InvalidObject"
    requests = windows.machine.path(r"C:\ProgramData\ovn-k8s\requests")
    (requests / "crashed.request.json").write_text("{}")
    assert windows.hns("result", job="crashed")["answer"]["kind"] == "Interrupted"


LEAKS = """
import ctypes, json, os
from ovn_k8s.windows import hcn_library
from ovn_k8s.windows.hcn_errors import HcnCallError
from ovn_k8s.windows.kinds import Kind

library = hcn_library.HcnLibrary()
freed = 0
real_free = library._free
def free(pointer):
    global freed
    freed += 1
    real_free(pointer)
library._free = free
network = library.create(Kind.NETWORK, {"Name": "pods", "Type": "Overlay", "Ipams": [{"Subnets": [{
    "IpAddressPrefix": "10.244.5.0/24", "Policies": [{"Type": "VSID", "Settings": {"IsolationId": 4097}}],
    "Routes": [{"NextHop": "10.244.5.1", "DestinationPrefix": "0.0.0.0/0"}]}]}]})
refused = 0
marks = []
for turn in range(TURNS):
    endpoint = library.create(Kind.ENDPOINT, {"Name": f"pod{turn}"}, network["ID"])
    library.read(Kind.ENDPOINT, endpoint["ID"])
    try:
        library.modify(Kind.ENDPOINT, endpoint["ID"], {"ResourceType": "Port", "RequestType": "Add", "Settings": {}})
    except HcnCallError as error:
        assert error.code == 0x803B0015, hex(error.code)
        refused += 1
    library.delete(Kind.ENDPOINT, endpoint["ID"])
    try:
        library.delete(Kind.ENDPOINT, endpoint["ID"])
    except HcnCallError as error:
        assert error.is_not_found
        refused += 1
    assert library.version()
    try:
        library.attach("nobody", endpoint["ID"])
    except HcnCallError as error:
        assert error.code == 0xC037010E, hex(error.code)
        refused += 1
    if turn in (TURNS // 4, TURNS - 1):
        marks.append(handles(os.getpid()))
stubs = [ctypes.WinDLL(name) for name in ("computenetwork.dll", "vmcompute.dll")]
for wrong in ((1, None, None), ("text",), (b"bytes", None, None), ()):
    try:
        library._function(Kind.NETWORK, "HcnEnumerate{}s")(*wrong)
    except (ctypes.ArgumentError, TypeError):
        refused += 1
print(json.dumps({
    "given": sum(stub.EmulatorStringsGiven() for stub in stubs), "freed": freed,
    "open": sum(stub.EmulatorHandlesOpen() for stub in stubs),
    "refused": refused, "marks": marks, "guid": ctypes.sizeof(hcn_library.Guid),
}))
"""


def test_endpoints_in_a_row_leave_no_string_and_no_handle(windows: Windows) -> None:
    counts = windows.script(f"TURNS = {TURNS}\n{HANDLES}{LEAKS}", seconds=180)
    assert counts["refused"] == 3 * TURNS + 4
    assert counts["given"] == counts["freed"] > 6 * TURNS
    assert counts["open"] == 0
    assert windows.model.handles == {}
    assert counts["marks"][1] - counts["marks"][0] <= 5
    assert counts["guid"] == 16


HANGS = """
import json, time
from ovn_k8s.core.hns.options import read_wanted
from ovn_k8s.core.hns.plan import make_plan
from ovn_k8s.windows.hcn_library import HcnLibrary
from ovn_k8s.windows.host_network import PlanFailed, carry_out, read_inventory

library = HcnLibrary()
actual = read_inventory(library)
plan = make_plan(read_wanted({"endpoints": [{"name": "default_web", "state": "absent"}]}), actual)
begun = time.monotonic()
try:
    carry_out(library, plan, actual, delete_seconds=1.0)
    said = ""
except PlanFailed as error:
    said = str(error)
print(json.dumps({"said": said, "seconds": time.monotonic() - begun}))
"""


def test_a_deletion_that_hangs_is_given_up(windows: Windows) -> None:
    windows.hns("apply", wanted={"networks": [NETWORK], "endpoints": [ENDPOINT]})
    windows.model.faults["HcnDeleteEndpoint"] = Fault(seconds=4)
    outcome = windows.script(HANGS)
    assert "has not answered for 1 s" in outcome["said"]
    assert outcome["seconds"] < 3
