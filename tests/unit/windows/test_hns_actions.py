# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The actions for HNS against the model of HNS: check mode, diff, and a connection that breaks.

Evidence: unit. The host's connection and the command on the host are stood in for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.ovn_k8s.cluster.plugins.action import (
    hns_endpoint,
    hns_info,
    hns_load_balancer,
    hns_network,
)
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.hns_action import HnsAction

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from model_hcn import ModelHcn  # noqa: E402

from lab.windows.hcn_model import Fault  # noqa: E402
from ovn_k8s.core.hns.errors import HnsError  # noqa: E402
from ovn_k8s.windows import hns  # noqa: E402

NETWORK: dict[str, Any] = {
    "name": "pods",
    "type": "Overlay",
    "adapter": "Ethernet",
    "subnets": [{"prefix": "10.244.5.0/24", "gateway": "10.244.5.1", "vsid": 4097}],
    "persistent": False,
}
NAT = {"name": "nat", "type": "NAT"}


class Host:
    """A Windows host: the bundle's answers to requests, and a connection that can break."""

    def __init__(self) -> None:
        self.library = ModelHcn()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.down = 0
        self.resets = 0
        self.operations: list[str] = []
        self.check_modes: list[bool] = []
        self.on_apply: Callable[[], None] = lambda: None
        self.on_detached: Callable[[], None] = lambda: None

    def command(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.down:
            self.down -= 1
            raise AnsibleConnectionFailure("the connection was closed")
        if parameters["argv"] == ["cmd.exe", "/c", "exit 0"]:
            return {"rc": 0, "stdout": ""}
        assert parameters["argv"] == [r"C:\Program Files\ovn-k8s\bin\ovn-k8s-hns.exe"]
        request = json.loads(parameters["stdin"])
        assert parameters["stdin"].isascii()
        self.operations.append(request["operation"] + (" detached" if request.get("detached") else ""))
        answer = self._answer(request)
        return {"rc": 0 if answer["ok"] else 1, "stdout": json.dumps(answer), "failed": not answer["ok"]}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if request["operation"] == "result":
                return {"ok": True, "running": False, "answer": self.jobs[request["job"]]}
            if request.get("detached"):
                if request["job"] not in self.jobs:
                    self.down = 3
                    self.jobs[request["job"]] = self._answer(request | {"detached": False})
                    self.on_detached()
                return {"ok": True, "job": request["job"]}
            if request["operation"] == "apply":
                self.on_apply()
            return {"ok": True} | hns.answer(request, self.library)
        except HnsError as error:
            return {"ok": False, "error": str(error), "kind": type(error).__name__}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()

    def execute(action: HnsAction, module_name: str, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
        assert module_name == "ansible.windows.win_command"
        made.check_modes.append(bool(action._task.check_mode))
        return made.command(module_args)

    monkeypatch.setattr(HnsAction, "_execute_module", execute)
    monkeypatch.setattr(HnsAction, "poll_seconds", 0.0)
    return made


def run(host: Host, module: Any, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    def reset() -> None:
        host.resets += 1

    task = SimpleNamespace(args=arguments, check_mode=check, async_val=0, action="x", diff=True, _role=None)
    connection = SimpleNamespace(reset=reset, _shell=SimpleNamespace(tmpdir=None))
    action = module.ActionModule.__new__(module.ActionModule)
    action._task, action._connection = task, connection
    action._templar = action._loader = action._play_context = action._shared_loader_obj = None
    _, valid = action.validate_argument_spec(argument_spec=dict(action.spec))
    action._facts = {}
    result: dict[str, Any] = action.carry_out(valid)
    assert action._task.check_mode is check
    return result


def test_a_task_that_changes_nothing_asks_once(host: Host) -> None:
    first = run(host, hns_network, networks=[NAT])
    assert first["changed"] is True
    assert first["diff"]["after"] == {"network nat": {"name": "nat", "type": "NAT"}}
    host.operations.clear()
    second = run(host, hns_network, networks=[NAT])
    assert (second["changed"], second["actions"], host.operations) == (False, [], ["plan"])


def test_check_mode_says_what_the_next_run_does(host: Host) -> None:
    foretold = run(host, hns_network, check=True, networks=[NETWORK])
    assert host.operations == ["plan"]
    assert host.check_modes == [False]
    assert host.library.model.state.networks == {}
    assert foretold == run(host, hns_network, networks=[NETWORK])


def test_a_new_switch_is_made_detached_and_the_host_reached_again(host: Host) -> None:
    result = run(host, hns_network, networks=[NETWORK])
    assert result["disruptive"] is True
    assert host.operations == ["plan", "apply detached", "result", "plan"]
    assert host.resets >= 3
    assert run(host, hns_network, networks=[NETWORK])["changed"] is False


def test_a_request_whose_answer_the_connection_took_is_not_begun_twice(host: Host) -> None:
    def lose_it() -> None:
        raise AnsibleConnectionFailure("reset by peer")

    host.on_detached = lose_it
    applied: list[int] = []
    host.on_apply = lambda: applied.append(1)
    result = run(host, hns_network, networks=[NETWORK])
    assert (result["changed"], applied) == (True, [1])
    assert host.operations == ["plan", "apply detached", "apply detached", "result", "plan"]


def test_a_detached_request_that_failed_is_a_failure(host: Host) -> None:
    host.library.model.faults["HcnCreateNetwork"] = Fault(code=0x803B0006)
    with pytest.raises(AnsibleActionFail, match=r"create network pods.*HCN_E_ADAPTER_NOT_FOUND"):
        run(host, hns_network, networks=[NETWORK])
    assert run(host, hns_network, networks=[NETWORK])["changed"] is True


def test_a_host_that_does_not_come_back_is_given_up(host: Host) -> None:
    def gone() -> None:
        host.down = 1 << 30

    host.on_apply = gone
    with pytest.raises(AnsibleConnectionFailure, match="has not come back"):
        run(host, hns_network, networks=[NETWORK], timeout=0)


# The errors of requests, which the connection winrm lets through, are OSErrors.
@pytest.mark.parametrize("error", [AnsibleConnectionFailure("reset by peer"), ConnectionError("Connection aborted.")])
def test_a_connection_lost_in_the_middle_ends_in_the_right_state(host: Host, error: Exception) -> None:
    def lose_it() -> None:
        host.on_apply = lambda: None
        host.library.create("Network", {"Name": "one", "Type": "NAT"})  # type: ignore[arg-type]
        raise error

    host.on_apply = lose_it
    result = run(host, hns_network, networks=[{"name": "one", "type": "NAT"}, {"name": "two", "type": "NAT"}])
    assert result["changed"] is True
    assert sorted(n["Name"] for n in host.library.model.state.networks.values()) == ["one", "two"]


def test_an_immutable_change_is_announced_and_done_only_on_demand(host: Host) -> None:
    run(host, hns_network, networks=[NETWORK])
    other = NETWORK | {"subnets": [{"prefix": "10.244.6.0/24", "gateway": "10.244.6.1", "vsid": 4097}]}
    with pytest.raises(AnsibleActionFail, match="subnets cannot be changed in place; set replace: true"):
        run(host, hns_network, networks=[other])
    foretold = run(host, hns_network, check=True, networks=[other], replace=True)
    assert foretold["actions"] == ["delete network pods", "create network pods"]
    assert "deleted and created again" in foretold["diff"]["after"]["network pods"]["replaced"]
    run(host, hns_network, networks=[other], replace=True)
    assert run(host, hns_network, networks=[other])["changed"] is False


def test_endpoints_load_balancers_and_info(host: Host) -> None:
    run(host, hns_network, networks=[NETWORK])
    endpoint = {"name": "web", "network": "pods", "addresses": ["10.244.5.7"], "dns": {"servers": ["10.96.0.10"]}}
    balancer = {"vips": ["10.96.0.20"], "ports": [{"protocol": "tcp", "external_port": 80}], "endpoints": ["web"]}
    for module, arguments in (
        (hns_endpoint, {"endpoints": [endpoint]}),
        (hns_load_balancer, {"load_balancers": [balancer]}),
    ):
        assert run(host, module, **arguments)["changed"] is True
        assert run(host, module, **arguments)["changed"] is False
    info = run(host, hns_info, gather=["endpoints", "load_balancers"], name="web")
    assert [item["name"] for item in info["endpoints"]] == ["web"]
    assert info["load_balancers"] == []
    assert "networks" not in info
    assert info["version"] == "13.2"


def test_bad_values_are_refused_before_the_host_is_asked(host: Host) -> None:
    with pytest.raises(AnsibleActionFail, match=r"network 'n': subnets\[0\].prefix is '10.0.0.1/24'"):
        run(host, hns_network, networks=[{"name": "n", "subnets": [{"prefix": "10.0.0.1/24"}]}])
    with pytest.raises(Exception, match="colour"):
        run(host, hns_network, networks=[{"name": "n", "colour": "red"}])
    assert host.operations == []


def test_a_missing_bundle_is_explained(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "command", lambda parameters: {"failed": True, "rc": 2, "msg": "cannot find the file"})
    with pytest.raises(AnsibleActionFail, match=r"cannot find the file; is it installed \(role windows_worker\)"):
        run(host, hns_info)
