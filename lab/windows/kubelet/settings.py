# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a kubelet is told: its command line, its configuration and its kubeconfig, as the role writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from ..drive import Drive
from ..programs import Refused
from .api import Access


@dataclass(frozen=True)
class Settings:
    """One kubelet."""

    node: str
    address: str
    access: Access
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, Any], ...] = ()
    endpoint: str = ""
    """Where the runtime listens."""
    port: int = 10250
    serving: tuple[str, str, str] = ("", "", "")
    """Certificate and key of its server, and the CA of its clients; paths here."""
    dns: tuple[str, ...] = ()
    domain: str = "cluster.local"


def options(words: list[str]) -> dict[str, str]:
    """Options of a command line, with `=` or a word of their own; one without a value is `true`."""
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        name, equals, value = words[at].lstrip("-").partition("=")
        at += 1
        if not equals:
            value = "true"
            if at < len(words) and not words[at].startswith("-"):
                value, at = words[at], at + 1
        found[name] = value
    return found


def read(words: list[str], drive: Drive, hostname: str) -> Settings:
    """Understand a command line. Raises Refused, as a kubelet ends that cannot."""
    given = options(words[1:])
    if "kubeconfig" not in given or "config" not in given:
        raise Refused("the kubelet needs --kubeconfig and --config")
    try:
        configuration = yaml.safe_load(drive.read(given["config"]))
        found = access(yaml.safe_load(drive.read(given["kubeconfig"])), drive)
    except (OSError, KeyError, IndexError, TypeError, yaml.YAMLError) as error:
        raise Refused(f"a file of the kubelet cannot be read: {error}") from error
    if configuration.get("kind") != "KubeletConfiguration":
        raise Refused(f"{given['config']} is no KubeletConfiguration")
    if configuration.get("cgroupsPerQOS", True) or configuration.get("enforceNodeAllocatable", ["pods"]) not in (
        [],
        [""],
    ):
        # Of Windows' kubelet: cgroups are of Linux.
        raise Refused("cgroupsPerQOS must be false and enforceNodeAllocatable empty on Windows")
    authority = ((configuration.get("authentication") or {}).get("x509") or {}).get("clientCAFile", "")
    files = [configuration.get("tlsCertFile", ""), configuration.get("tlsPrivateKeyFile", ""), authority]
    pairs = (label.partition("=") for label in given.get("node-labels", "").split(",") if label)
    return Settings(
        node=(given.get("hostname-override") or hostname).lower(),
        address=given.get("node-ip", ""),
        access=found,
        labels={name: value for name, _, value in pairs},
        taints=tuple(configuration.get("registerWithTaints") or ()),
        endpoint=given.get("container-runtime-endpoint") or str(configuration.get("containerRuntimeEndpoint", "")),
        port=int(configuration.get("port", 10250)),
        serving=tuple(str(drive.place(file)) if file else "" for file in files),  # type: ignore[arg-type]
        dns=tuple(configuration.get("clusterDNS") or ()),
        domain=str(configuration.get("clusterDomain", "cluster.local")),
    )


def access(kubeconfig: dict[str, Any], drive: Drive) -> Access:
    """Where a kubeconfig leads, as whom."""
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    files = (cluster["certificate-authority"], user["client-certificate"], user["client-key"])
    return Access(cluster["server"], *(str(drive.place(file)) for file in files))
