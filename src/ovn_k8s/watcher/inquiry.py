# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Gathers what `explain` needs, with the watcher's own rights and without touching what runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ovn_k8s.core.pods import pod_port_name
from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused
from ovn_k8s.ovsdb.client import Client

from .config import Config
from .explain import TABLES, Binding, Facts
from .gateways import SOUTHBOUND
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
    policies = _all(api, f"/apis/networking.k8s.io/v1/{place}/networkpolicies")
    try:
        lease: Mapping[str, Any] | None = api.get(LEASE.path)
    except ApiRefused as error:
        if error.status != 404:
            raise
        lease = None
    with Client(config.northbound, NORTHBOUND, tls=config.tls) as client:
        database = client.snapshot(TABLES)
    pod = pods[0] if pods else None
    return Facts(namespace, name, pod, services, slices, policies, lease, database, _binding(config, namespace, name))


def _binding(config: Config, namespace: str, name: str) -> Binding | None:
    """What the southbound database has; None when the watcher is not told where it is."""
    if not config.southbound:
        return None
    port = {"op": "select", "table": "Port_Binding", "columns": ["chassis", "up"]}
    where = [["logical_port", "==", pod_port_name(namespace, name)]]
    with Client(config.southbound, SOUTHBOUND, tls=config.southbound_tls) as client:
        found = client.transact([{**port, "where": where}])[0]["rows"]
        if not found:
            return Binding(known=False)
        chassis, up = found[0]["chassis"], found[0]["up"]
        if chassis[0] != "uuid":
            return Binding(known=True)
        hosts = client.transact(
            [{"op": "select", "table": "Chassis", "where": [["_uuid", "==", chassis]], "columns": ["name"]}]
        )
    return Binding(True, hosts[0]["rows"][0]["name"] if hosts[0]["rows"] else "", up is True)


def _all(api: Api, path: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(item for page in api.pages(path) for item in page.get("items") or ())
