# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kube-proxy stand-in: HNS load balancers for the cluster's services, as kube-proxy's kernelspace mode makes them.

Its view of services and endpoint slices comes from the API server, with its own identity. An endpoint that is not on
this machine is a remote endpoint in HNS. Cluster addresses, external addresses and those of load balancers are done;
node ports, session affinity and traffic policies are not.
Source: kubernetes/pkg/proxy/winkernel (proxier.go, hns.go).
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import yaml

from .drive import Drive, DriveError
from .hcn_emulator import Emulator
from .hcn_model import REMOTE_ENDPOINT, Document
from .kubelet.api import Access, Api, ApiError
from .kubelet.settings import access, options
from .programs import Refused

LOG = logging.getLogger(__name__)

PROTOCOLS = {"TCP": 6, "UDP": 17}
SERVICE_OF_SLICE = "kubernetes.io/service-name"
RETRY_SECONDS = 2.0
PAUSE_SECONDS = 0.2
"""How long changes are gathered."""
ROUND_SECONDS = 15.0
"""After so long it looks without being told: HNS may have forgotten."""
DSR = 1
SERVICES, SLICES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"
UNDERLAY = "Ethernet"


@dataclass(frozen=True)
class Settings:
    """What kube-proxy is told by its configuration."""

    access: Access
    network: str
    source_vip: str
    dsr: bool


@dataclass(frozen=True)
class Balancer:
    """One port of a service at one address."""

    vip: str
    protocol: int
    port: int
    target: int
    backends: frozenset[str]


def read(words: list[str], drive: Drive) -> Settings:
    """Understand a command line. Raises Refused, as a kube-proxy ends that cannot."""
    given = options(words[1:])
    try:
        configuration = yaml.safe_load(drive.read(given["config"]))
        kernel = configuration["winkernel"]
        found = Settings(
            access(yaml.safe_load(drive.read(configuration["clientConnection"]["kubeconfig"])), drive),
            str(kernel["networkName"]),
            str(kernel.get("sourceVip", "")),
            bool(kernel.get("enableDSR")),
        )
    except (OSError, DriveError, KeyError, IndexError, TypeError, yaml.YAMLError) as error:
        raise Refused(f"a file of kube-proxy cannot be read: {error!r}") from error
    if configuration.get("kind") != "KubeProxyConfiguration" or configuration.get("mode") != "kernelspace":
        raise Refused("the configuration must be a KubeProxyConfiguration with mode kernelspace")
    if not found.source_vip:
        raise Refused("an overlay network needs winkernel.sourceVip")
    return found


def balancers(services: Iterable[Document], slices: Iterable[Document]) -> Iterator[Balancer]:
    """The load balancers that services and their endpoint slices ask for. One without backends is not made."""
    of_service: dict[tuple[str, str], list[Document]] = {}
    for one in slices:
        name = (one["metadata"].get("labels") or {}).get(SERVICE_OF_SLICE)
        if name and one.get("addressType") == "IPv4":
            of_service.setdefault((one["metadata"]["namespace"], name), []).append(one)
    for service in services:
        spec, metadata = service["spec"], service["metadata"]
        if spec.get("clusterIP", "None") in ("", "None") or spec.get("type") == "ExternalName":
            continue
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        vips = [spec["clusterIP"], *spec.get("externalIPs", ()), *(one["ip"] for one in ingress if one.get("ip"))]
        for port in spec.get("ports") or []:
            if port.get("protocol", "TCP") not in PROTOCOLS:
                continue
            found = list(_backends(of_service.get((metadata["namespace"], metadata["name"]), []), port))
            if not found:
                continue
            # As in winkernel: all backends of a load balancer have the port of the first.
            target = found[0][1]
            backends = frozenset(address for address, number in found if number == target)
            for vip in vips:
                if ip_address(vip).version == 4:
                    yield Balancer(vip, PROTOCOLS[port.get("protocol", "TCP")], int(port["port"]), target, backends)


def _backends(slices: Iterable[Document], port: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for one in slices:
        for offered in one.get("ports") or []:
            if (offered.get("name") or "") != port.get("name", "") or offered.get("port") is None:
                continue
            for endpoint in one.get("endpoints") or []:
                if (endpoint.get("conditions") or {}).get("ready", True):
                    yield endpoint["addresses"][0], int(offered["port"])


class KubeProxy:
    """One kube-proxy. What it has made in HNS stays when it ends, as that of the real one does."""

    def __init__(self, settings: Settings, emulator: Emulator) -> None:
        self._settings = settings
        self._emulator = emulator
        self._api = Api(settings.access)
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Document]] = {}
        self._look = threading.Event()
        self._made: dict[Balancer, tuple[str, dict[str, str]]] = {}
        """What was made: the load balancer's id and its endpoints' by address."""

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        for path in (SERVICES, SLICES):
            threading.Thread(target=self._watch, args=(path, stop), name="kube-proxy", daemon=True).start()
        first = True
        while not stop.is_set():
            self._look.wait(ROUND_SECONDS if self._made else 1.0)
            self._look.clear()
            stop.wait(PAUSE_SECONDS)
            with self._lock:
                known = {path: list(documents.values()) for path, documents in self._known.items()}
            if len(known) < 2 or not self._network() or stop.is_set():
                continue
            if first:
                self._clean()
                first = False
            self._converge(set(balancers(known[SERVICES], known[SLICES])))

    def _watch(self, path: str, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                listed = self._api.get(path)
                with self._lock:
                    self._known[path] = {_key(one): one for one in listed["items"]}
                self._look.set()
                for event in self._api.watch(path, listed["metadata"]["resourceVersion"]):
                    if stop.is_set():
                        return
                    if event["type"] == "BOOKMARK":
                        continue
                    with self._lock:
                        if event["type"] == "DELETED":
                            self._known[path].pop(_key(event["object"]), None)
                        else:
                            self._known[path][_key(event["object"])] = event["object"]
                    self._look.set()
            except ApiError as error:
                LOG.warning("kube-proxy: %s", error)
                stop.wait(RETRY_SECONDS)

    # ---- HNS

    def _network(self) -> str:
        with self._emulator.lock:
            for id_, network in self._emulator.model.state.networks.items():
                if network.get("Name") == self._settings.network:
                    return id_
        return ""

    def _clean(self) -> None:
        """kube-proxy begins with the removal of all load balancers and remote endpoints."""
        with self._emulator.lock:
            state = self._emulator.model.state
            left = list(state.load_balancers)
            remote = [id_ for id_, one in state.endpoints.items() if one.get("Flags", 0) & REMOTE_ENDPOINT]
        for id_ in left:
            self._call("HcnDeleteLoadBalancer", id_)
        for id_ in remote:
            self._call("HcnDeleteEndpoint", id_)

    def _converge(self, wanted: set[Balancer]) -> None:
        with self._emulator.lock:
            state = self._emulator.model.state
            there = set(state.load_balancers)
            ends = {
                str(configuration["IpAddress"]): id_
                for id_, one in state.endpoints.items()
                for configuration in one.get("IpConfigurations") or []
            }
        for balancer, (id_, endpoints) in list(self._made.items()):
            stale = any(ends.get(address) != endpoint for address, endpoint in endpoints.items())
            if balancer not in wanted or id_ not in there or stale:
                if id_ in there:
                    self._call("HcnDeleteLoadBalancer", id_)
                del self._made[balancer]
        for balancer in sorted(wanted - set(self._made), key=str):
            for address in balancer.backends - set(ends):
                if not self._local(address) and (id_ := self._remote_endpoint(address)):
                    ends[address] = id_
            endpoints = {address: ends[address] for address in balancer.backends if address in ends}
            if endpoints and (id_ := self._balancer(balancer, endpoints.values())):
                self._made[balancer] = (id_, endpoints)
        self._forget_remote({id_ for _, endpoints in self._made.values() for id_ in endpoints.values()})

    def _local(self, address: str) -> bool:
        """Whether an address is of this machine's subnet: such a pod has an endpoint, or is gone."""
        network = self._network()
        with self._emulator.lock:
            subnets = self._emulator.model.state.networks.get(network, {}).get("Ipams") or []
            prefixes = [subnet["IpAddressPrefix"] for ipam in subnets for subnet in ipam.get("Subnets") or []]
        return any(ip_address(address) in ip_network(prefix) for prefix in prefixes)

    def _forget_remote(self, used: set[str]) -> None:
        with self._emulator.lock:
            ends = self._emulator.model.state.endpoints
            unused = [id_ for id_, one in ends.items() if one.get("Flags", 0) & REMOTE_ENDPOINT and id_ not in used]
        for id_ in unused:
            self._call("HcnDeleteEndpoint", id_)

    def _remote_endpoint(self, address: str) -> str:
        document = {
            "IpConfigurations": [{"IpAddress": address}],
            "MacAddress": "02-11-" + "-".join(f"{part:02X}" for part in ip_address(address).packed),
            "Flags": REMOTE_ENDPOINT,
            "Policies": [{"Type": "ProviderAddress", "Settings": {"ProviderAddress": self._provider(address)}}],
        }
        network = self._call("HcnOpenNetwork", self._network())
        if network is None:
            return ""
        id_ = str(uuid.uuid4())
        made = self._call("HcnCreateEndpoint", id_, document, handle=network)
        self._call("HcnCloseNetwork", "", handle=network)
        return id_ if made is not None else ""

    def _provider(self, address: str) -> str:
        """The node behind which an address is; this one for what is in no subnet of a node, as in winkernel."""
        network = self._network()
        with self._emulator.lock:
            state = self._emulator.model.state
            policies = state.networks.get(network, {}).get("Policies") or []
            routes = [policy["Settings"] for policy in policies if policy.get("Type") == "RemoteSubnetRoute"]
            own = state.adapters[UNDERLAY]
        for route in routes:
            if ip_address(address) in ip_network(route["DestinationPrefix"]):
                return str(route["ProviderAddress"])
        return own

    def _balancer(self, balancer: Balancer, endpoints: Iterable[str]) -> str:
        document = {
            "HostComputeEndpoints": list(endpoints),
            "SourceVIP": self._settings.source_vip,
            "FrontendVIPs": [balancer.vip],
            "PortMappings": [
                {"Protocol": balancer.protocol, "InternalPort": balancer.target, "ExternalPort": balancer.port}
            ],
            "Flags": DSR if self._settings.dsr else 0,
        }
        id_ = str(uuid.uuid4())
        return id_ if self._call("HcnCreateLoadBalancer", id_, document) is not None else ""

    def _call(self, function: str, guid: str, settings: Document | None = None, *, handle: str = "0") -> str | None:
        """The handle that a call gives, or None when HNS refuses it, which is tried again with the next change."""
        code, new, _, record = self._emulator.answer([function, guid, handle, json.dumps(settings or {})])
        if int(code, 16):
            LOG.warning("kube-proxy: %s: %s %s", function, code, record)
            return None
        if new != "0" and function.startswith("HcnCreate"):
            self._emulator.answer([f"HcnClose{function.removeprefix('HcnCreate')}", "", new, ""])
        return new


def _key(document: Document) -> str:
    return f"{document['metadata']['namespace']}/{document['metadata']['name']}"
