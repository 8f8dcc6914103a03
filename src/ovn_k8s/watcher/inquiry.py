# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Gathers what `explain` needs, with the watcher's own rights and without touching what runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused
from ovn_k8s.ovsdb.client import Client

from .config import Config
from .explain import TABLES, Facts
from .leadership import LEASE

NORTHBOUND = "OVN_Northbound"


def parse_object(text: str) -> tuple[str, str]:
    """Namespace and name of `pod/<namespace>/<name>`. Raises ValueError."""
    kind, _, rest = text.partition("/")
    namespace, _, name = rest.partition("/")
    if kind != "pod" or not namespace or not name or "/" in name:
        raise ValueError(f"{text!r} is not of the form pod/<namespace>/<name>")
    return namespace, name


def gather(config: Config, namespace: str, name: str) -> Facts:
    """Ask the API server and the northbound database. Raises KubernetesError, OvsdbError."""
    api = Api.from_kubeconfig(config.kubeconfig)
    place = f"namespaces/{quote(namespace)}"
    # The watcher may list pods but not get one.
    pods = api.get(f"/api/v1/{place}/pods", {"fieldSelector": f"metadata.name={name}"}).get("items") or []
    services = _all(api, f"/api/v1/{place}/services")
    slices = _all(api, f"/apis/discovery.k8s.io/v1/{place}/endpointslices")
    try:
        lease: Mapping[str, Any] | None = api.get(LEASE.path)
    except ApiRefused as error:
        if error.status != 404:
            raise
        lease = None
    with Client(config.northbound, NORTHBOUND, tls=config.tls) as client:
        database = client.snapshot(TABLES)
    return Facts(namespace, name, pods[0] if pods else None, services, slices, lease, database)


def _all(api: Api, path: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(item for page in api.pages(path) for item in page.get("items") or ())
