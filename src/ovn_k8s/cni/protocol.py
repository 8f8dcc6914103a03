# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""CNI requests, results and errors (https://www.cni.dev/docs/spec/, versions 0.4.0, 1.0.0 and 1.1.0)."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUPPORTED_VERSIONS = ("0.4.0", "1.0.0", "1.1.0")
LATEST_VERSION = SUPPORTED_VERSIONS[-1]

VALID_ATTACHMENTS = "cni.dev/valid-attachments"
"""Key of the configuration of GC: list of {"containerID", "ifname"}."""

_REQUIRED_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "GC": (),
    "STATUS": (),
    "VERSION": (),
}
_SINCE_1_1 = frozenset({"GC", "STATUS"})
_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_INTERFACE_NAME = re.compile(r"[^\s/:]{1,15}")


class Code(enum.IntEnum):
    """Error codes: those of the specification below 100, ours from 100 up."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_CONFIGURATION = 7
    TRY_AGAIN_LATER = 11
    NOT_AVAILABLE = 50
    LIMITED_CONNECTIVITY = 51
    INTERNAL = 100
    INTERFACE_FAILURE = 101
    CHECK_FAILED = 102


class CniError(Exception):
    """A failure that the runtime is told: a code, one line for people, and optionally what lies behind it."""

    def __init__(self, code: Code, message: str, details: str = "") -> None:
        super().__init__(f"{message}: {details}" if details else message)
        self.code = code
        self.message = message
        self.details = details

    def to_json(self, version: str = LATEST_VERSION) -> dict[str, Any]:
        """The error object of the specification."""
        reply: dict[str, Any] = {"cniVersion": version, "code": int(self.code), "msg": self.message}
        if self.details:
            reply["details"] = self.details
        return reply


@dataclass(frozen=True)
class Request:
    """One call of the plugin. `config` is the network configuration that came on standard input."""

    command: str
    version: str
    config: Mapping[str, Any]
    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    args: Mapping[str, str] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """The name of the network configuration."""
        return str(self.config.get("name", ""))


@dataclass(frozen=True)
class Attachment:
    """A pod's interface as ADD reports it. `address` is IPv4 with prefix length, e.g. `10.244.1.3/24`."""

    host_interface: str
    host_mac: str
    ifname: str
    netns: str
    mac: str
    address: str
    gateway: str
    mtu: int


def parse_args(text: str) -> dict[str, str]:
    """`CNI_ARGS` (`KEY=VALUE;KEY=VALUE`) as a dict.

    Raises:
        CniError: code 4, a part without `=`.
    """
    result = {}
    for part in filter(None, text.split(";")):
        key, sign, value = part.partition("=")
        if not sign or not key:
            raise CniError(Code.INVALID_ENVIRONMENT, "CNI_ARGS is not KEY=VALUE;…", f"part {part!r}")
        result[key] = value
    return result


def _parse_config(stdin: str) -> dict[str, Any]:
    try:
        config = json.loads(stdin)
    except ValueError as error:
        raise CniError(
            Code.DECODING_FAILURE, "standard input is not a JSON network configuration", str(error)
        ) from error
    if not isinstance(config, dict):
        raise CniError(Code.DECODING_FAILURE, "standard input is not a JSON object")
    return config


def parse_request(environment: Mapping[str, str], stdin: str) -> Request:
    """What the runtime asked.

    Raises:
        CniError: codes 1 (version), 4 (environment), 6 (not JSON) and 7 (configuration).
    """
    command = environment.get("CNI_COMMAND", "")
    if command not in _REQUIRED_ENVIRONMENT:
        raise CniError(
            Code.INVALID_ENVIRONMENT, f"CNI_COMMAND {command!r} is none of {', '.join(_REQUIRED_ENVIRONMENT)}"
        )
    config = _parse_config(stdin)
    version = config.get("cniVersion", "0.1.0")
    if command == "VERSION":
        return Request(command, str(version), config)
    if version not in SUPPORTED_VERSIONS:
        raise CniError(
            Code.INCOMPATIBLE_VERSION,
            f"cniVersion {version!r} is not supported",
            f"this plugin speaks {', '.join(SUPPORTED_VERSIONS)}",
        )
    if command in _SINCE_1_1 and version != "1.1.0":
        raise CniError(Code.INCOMPATIBLE_VERSION, f"{command} needs cniVersion 1.1.0, not {version}")
    if not isinstance(config.get("name"), str) or not config["name"]:
        raise CniError(Code.INVALID_CONFIGURATION, "the network configuration has no name")
    missing = [name for name in _REQUIRED_ENVIRONMENT[command] if not environment.get(name)]
    if missing:
        raise CniError(Code.INVALID_ENVIRONMENT, f"{command} needs {', '.join(missing)} in the environment")
    container_id = environment.get("CNI_CONTAINERID", "")
    if container_id and not _CONTAINER_ID.fullmatch(container_id):
        raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_CONTAINERID {container_id!r} is not a container id")
    ifname = environment.get("CNI_IFNAME", "")
    if ifname and (ifname in (".", "..") or not _INTERFACE_NAME.fullmatch(ifname)):
        raise CniError(
            Code.INVALID_ENVIRONMENT, f"CNI_IFNAME {ifname!r} is not an interface name of 1 to 15 characters"
        )
    return Request(
        command,
        version,
        config,
        container_id,
        environment.get("CNI_NETNS", ""),
        ifname,
        parse_args(environment.get("CNI_ARGS", "")),
    )


def valid_attachments(config: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The (container id, interface name) pairs that GC must keep.

    Raises:
        CniError: code 7; a missing list must not be taken for an empty one, which would remove every pod.
    """
    listed = config.get(VALID_ATTACHMENTS)
    if not isinstance(listed, list):
        raise CniError(Code.INVALID_CONFIGURATION, f"GC needs the list {VALID_ATTACHMENTS!r} in the configuration")
    try:
        return frozenset((str(item["containerID"]), str(item["ifname"])) for item in listed)
    except (KeyError, TypeError) as error:
        raise CniError(
            Code.INVALID_CONFIGURATION, f"an entry of {VALID_ATTACHMENTS!r} lacks containerID or ifname", str(error)
        ) from error


def version_result(version: str = LATEST_VERSION) -> dict[str, Any]:
    """The reply to VERSION; `version` is the one that was asked with."""
    return {"cniVersion": version, "supportedVersions": list(SUPPORTED_VERSIONS)}


def add_result(attachment: Attachment, version: str) -> dict[str, Any]:
    """The result of ADD in the form of `version`: 0.4.0 has `version` in `ips`, 1.1.0 has `mtu` in `interfaces`."""
    host: dict[str, Any] = {"name": attachment.host_interface, "mac": attachment.host_mac}
    pod: dict[str, Any] = {"name": attachment.ifname, "mac": attachment.mac, "sandbox": attachment.netns}
    address: dict[str, Any] = {"address": attachment.address, "gateway": attachment.gateway, "interface": 1}
    if version == "1.1.0":
        host["mtu"] = pod["mtu"] = attachment.mtu
    if version == "0.4.0":
        address["version"] = "4"
    return {
        "cniVersion": version,
        "interfaces": [host, pod],
        "ips": [address],
        "routes": [{"dst": "0.0.0.0/0", "gw": attachment.gateway}],
        "dns": {},
    }
