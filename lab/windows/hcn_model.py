# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Host Network Service as a model: documents in, documents or HRESULTs out. No Windows and no network in it.

It knows what hcsshim's tests and issues, Microsoft's modules and users' reports say that HNS does, and refuses the
rest. It was never compared with a real Windows; assumptions are marked as such.
"""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

Document = dict[str, Any]

NETWORK_NOT_FOUND = 0x803B0001
ENDPOINT_NOT_FOUND = 0x803B0002
ADAPTER_NOT_FOUND = 0x803B0006
POLICY_NOT_FOUND = 0x803B0008
INVALID_NETWORK_TYPE = 0x803B000B
INVALID_POLICY_TYPE = 0x803B000E
NETWORK_ALREADY_EXISTS = 0x803B0010
POLICY_ALREADY_EXISTS = 0x803B0012
PORT_ALREADY_EXISTS = 0x803B0013
ENDPOINT_ALREADY_ATTACHED = 0x803B0014
REQUEST_UNSUPPORTED = 0x803B0015
INVALID_JSON = 0x803B001B
INVALID_IP = 0x803B001E
SWITCH_EXTENSION_NOT_FOUND = 0x803B001F
ENDPOINT_NAMESPACE_ALREADY_EXISTS = 0x803B002B
ADDRESS_RESERVED = 0x803B002F
ELEMENT_NOT_FOUND = 0x80070490
SYSTEM_NOT_FOUND = 0xC037010E
INVALID_HANDLE = 0x80070006
INVALID_ARGUMENT = 0x80070057
NOT_IMPLEMENTED = 0x80004001

WORDS = {
    NETWORK_NOT_FOUND: "The network was not found. ",
    ENDPOINT_NOT_FOUND: "The endpoint was not found. ",
    ADAPTER_NOT_FOUND: "An adapter was not found. ",
    POLICY_NOT_FOUND: "The specified policy was not found. ",
    INVALID_NETWORK_TYPE: "The network type is not valid. ",
    INVALID_POLICY_TYPE: "The policy type is not valid. ",
    NETWORK_ALREADY_EXISTS: "A network with this id already exists. ",
    POLICY_ALREADY_EXISTS: "The policy already exists. ",
    PORT_ALREADY_EXISTS: "The specified port already exists. ",
    ENDPOINT_ALREADY_ATTACHED: "The endpoint is already attached. ",
    REQUEST_UNSUPPORTED: "The request is not supported. ",
    INVALID_JSON: "Invalid JSON document string. ",
    INVALID_IP: "The IP address is not valid. ",
    SWITCH_EXTENSION_NOT_FOUND: "The switch extension was not found. ",
    ENDPOINT_NAMESPACE_ALREADY_EXISTS: "The endpoint is in the namespace already. ",
    ADDRESS_RESERVED: "The address provided is invalid or reserved. ",
    ELEMENT_NOT_FOUND: "Element not found. ",
    SYSTEM_NOT_FOUND: "A virtual machine or container with the specified identifier does not exist. ",
    INVALID_HANDLE: "The handle is invalid. ",
    INVALID_ARGUMENT: "The parameter is incorrect. ",
    NOT_IMPLEMENTED: "Not implemented ",
}

TYPES = ("NAT", "ICS", "Transparent", "L2Bridge", "L2Tunnel", "Private", "Overlay", "Internal")
EXTERNAL = ("Transparent", "L2Bridge", "L2Tunnel", "Overlay")
NETWORK_POLICIES = (
    "SourceMacAddress",
    "NetAdapterName",
    "VSwitchExtension",
    "DrMacAddress",
    "AutomaticDNS",
    "InterfaceConstraint",
    "ProviderAddress",
    "RemoteSubnetRoute",
    "VxlanPort",
    "HostRoute",
    "SetPolicy",
    "L4Proxy",
    "LayerConstraint",
    "NetworkACL",
)
ENDPOINT_POLICIES = (
    "PortMapping",
    "ACL",
    "QOS",
    "L2Driver",
    "OutBoundNAT",
    "SDNRoute",
    "L4Proxy",
    "L4WFPPROXY",
    "PortName",
    "EncapOverhead",
    "Iov",
    "ProviderAddress",
    "InterfaceConstraint",
    "TierAcl",
)
NON_PERSISTENT = 8
REMOTE_ENDPOINT = 1
"""Flag of an endpoint that is elsewhere, as kube-proxy makes them for its load balancers."""
CREATED, ATTACHED = 1, 2
OF_HOST = "OfHost"
"""Key of an endpoint of ours, which HNS does not show: it is the machine's."""


class Refused(Exception):
    """A call that ends with an HRESULT."""

    def __init__(self, code: int, words: str = "") -> None:
        self.code = code
        self.words = words or WORDS.get(code, "")
        super().__init__(f"0x{code:08X} {self.words}")

    def record(self) -> str:
        """The error record as HNS writes it."""
        return json.dumps({"Success": False, "Error": self.words, "ErrorCode": self.code})


@dataclass
class Fault:
    """What tests let go wrong with a function: an HRESULT, an answer instead of the true one, or a delay."""

    code: int = 0
    answer: str | None = None
    seconds: float = 0.0
    times: int = 1


@dataclass
class State:
    """Everything that HNS remembers."""

    version: tuple[int, int] = (13, 2)
    adapters: dict[str, str] = field(default_factory=lambda: {"Ethernet": "192.0.2.21"})
    """Physical adapters and their addresses."""
    extensions: tuple[str, ...] = ("583cc151-73ec-4a6a-8b47-578297ad7623",)
    networks: dict[str, Document] = field(default_factory=dict)
    endpoints: dict[str, Document] = field(default_factory=dict)
    namespaces: dict[str, Document] = field(default_factory=dict)
    load_balancers: dict[str, Document] = field(default_factory=dict)
    containers: list[str] = field(default_factory=list)
    """Compute systems that run, by id: those of the Docker Engine."""
    next_compartment: int = 2
    next_mac: int = 1


class Model:
    """The service. `path` keeps the state."""

    def __init__(self, path: Path | None = None, state: State | None = None) -> None:
        self.path = path
        self.state = state or State()
        if path is not None and path.exists():
            stored = json.loads(path.read_text())
            stored["version"] = tuple(stored["version"])
            stored["extensions"] = tuple(stored["extensions"])
            self.state = State(**stored)
        self.handles: dict[int, tuple[str, str]] = {}
        self.next_handle = 1
        self.faults: dict[str, Fault] = {}
        self.calls: list[str] = []
        self.on_switch: Callable[[str], None] = lambda what: None
        """A virtual switch came or went: connections of that adapter break."""
        self.on_change: Callable[[], None] = lambda: None
        """Networks, endpoints, namespaces or load balancers have changed. Must return at once."""

    # ---- entry points

    def call(self, function: str, guid: str, handle: int, text: str, *more: str) -> tuple[int, int, str, str]:
        """One call of a library: HRESULT, handle, value, error record."""
        self.calls.append(function)
        fault = self.faults.get(function)
        try:
            if fault is not None and fault.times:
                fault.times -= 1
                time.sleep(fault.seconds)
                if fault.code:
                    raise Refused(fault.code)
                if fault.answer is not None:
                    return 0, 0, fault.answer, ""
            if function == "HNSCall":
                return 0, 0, self._hns_call(text, *more), ""
            if function.startswith("Hcs"):
                return 0, self._compute(function, handle, text), "", ""
            new_handle, value = self._dispatch(function, guid, handle, text)
        except Refused as refused:
            return refused.code, 0, "", refused.record()
        return 0, new_handle, value, ""

    def reboot(self) -> None:
        """The machine starts again: what is not persistent is gone, and so are endpoints and namespaces.

        So are Transparent networks, with their extensions: Antrea has to make its own again at each start.
        """
        state = self.state
        state.networks = {
            id_: network
            for id_, network in state.networks.items()
            if not network.get("Flags", 0) & NON_PERSISTENT and network.get("Type") != "Transparent"
        }
        state.endpoints, state.namespaces, state.load_balancers, state.containers = {}, {}, {}, []
        self.handles = {}
        self._save()

    def container_started(self, id_: str) -> None:
        """A container runs; endpoints can be attached to it."""
        self.state.containers.append(id_)
        self._save()

    def container_ended(self, id_: str) -> None:
        """A container has ended. Its endpoints stay, and are the other containers' still."""
        if id_ in self.state.containers:
            self.state.containers.remove(id_)
        for endpoint in self.state.endpoints.values():
            if id_ in endpoint.get("SharedContainers", ()):
                endpoint["SharedContainers"].remove(id_)
        self._save()

    def _compute(self, function: str, handle: int, text: str) -> int:
        """Compute systems: open by id, attach an endpoint, close."""
        if function == "HcsOpenComputeSystem":
            if text not in self.state.containers:
                raise Refused(SYSTEM_NOT_FOUND)
            return self._open("System", text)
        kind, id_ = self.handles.get(handle, ("", ""))
        if kind != "System":
            raise Refused(INVALID_HANDLE)
        if function == "HcsCloseComputeSystem":
            del self.handles[handle]
        elif function == "HcsModifyComputeSystem":
            self._attach(id_, _parsed(text))
        else:
            raise Refused(NOT_IMPLEMENTED)
        return 0

    def _attach(self, container: str, request: Document) -> None:
        if (request.get("ResourceType"), request.get("RequestType")) != ("Network", "Add"):
            raise Refused(REQUEST_UNSUPPORTED)
        if container not in self.state.containers:
            raise Refused(SYSTEM_NOT_FOUND)
        endpoint = self._there("Endpoint", str(request.get("Settings", "")).lower())
        shared = endpoint.setdefault("SharedContainers", [])
        if container in shared:
            raise Refused(ENDPOINT_ALREADY_ATTACHED)
        shared.append(container)
        if not endpoint.get("HostComputeNamespace"):
            # The containers that share an endpoint share its compartment.
            id_ = str(uuid.uuid4())
            number, self.state.next_compartment = self.state.next_compartment, self.state.next_compartment + 1
            self.state.namespaces[id_] = {"ID": id_.upper(), "NamespaceId": number, "Resources": [], "Implicit": True}
            endpoint["HostComputeNamespace"] = id_.upper()
        self._save()

    # ---- dispatch

    def _dispatch(self, function: str, guid: str, handle: int, text: str) -> tuple[int, str]:
        verb, kind = _function(function)
        stored = self._stored(kind)
        if verb == "Enumerate":
            return 0, json.dumps([id_.upper() for id_, document in stored.items() if not document.get("Implicit")])
        if verb == "Open":
            self._there(kind, guid)
            return self._open(kind, guid), ""
        if verb == "Create":
            return self._open(kind, self._create(kind, guid, handle, _parsed(text))), ""
        if verb == "Delete":
            self._delete(kind, guid)
            return 0, ""
        return 0, self._with_handle(verb, kind, handle, text)

    def _with_handle(self, verb: str, kind: str, handle: int, text: str) -> str:
        opened = self.handles.get(handle)
        if opened is None or opened[0] != kind:
            raise Refused(INVALID_HANDLE)
        if verb == "Close":
            del self.handles[handle]
            return ""
        document = self._there(kind, opened[1])
        if verb == "Query":
            return json.dumps(_shown(kind, document))
        self._modify(kind, opened[1], document, _parsed(text))
        self._save()
        return ""

    def _stored(self, kind: str) -> dict[str, Document]:
        stores = {
            "Network": self.state.networks,
            "Endpoint": self.state.endpoints,
            "Namespace": self.state.namespaces,
            "LoadBalancer": self.state.load_balancers,
        }
        if kind not in stores:
            raise Refused(NOT_IMPLEMENTED)
        return stores[kind]

    def _there(self, kind: str, id_: str) -> Document:
        found = self._stored(kind).get(id_)
        if found is None:
            codes = {"Network": NETWORK_NOT_FOUND, "Endpoint": ENDPOINT_NOT_FOUND}
            raise Refused(codes.get(kind, ELEMENT_NOT_FOUND))
        return found

    def _open(self, kind: str, id_: str) -> int:
        handle = self.next_handle
        self.next_handle += 1
        self.handles[handle] = (kind, id_)
        return handle

    def _save(self) -> None:
        if self.path is not None:
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self.state.__dict__))
            new.replace(self.path)
        self.on_change()

    # ---- create

    def _create(self, kind: str, guid: str, handle: int, settings: Document) -> str:
        id_ = str(settings.get("ID") or guid or "").strip("{}").lower()
        if not id_.replace("0", "").replace("-", ""):
            id_ = str(uuid.uuid4())
        if id_ in self._stored(kind):
            raise Refused(NETWORK_ALREADY_EXISTS if kind == "Network" else INVALID_ARGUMENT)
        document = copy.deepcopy(settings) | {"ID": id_.upper()}
        if kind == "Network":
            self._complete_network(document)
        elif kind == "Endpoint":
            opened = self.handles.get(handle)
            if opened is None or opened[0] != "Network":
                raise Refused(INVALID_HANDLE)
            self._complete_endpoint(document, opened[1])
        elif kind == "Namespace":
            document["NamespaceId"] = self.state.next_compartment
            document.setdefault("Type", "Host")
            document["Resources"] = []
            self.state.next_compartment += 1
        else:
            self._check_load_balancer(document)
        self._stored(kind)[id_] = document
        self._save()
        if kind == "Network" and self._is_first_on_adapter(id_):
            self.on_switch(f"switch of network {document.get('Name')!r} comes")
        return id_

    def _complete_network(self, document: Document) -> None:
        type_ = document.get("Type")
        if type_ not in TYPES:
            raise Refused(INVALID_NETWORK_TYPE)
        for policy in document.setdefault("Policies", []):
            if policy.get("Type") not in NETWORK_POLICIES:
                raise Refused(INVALID_POLICY_TYPE)
        for subnet in _subnets(document):
            if subnet.get("IpAddressPrefix") and not _gateway(subnet.get("Routes")):
                raise Refused(INVALID_ARGUMENT)
            if type_ == "Overlay" and _isolation(subnet) < 4096:
                raise Refused(INVALID_ARGUMENT)
        if type_ in EXTERNAL:
            adapter = _setting(document, "NetAdapterName", "NetworkAdapterName")
            if adapter is None:
                adapter = next(iter(self.state.adapters), "")
                document["Policies"].append({"Type": "NetAdapterName", "Settings": {"NetworkAdapterName": adapter}})
            if adapter not in self.state.adapters:
                raise Refused(ADAPTER_NOT_FOUND)
            document["Health"] = {"Extra": {"SwitchGuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, adapter)).upper()}}
        if type_ == "Overlay" and _setting(document, "DrMacAddress", "Address") is None:
            document["Policies"].append({"Type": "DrMacAddress", "Settings": {"Address": self._mac()}})

    def _is_first_on_adapter(self, id_: str) -> bool:
        switch = self.state.networks[id_].get("Health", {}).get("Extra", {}).get("SwitchGuid")
        others = [n for other, n in self.state.networks.items() if other != id_]
        return bool(switch) and all(n.get("Health", {}).get("Extra", {}).get("SwitchGuid") != switch for n in others)

    def _mac(self) -> str:
        number = self.state.next_mac
        self.state.next_mac += 1
        return f"00-15-5D-{number >> 16 & 0xFF:02X}-{number >> 8 & 0xFF:02X}-{number & 0xFF:02X}"

    def _complete_endpoint(self, document: Document, network_id: str) -> None:
        network = self._there("Network", network_id)
        for policy in document.setdefault("Policies", []):
            if policy.get("Type") not in ENDPOINT_POLICIES:
                raise Refused(INVALID_POLICY_TYPE)
        document["HostComputeNetwork"] = network_id.upper()
        if document.get("Flags", 0) & REMOTE_ENDPOINT:
            if not document.get("IpConfigurations") or not document.get("MacAddress"):
                raise Refused(INVALID_IP)
            return
        taken = {
            config["IpAddress"]
            for endpoint in self.state.endpoints.values()
            if endpoint["HostComputeNetwork"] == network_id.upper()
            for config in endpoint.get("IpConfigurations", [])
        }
        subnets = list(_subnets(network))
        configurations = document.get("IpConfigurations") or [{}]
        document["IpConfigurations"] = [self._address(config, subnets, taken) for config in configurations if subnets]
        document.setdefault("MacAddress", self._mac())
        if subnets and not document.get("Routes"):
            gateway = _gateway(subnets[0].get("Routes"))
            document["Routes"] = [{"NextHop": gateway, "DestinationPrefix": "0.0.0.0/0"}]
        if not any(policy["Type"] == "L2Driver" for policy in document["Policies"]):
            document["Policies"].append({"Type": "L2Driver", "Settings": {}})

    @staticmethod
    def _address(config: Document, subnets: list[Document], taken: set[str]) -> Document:
        wanted = config.get("IpAddress")
        for subnet in subnets:
            range_ = ip_network(subnet["IpAddressPrefix"])
            gateway = _gateway(subnet.get("Routes"))
            if wanted is not None:
                try:
                    inside = ip_address(wanted) in range_
                except ValueError:
                    raise Refused(INVALID_IP) from None
                if inside:
                    if wanted in taken or wanted == gateway:
                        raise Refused(ADDRESS_RESERVED)
                    return {"IpAddress": wanted, "PrefixLength": config.get("PrefixLength") or range_.prefixlen}
                continue
            # HNS keeps the second address of an overlay for itself; assumed here for every type.
            for host in list(range_.hosts())[2:]:
                if str(host) not in taken and str(host) != gateway:
                    return {"IpAddress": str(host), "PrefixLength": range_.prefixlen}
        raise Refused(INVALID_IP)

    def _check_load_balancer(self, document: Document, but: str = "") -> None:
        for endpoint in document.get("HostComputeEndpoints", []):
            self._there("Endpoint", str(endpoint).lower())
        ports = set(_frontends(document))
        for id_, other in self.state.load_balancers.items():
            if id_ != but and ports & set(_frontends(other)):
                raise Refused(PORT_ALREADY_EXISTS)

    # ---- modify

    def _modify(self, kind: str, id_: str, document: Document, request: Document) -> None:
        if kind == "LoadBalancer":
            if self.state.version < (15, 4):
                raise Refused(NOT_IMPLEMENTED)
            self._check_load_balancer(request, id_)
            document.clear()
            document |= request | {"ID": id_.upper()}
            return
        resource, verb, settings = request.get("ResourceType"), request.get("RequestType"), request.get("Settings")
        if not isinstance(settings, dict):
            raise Refused(INVALID_JSON)
        if kind == "Namespace" and resource == "Endpoint":
            self._move(document, id_, str(verb), str(settings.get("EndpointId", "")).lower())
        elif kind in ("Network", "Endpoint") and resource == "Policy":
            allowed = NETWORK_POLICIES if kind == "Network" else ENDPOINT_POLICIES
            for policy in settings.get("Policies", []):
                if policy.get("Type") not in allowed:
                    raise Refused(INVALID_POLICY_TYPE)
                _change_policy(document["Policies"], str(verb), policy)
        elif kind == "Network" and resource == "DNS" and verb == "Update":
            document["Dns"] = settings
        elif kind == "Network" and resource == "Extension" and verb == "Update":
            self._switch_extension(document, settings)
        else:
            raise Refused(REQUEST_UNSUPPORTED)

    def _switch_extension(self, document: Document, settings: Document) -> None:
        extension = str(settings.get("Id", "")).lower()
        if extension not in self.state.extensions:
            raise Refused(SWITCH_EXTENSION_NOT_FOUND)
        policies = document["Policies"]
        policies[:] = [p for p in policies if str(p.get("Settings", {}).get("ExtensionID")).lower() != extension]
        policies.append(
            {
                "Type": "VSwitchExtension",
                "Settings": {"ExtensionID": extension, "Enable": bool(settings.get("IsEnabled"))},
            }
        )

    def _move(self, namespace: Document, id_: str, verb: str, endpoint_id: str) -> None:
        endpoint = self._there("Endpoint", endpoint_id)
        resources = namespace["Resources"]
        member = {"Type": "Endpoint", "Data": {"ID": endpoint_id.upper()}}
        if verb == "Add":
            if member in resources:
                raise Refused(ENDPOINT_NAMESPACE_ALREADY_EXISTS)
            if endpoint.get("HostComputeNamespace"):
                raise Refused(ENDPOINT_ALREADY_ATTACHED)
            resources.append(member)
            endpoint["HostComputeNamespace"] = id_.upper()
        elif verb == "Remove":
            if member not in resources:
                raise Refused(ENDPOINT_NOT_FOUND)
            resources.remove(member)
            endpoint.pop("HostComputeNamespace", None)
        else:
            raise Refused(REQUEST_UNSUPPORTED)

    # ---- delete

    def _delete(self, kind: str, id_: str) -> None:
        document = self._there(kind, id_)
        if kind == "Network":
            last = self._is_first_on_adapter(id_)
            for endpoint_id, endpoint in list(self.state.endpoints.items()):
                # Assumed: a network takes its endpoints with it.
                if endpoint["HostComputeNetwork"] == id_.upper():
                    self._delete("Endpoint", endpoint_id)
            del self.state.networks[id_]
            if last:
                self.on_switch(f"switch of network {document.get('Name')!r} goes")
        elif kind == "Endpoint":
            namespace = self.state.namespaces.get(str(document.get("HostComputeNamespace", "")).lower())
            if namespace is not None and namespace.get("Implicit"):
                del self.state.namespaces[str(document["HostComputeNamespace"]).lower()]
            elif namespace is not None:
                namespace["Resources"] = [r for r in namespace["Resources"] if r["Data"]["ID"] != id_.upper()]
            del self.state.endpoints[id_]
        elif kind == "Namespace":
            for endpoint in self.state.endpoints.values():
                if endpoint.get("HostComputeNamespace") == id_.upper():
                    del endpoint["HostComputeNamespace"]
            del self.state.namespaces[id_]
        else:
            del self.state.load_balancers[id_]
        self._save()

    # ---- the older interface

    def _hns_call(self, method: str, path: str, body: str) -> str:
        parts = [part for part in path.split("/") if part]
        if method == "GET" and parts == ["globals", "version"]:
            major, minor = self.state.version
            return json.dumps({"Success": True, "Output": {"Major": major, "Minor": minor}})
        if len(parts) > 1 and parts[0] == "endpoints" and (method, *parts[2:]) in (("GET",), ("POST", "attach")):
            id_ = parts[1].lower()
            return self._hns_endpoint(id_) if method == "GET" else self._hns_attach(id_, _parsed(body))
        if method == "POST" and len(parts) == 2 and parts[0] == "networks":
            network = self.state.networks.get(parts[1].lower())
            if network is None:
                return json.dumps({"Success": False, "Error": "The network was not found. "})
            try:
                for extension in _parsed(body).get("Extensions", []):
                    self._switch_extension(network, extension)
            except Refused as refused:
                return refused.record()
            self._save()
            return json.dumps({"Success": True, "Output": {"ID": network["ID"]}})
        return json.dumps({"Success": False, "Error": f"the emulation knows no {method} {path}"})

    def _hns_endpoint(self, id_: str) -> str:
        endpoint = self.state.endpoints.get(id_)
        if endpoint is None:
            return json.dumps({"Success": False, "Error": "The endpoint was not found. "})
        shared = endpoint.get("SharedContainers", [])
        state = ATTACHED if shared or endpoint.get("HostComputeNamespace") or endpoint.get(OF_HOST) else CREATED
        output = {"ID": endpoint["ID"], "Name": endpoint.get("Name"), "State": state, "SharedContainers": shared}
        return json.dumps({"Success": True, "Output": output})

    def _hns_attach(self, id_: str, request: Document) -> str:
        """An endpoint becomes an adapter of the machine itself."""
        endpoint = self.state.endpoints.get(id_)
        if endpoint is None:
            return json.dumps({"Success": False, "Error": "The endpoint was not found. "})
        if request != {"SystemType": "Host", "CompartmentId": 1}:
            return json.dumps({"Success": False, "Error": "the emulation attaches endpoints to the host only"})
        endpoint[OF_HOST] = True
        self._save()
        return json.dumps({"Success": True, "Output": {}})


def _function(name: str) -> tuple[str, str]:
    """Verb and kind in `HcnQueryNetworkProperties` or `HcnEnumerateEndpoints`."""
    for verb in ("Enumerate", "Create", "Open", "Modify", "Query", "Delete", "Close"):
        if name.startswith(f"Hcn{verb}"):
            kind = name[3 + len(verb) :].removesuffix("Properties")
            return verb, kind.removesuffix("s") if verb == "Enumerate" else kind
    raise Refused(NOT_IMPLEMENTED)


def _parsed(text: str) -> Document:
    try:
        parsed = json.loads(text)
    except ValueError:
        raise Refused(INVALID_JSON) from None
    if not isinstance(parsed, dict):
        raise Refused(INVALID_JSON)
    return parsed


def _shown(kind: str, document: Document) -> Document:
    shown = copy.deepcopy(document)
    if kind == "Network" and shown.get("Type") == "NAT":
        del shown["Type"]
    for key in ("SharedContainers", OF_HOST):  # the older interface's
        shown.pop(key, None)
    return shown


def _subnets(document: Document) -> Iterator[Document]:
    for ipam in document.get("Ipams") or []:
        yield from ipam.get("Subnets") or []


def _gateway(routes: Any) -> str:
    for route in routes or []:
        if route.get("DestinationPrefix") in ("0.0.0.0/0", "::/0"):
            return str(route.get("NextHop", ""))
    return ""


def _isolation(subnet: Document) -> int:
    for policy in subnet.get("Policies") or []:
        if policy.get("Type") == "VSID":
            return int(policy["Settings"]["IsolationId"])
    return 0


def _setting(document: Document, type_: str, key: str) -> str | None:
    for policy in document.get("Policies") or []:
        if policy.get("Type") == type_:
            return str(policy["Settings"].get(key))
    return None


def _frontends(document: Document) -> Iterator[tuple[str, int, int]]:
    for vip in document.get("FrontendVIPs") or [""]:
        for port in document.get("PortMappings") or []:
            yield vip, port.get("Protocol", 0), port.get("ExternalPort", 0)


def _change_policy(policies: list[Document], verb: str, policy: Document) -> None:
    same = [p for p in policies if p["Type"] == policy["Type"] and (p.get("Settings") or {}) == policy["Settings"]]
    if verb == "Add":
        prefix = policy["Settings"].get("DestinationPrefix")
        routes = [p for p in policies if p["Type"] == "RemoteSubnetRoute"]
        if policy["Type"] == "RemoteSubnetRoute" and any(p["Settings"]["DestinationPrefix"] == prefix for p in routes):
            raise Refused(POLICY_ALREADY_EXISTS)
        policies.append(policy)
    elif verb == "Remove":
        if not same:
            raise Refused(POLICY_NOT_FOUND)
        policies.remove(same[0])
    elif verb == "Update":
        policies[:] = [p for p in policies if p["Type"] != policy["Type"]]
        policies.append(policy)
    else:
        raise Refused(REQUEST_UNSUPPORTED)
