# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Arguments of the modules for HNS. What values mean is checked by `core.hns.options`, here and on the host alike."""

from __future__ import annotations

from typing import Any

from ..module_utils.core.hns.objects import NETWORK_TYPES

Spec = dict[str, Any]

PROGRAM_DIR = r"C:\Program Files\ovn-k8s"
KINDS = ("networks", "endpoints", "load_balancers", "namespaces")

_STATE: Spec = {"type": "str", "choices": ["present", "absent"], "default": "present"}
_ROUTES: Spec = {
    "type": "list",
    "elements": "dict",
    "options": {
        "destination": {"type": "str", "required": True},
        "next_hop": {"type": "str", "required": True},
        "metric": {"type": "int"},
    },
}
_DNS: Spec = {
    "type": "dict",
    "options": {
        "domain": {"type": "str"},
        "search": {"type": "list", "elements": "str"},
        "servers": {"type": "list", "elements": "str"},
        "options": {"type": "list", "elements": "str"},
    },
}
_POLICIES: Spec = {
    "type": "list",
    "elements": "dict",
    "options": {"type": {"type": "str", "required": True}, "settings": {"type": "dict"}},
}
_BUNDLE: Spec = {"program_dir": {"type": "str", "default": PROGRAM_DIR}}

NETWORK: Spec = {
    "name": {"type": "str", "required": True},
    "state": _STATE,
    "type": {"type": "str", "choices": list(NETWORK_TYPES)},
    "adapter": {"type": "str"},
    "subnets": {
        "type": "list",
        "elements": "dict",
        "options": {
            "prefix": {"type": "str", "required": True},
            "gateway": {"type": "str"},
            "vsid": {"type": "int"},
            "vlan": {"type": "int"},
            "routes": _ROUTES,
        },
    },
    "source_mac": {"type": "str"},
    "provider_address": {"type": "str"},
    "dns": _DNS,
    "automatic_dns": {"type": "bool"},
    "vxlan_port": {"type": "int"},
    "host_route": {"type": "bool"},
    "host_port": {"type": "bool"},
    "persistent": {"type": "bool"},
    "remote_subnets": {
        "type": "list",
        "elements": "dict",
        "options": {
            "prefix": {"type": "str", "required": True},
            "isolation_id": {"type": "int", "required": True},
            "provider_address": {"type": "str", "required": True},
            "router_mac": {"type": "str", "required": True},
        },
    },
    "extensions": {"type": "dict"},
    "policies": _POLICIES,
}
ENDPOINT: Spec = {
    "name": {"type": "str", "required": True},
    "state": _STATE,
    "network": {"type": "str"},
    "addresses": {"type": "list", "elements": "str"},
    "mac": {"type": "str"},
    "gateway": {"type": "str"},
    "routes": _ROUTES,
    "dns": _DNS,
    "namespace": {"type": "str"},
    "remote": {"type": "bool"},
    "policies": _POLICIES,
}
LOAD_BALANCER: Spec = {
    "state": _STATE,
    "vips": {"type": "list", "elements": "str"},
    "ports": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "protocol": {"type": "str", "required": True},
            "external_port": {"type": "int", "required": True},
            "internal_port": {"type": "int"},
            "distribution": {"type": "str", "choices": ["connection", "client_and_protocol", "client"]},
            "internal": {"type": "bool"},
            "local_routed_vip": {"type": "bool"},
            "use_mux": {"type": "bool"},
            "preserve_destination": {"type": "bool"},
        },
    },
    "endpoints": {"type": "list", "elements": "str"},
    "source_vip": {"type": "str"},
    "dsr": {"type": "bool"},
    "ipv6": {"type": "bool"},
}


def _objects(options: Spec) -> Spec:
    return {"type": "list", "elements": "dict", "required": True, "options": options}


_TIMEOUT: Spec = {"timeout": {"type": "int", "default": 300}}

HNS_NETWORK: Spec = {
    "networks": _objects(NETWORK),
    "replace": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    **_TIMEOUT,
    **_BUNDLE,
}
HNS_ENDPOINT: Spec = {
    "endpoints": _objects(ENDPOINT),
    "replace": {"type": "bool", "default": False},
    **_TIMEOUT,
    **_BUNDLE,
}
HNS_LOAD_BALANCER: Spec = {
    "load_balancers": _objects(LOAD_BALANCER),
    "replace": {"type": "bool", "default": False},
    **_TIMEOUT,
    **_BUNDLE,
}
HNS_INFO: Spec = {
    "gather": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(KINDS)},
    "name": {"type": "str"},
    **_BUNDLE,
}
