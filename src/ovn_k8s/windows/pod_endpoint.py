# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A pod's endpoint in HNS, whoever runs the pod: made on the node's network, read, and removed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ovn_k8s.cni.protocol import CniError, Code, Request
from ovn_k8s.core.hns import hcn
from ovn_k8s.core.hns.errors import HnsError
from ovn_k8s.core.hns.objects import Dns, Endpoint

from .config import NodeConfig
from .hcn_errors import HcnCallError
from .host_network import Hcn, read_all, within
from .hybrid_overlay import ENCAP_OVERHEAD, pod_policies
from .kinds import Kind
from .sandboxes import Sandbox

LOG = logging.getLogger(__name__)

DELETE_SECONDS = 20.0
POLICY_REFUSED = frozenset({0x803B000D, 0x803B000E})
"""HCN_E_INVALID_POLICY and HCN_E_INVALID_POLICY_TYPE."""


class Endpoints:
    """The endpoints of pods on one network. Any thread may use it."""

    def __init__(
        self, library: Hcn, config: NodeConfig, network: str, *, delete_seconds: float = DELETE_SECONDS
    ) -> None:
        self._library = library
        self._config = config
        self._name = network
        self._delete_seconds = delete_seconds
        self._network = ""
        self._no_overhead = False

    def read(self, endpoint_id: str) -> Endpoint | None:
        """An endpoint, or None when it is not there. Raises HnsError."""
        try:
            return hcn.read_endpoint(self._library.read(Kind.ENDPOINT, endpoint_id))
        except HcnCallError as error:
            if error.is_not_found:
                return None
            raise

    def ensure(self, stored: Sandbox, dns: Dns | None, wanted: Endpoint | None = None) -> Endpoint:
        """A pod's endpoint, made if it is not there; `wanted` says its address and MAC where they are not HNS's choice.

        Raises HnsError, and CniError when HNS gives it no address; there is no endpoint then.
        """
        endpoint = self.read(stored.endpoint) or self._made(stored, dns, wanted)
        if not endpoint.addresses:
            self.remove(stored)
            raise CniError(Code.INTERFACE_FAILURE, f"HNS gave endpoint {stored.pod} no address")
        return endpoint

    def _made(self, stored: Sandbox, dns: Dns | None, wanted: Endpoint | None) -> Endpoint:
        pod = replace(wanted or Endpoint(stored.pod), dns=dns, policies=pod_policies(self._config), id=stored.endpoint)
        try:
            endpoint = hcn.read_endpoint(self._create(pod))
        except HcnCallError as error:
            if error.code not in POLICY_REFUSED or self._no_overhead or not self._config.encap_overhead:
                raise
            endpoint = hcn.read_endpoint(self._create(_without_overhead(pod)))
            self._no_overhead = True
            LOG.warning("this HNS does not know %s: pods keep its own MTU (%s)", ENCAP_OVERHEAD, error)
        return endpoint

    def remove(self, stored: Sandbox) -> None:
        """Take an endpoint out of its namespace and away; one that is gone is no error. Raises HnsError, HcnTimeout."""

        def remove() -> None:
            if stored.namespace:
                leave = hcn.namespace_endpoint("Remove", stored.endpoint)
                with _unless_gone():
                    self._library.modify(Kind.NAMESPACE, stored.namespace, leave)
            with _unless_gone():
                self._library.delete(Kind.ENDPOINT, stored.endpoint)

        within(self._delete_seconds, f"deletion of endpoint {stored.pod}", remove)

    def network_id(self) -> str:
        """The network's id. Raises HnsError when there is not exactly one of its name."""
        if not self._network:
            found = [n for n in read_all(self._library, Kind.NETWORK, hcn.read_network) if n.name == self._name]
            if len(found) != 1:
                raise HnsError(
                    f"HNS has {len(found)} networks {self._name}; the service ovn-k8s makes one when the node's "
                    "configuration is right: see its log"
                )
            self._network = found[0].id
        return self._network

    def _create(self, pod: Endpoint) -> Any:
        if self._no_overhead:
            pod = _without_overhead(pod)
        network = self.network_id()
        try:
            return self._library.create(Kind.ENDPOINT, hcn.write_endpoint(pod, network), network)
        except HcnCallError as error:
            self._network = ""
            if not error.is_not_found:
                raise
            # The network was made again since its id was looked up.
            network = self.network_id()
            return self._library.create(Kind.ENDPOINT, hcn.write_endpoint(pod, network), network)


def request_dns(config: Mapping[str, Any]) -> Dns | None:
    """What a runtime says about name resolution (capability `dns`)."""
    told = (config.get("runtimeConfig") or {}).get("dns") or {}
    if not told:
        return None
    return Dns(
        search=tuple(map(str, told.get("searches") or ())),
        servers=tuple(map(str, told.get("servers") or ())),
        options=tuple(map(str, told.get("options") or ())),
    )


def result(request: Request, stored: Sandbox, endpoint: Endpoint) -> dict[str, Any]:
    """What ADD answers."""
    ips = []
    for address in endpoint.addresses or ():
        ip: dict[str, Any] = {"address": f"{address.address}/{address.prefix_length}", "interface": 0}
        if endpoint.gateway:
            ip["gateway"] = endpoint.gateway
        if request.version == "0.4.0":
            ip["version"] = "4"
        ips.append(ip)
    dns = endpoint.dns or Dns()
    told: dict[str, Any] = {
        "nameservers": list(dns.servers),
        "domain": dns.domain,
        "search": list(dns.search),
        "options": list(dns.options),
    }
    return {
        "cniVersion": request.version,
        "interfaces": [
            {"name": stored.pod, "mac": (endpoint.mac or "").replace("-", ":").lower(), "sandbox": request.netns}
        ],
        "ips": ips,
        "routes": [{"dst": "0.0.0.0/0", "gw": endpoint.gateway}] if endpoint.gateway else [],
        "dns": {key: value for key, value in told.items() if value},
    }


def _without_overhead(pod: Endpoint) -> Endpoint:
    return replace(pod, policies=tuple(one for one in pod.policies or () if one.type != ENCAP_OVERHEAD))


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except HcnCallError as error:
        if not error.is_not_found:
            raise
