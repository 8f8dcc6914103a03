# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import json
from typing import Any

import pytest

from ovn_k8s.cni.protocol import (
    Attachment,
    CniError,
    Code,
    add_result,
    parse_args,
    parse_request,
    valid_attachments,
)

CONFIG = {"cniVersion": "1.1.0", "name": "ovn-k8s", "type": "ovn-k8s-cni"}
ADD = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "abc123",
    "CNI_NETNS": "/run/netns/x",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
}


def code(environment: dict[str, str], config: Any = CONFIG) -> Code:
    stdin = config if isinstance(config, str) else json.dumps(config)
    with pytest.raises(CniError) as caught:
        parse_request(environment, stdin)
    return caught.value.code


def test_a_request_is_understood() -> None:
    request = parse_request(ADD, json.dumps(CONFIG))
    assert (request.command, request.version, request.network) == ("ADD", "1.1.0", "ovn-k8s")
    assert (request.container_id, request.netns, request.ifname) == ("abc123", "/run/netns/x", "eth0")
    assert request.args["K8S_POD_NAME"] == "web"


@pytest.mark.parametrize("missing", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_COMMAND"])
def test_missing_environment(missing: str) -> None:
    assert code({key: value for key, value in ADD.items() if key != missing}) == Code.INVALID_ENVIRONMENT


@pytest.mark.parametrize(
    "change",
    [
        {"CNI_COMMAND": "add"},
        {"CNI_CONTAINERID": "-x"},
        {"CNI_CONTAINERID": "a/b"},
        {"CNI_IFNAME": "interface-name16"},
        {"CNI_IFNAME": "."},
        {"CNI_IFNAME": "a b"},
        {"CNI_ARGS": "novalue"},
    ],
)
def test_impossible_environment(change: dict[str, str]) -> None:
    assert code({**ADD, **change}) == Code.INVALID_ENVIRONMENT


def test_del_needs_no_namespace() -> None:
    environment = {key: value for key, value in ADD.items() if key != "CNI_NETNS"} | {"CNI_COMMAND": "DEL"}
    assert parse_request(environment, json.dumps(CONFIG)).netns == ""


@pytest.mark.parametrize("stdin", ["", "{", "[]", "null"])
def test_configuration_that_is_no_json_object(stdin: str) -> None:
    assert code(ADD, stdin) == Code.DECODING_FAILURE


@pytest.mark.parametrize("version", ["0.1.0", "0.3.1", "2.0.0", 1, None])
def test_versions_that_are_not_spoken(version: object) -> None:
    assert code(ADD, {**CONFIG, "cniVersion": version}) == Code.INCOMPATIBLE_VERSION


def test_no_version_means_the_oldest() -> None:
    assert code(ADD, {"name": "x"}) == Code.INCOMPATIBLE_VERSION


@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_new_verbs_need_the_new_version(command: str) -> None:
    environment = {"CNI_COMMAND": command}
    assert parse_request(environment, json.dumps(CONFIG)).command == command
    assert code(environment, {**CONFIG, "cniVersion": "1.0.0"}) == Code.INCOMPATIBLE_VERSION


def test_a_network_has_a_name() -> None:
    assert code(ADD, {"cniVersion": "1.1.0"}) == Code.INVALID_CONFIGURATION


def test_version_is_answered_for_any_version() -> None:
    assert parse_request({"CNI_COMMAND": "VERSION"}, '{"cniVersion": "9.9.9"}').version == "9.9.9"


def test_args() -> None:
    assert parse_args("") == {}
    assert parse_args("A=1;B=x=y;") == {"A": "1", "B": "x=y"}


def test_valid_attachments() -> None:
    listed = {"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}]}
    assert valid_attachments(listed) == {("a", "eth0")}
    assert valid_attachments({"cni.dev/valid-attachments": []}) == frozenset()
    for wrong in ({}, {"cni.dev/valid-attachments": None}, {"cni.dev/valid-attachments": [{"ifname": "eth0"}]}):
        with pytest.raises(CniError) as caught:
            valid_attachments(wrong)
        assert caught.value.code == Code.INVALID_CONFIGURATION


def test_error_object() -> None:
    error = CniError(Code.TRY_AGAIN_LATER, "what", "why")
    assert error.to_json("1.0.0") == {"cniVersion": "1.0.0", "code": 11, "msg": "what", "details": "why"}
    assert "details" not in CniError(Code.INTERNAL, "what").to_json()


@pytest.mark.parametrize(
    ("version", "has_family", "has_mtu"), [("0.4.0", True, False), ("1.0.0", False, False), ("1.1.0", False, True)]
)
def test_result_of_each_version(version: str, has_family: bool, has_mtu: bool) -> None:
    attachment = Attachment(
        "pod1", "02:00:00:00:00:01", "eth0", "/n", "0a:58:0a:f4:01:03", "10.244.1.3/24", "10.244.1.1", 1400
    )
    result = add_result(attachment, version)
    assert result["cniVersion"] == version
    assert ("version" in result["ips"][0]) == has_family
    assert ("mtu" in result["interfaces"][1]) == has_mtu
    assert "sandbox" not in result["interfaces"][0]
    assert result["interfaces"][result["ips"][0]["interface"]]["sandbox"] == "/n"
    assert result["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.244.1.1"}]
