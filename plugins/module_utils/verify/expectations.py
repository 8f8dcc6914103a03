# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the probes of a pod or a node should see, and whether they did.

A probe is a command of the program netcheck (see the README of the role `verify`) and runs in a pod; a node asks with
`dialogue.ask`, which speaks the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .results import FAILED, OK, SKIPPED, Result

ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
FULL_MESH = 8
"""Up to so many nodes every pair of nodes is checked; above, each node and the next ones in the list."""
NEIGHBOURS = 4
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class Pod:
    """A pod that the verification has started. number: 0 is the one that asks the other nodes.

    overlay: of the hybrid overlay; it has no logical port, and its way out and its address there are its machine's own.
    """

    name: str
    node: str
    address: str
    number: int
    windows: bool = False
    overlay: bool = False

    @property
    def label(self) -> str:
        return f"{self.node} pod {self.number + 1}"


@dataclass(frozen=True)
class Node:
    """A Linux node. mtu: of its pods, None when the node did not say."""

    name: str
    address: str
    mtu: int | None = None


@dataclass(frozen=True)
class Probe:
    """Commands of netcheck that make one line of the report.

    kind: dialogue | mtu | api | external. hostname: who should answer; client: the address that the other side should
    see, or several that are right.
    """

    check: str
    source: str
    target: str
    kind: str
    commands: tuple[tuple[str, ...], ...]
    hostname: str = ""
    clients: tuple[str, ...] = ()
    mtu: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What the pods' probes have to know."""

    pods: Sequence[Pod]
    nodes: Sequence[Node]
    pod_port: int
    node_port: int
    node_servers: frozenset[str] = frozenset()
    service_address: str = ""
    external_address: str = ""
    external_port: int = 8080
    external_sources: tuple[str, ...] = ()
    attempts: int = 4


def partners(nodes: Sequence[str]) -> dict[str, list[str]]:
    """Which other nodes each node's first pod talks to."""
    if len(nodes) <= FULL_MESH:
        return {node: [other for other in nodes if other != node] for node in nodes}
    around = list(nodes) * 2
    return {node: around[place + 1 : place + 1 + NEIGHBOURS] for place, node in enumerate(nodes)}


def dialogue(address: str, port: int, attempts: int) -> tuple[tuple[str, ...], ...]:
    """The two commands that talk to a server over TCP and UDP."""
    tries = ("--attempts", str(attempts), "--timeout", "1s")
    return tuple(("check", protocol, address, str(port), *tries) for protocol in ("tcp", "udp"))


def pod_probes(here: Surroundings) -> dict[str, list[Probe]]:
    """Pod name -> its probes."""
    found: dict[str, list[Probe]] = {pod.name: [] for pod in here.pods}
    first = {pod.node: pod for pod in here.pods if pod.number == 0}
    mtus = {node.name: node.mtu for node in here.nodes}
    for pod in here.pods:
        for other in here.pods:
            if other.node == pod.node and other != pod and pod.number == 0:
                found[pod.name].append(_between_pods(here, pod, other, "pod to pod, same node"))
    for name, others in partners(sorted(first)).items():
        for neighbour in others:
            pod, peer = first[name], first[neighbour]
            found[pod.name].append(_between_pods(here, pod, peer, "pod to pod, across nodes"))
            known = [mtu for mtu in (mtus.get(name), mtus.get(neighbour)) if mtu]
            found[pod.name].append(_mtu(here, pod, peer, min(known, default=None)))
    for pod in first.values():
        if pod.overlay:
            found[pod.name].append(_to_service(here, pod))
            continue
        found[pod.name] += [_to_node(here, pod, node) for node in here.nodes if node.name in here.node_servers]
        found[pod.name] += [_to_service(here, pod), *_outward(here, pod)]
    return found


def _between_pods(here: Surroundings, pod: Pod, other: Pod, check: str) -> Probe:
    windows = next((one.node for one in (pod, other) if one.overlay), "")
    if windows:
        hint = (
            f"on {windows}: C:\\ProgramData\\ovn-k8s\\log\\ovn-k8s.log, Get-HnsNetwork, Get-HnsEndpoint; does the "
            "underlay carry UDP port 4789? on the Linux node: ovs-ofctl dump-flows br-ext"
        )
    elif pod.node == other.node:
        hint = f"on {pod.node}: ovs-vsctl show; journalctl -u ovn-k8s-node -u ovn-controller"
    else:
        hint = (
            f"does the underlay carry UDP port 6081 between {pod.node} and {other.node}? on both: ovs-vsctl show; "
            "journalctl -u ovn-controller"
        )
    if not windows and (pod.windows or other.windows):
        hint += r"; on Windows: C:\ProgramData\ovn-k8s\log\ovn-k8s.log, and the service ovn-controller"
    return Probe(
        check,
        pod.label,
        other.label,
        "dialogue",
        dialogue(other.address, here.pod_port, here.attempts),
        hostname=other.name,
        clients=(pod.address,),
        hint=hint,
    )


def _mtu(here: Surroundings, pod: Pod, other: Pod, expected: int | None) -> Probe:
    return Probe(
        "largest packet",
        pod.label,
        other.label,
        "mtu",
        (("mtu", other.address, str(here.pod_port)),),
        mtu=expected,
        hint=f"the underlay must carry packets of {(expected or 0) + 100} bytes between {pod.node} and {other.node}: "
        "look at the MTU of its interfaces and switches, and at ovn_k8s_mtu",
    )


def _to_node(here: Surroundings, pod: Pod, node: Node) -> Probe:
    return Probe(
        "pod to node",
        pod.label,
        node.name,
        "dialogue",
        dialogue(node.address, here.node_port, here.attempts),
        hostname=node.name,
        clients=(pod.address,),
        hint=f"on the master: ovn-nbctl lr-route-list, it needs {node.address} by way of {node.name}'s own port; "
        f"on {node.name}: ip route, and its firewall (port {here.node_port})",
    )


def _to_service(here: Surroundings, pod: Pod) -> Probe:
    url = f"https://{here.service_address}:443/version"
    hint = "on the master: ovn-nbctl lb-list; journalctl -u ovn-k8s-watcher; kubectl get endpointslices"
    if pod.overlay:
        hint = (
            f"on {pod.node}: C:\\ProgramData\\Kubernetes\\log\\kube-proxy.log, Get-HnsPolicyList; on the master: "
            "kubectl get endpointslices"
        )
    return Probe(
        "pod to API server",
        pod.label,
        f"kubernetes service {here.service_address}",
        "api",
        (("http", "--ca", f"{TOKEN_FOLDER}/ca.crt", "--token", f"{TOKEN_FOLDER}/token", url),),
        hint=hint,
    )


def _outward(here: Surroundings, pod: Pod) -> list[Probe]:
    probes = []
    if here.external_address:
        address = f"http://{here.external_address}:{here.external_port}/"
        probes.append(
            Probe(
                "pod to the outside",
                pod.label,
                f"{here.external_address}:{here.external_port}",
                "external",
                (("http", address),),
                clients=here.external_sources,
                hint="on the master: ovn-nbctl show (router GR_<gateway> and its nat); on the gateway: ovs-vsctl show; "
                "can the gateway itself reach the address?",
            )
        )
    return probes


def skipped(here: Surroundings) -> list[Result]:
    """What cannot be checked with these settings, so that the report says so."""
    reason = "not checked for pods of the hybrid overlay: their way out is the machine's own"
    results = [
        Result("pod to the outside", pod.label, "internet", SKIPPED, reason)
        for pod in here.pods
        if pod.overlay and pod.number == 0
    ]
    if here.external_address:
        return results
    return [
        *results,
        Result(
            "pod to the outside",
            "pods",
            "internet",
            SKIPPED,
            "verify_external_address is not set: an address whose HTTP server says from where it is asked",
        ),
    ]


def judge(probe: Probe, answers: Sequence[Mapping[str, Any] | None]) -> Result:
    """The line of the report for a probe, from the results of its commands (None: it did not answer at all)."""
    if any(answer is None for answer in answers) or len(answers) != len(probe.commands):
        return _result(probe, FAILED, "the probe did not run")
    whole = [answer for answer in answers if answer is not None]
    judges = {"dialogue": _judge_dialogue, "mtu": _judge_mtu, "api": _judge_api, "external": _judge_external}
    return judges[probe.kind](probe, whole)


def _result(probe: Probe, status: str, detail: str, milliseconds: float | None = None) -> Result:
    hint = probe.hint if status == FAILED else ""
    return Result(probe.check, probe.source, probe.target, status, detail, hint, milliseconds)


def _judge_dialogue(probe: Probe, answers: Sequence[Mapping[str, Any]]) -> Result:
    wrong, seen = [], []
    slowest = 0.0
    client = ""
    for answer in answers:
        protocol = answer.get("protocol", "?")
        said = answer.get("answer") or {}
        client = said.get("client_ip", "")
        if not answer.get("ok"):
            wrong.append(f"{protocol}: {answer.get('error') or 'no answer'}")
        elif probe.hostname and said.get("hostname") != probe.hostname:
            wrong.append(f"{protocol}: {said.get('hostname')} answered instead of {probe.hostname}")
        elif probe.clients and client not in probe.clients:
            wrong.append(f"{protocol}: came from {client}, expected {' or '.join(probe.clients)}")
        else:
            tries = answer.get("attempts", 1)
            seen.append(protocol if tries == 1 else f"{protocol} ({tries} tries)")
            slowest = max(slowest, float(answer.get("milliseconds", 0)))
    if wrong:
        return _result(probe, FAILED, "; ".join(wrong))
    return _result(probe, OK, f"{' and '.join(seen)}, from {client}", slowest)


def _judge_mtu(probe: Probe, answers: Sequence[Mapping[str, Any]]) -> Result:
    answer = answers[0]
    if not answer.get("ok"):
        return _result(probe, FAILED, str(answer.get("error") or "no answer"))
    packet = int(answer["packet"])
    if probe.mtu is None:
        return _result(probe, OK, f"{packet} bytes (the node does not say what to expect)")
    if packet != probe.mtu:
        return _result(probe, FAILED, f"{packet} bytes, expected {probe.mtu}")
    return _result(probe, OK, f"{packet} bytes")


def _judge_api(probe: Probe, answers: Sequence[Mapping[str, Any]]) -> Result:
    answer = answers[0]
    if not answer.get("ok"):
        status = answer.get("status")
        return _result(probe, FAILED, str(answer.get("error") or f"HTTP status {status}"))
    try:
        version = json.loads(answer.get("body", "")).get("gitVersion", "?")
    except (ValueError, AttributeError):
        return _result(probe, FAILED, "what answered is not the API server")
    return _result(probe, OK, f"Kubernetes {version}")


def source_seen(body: str) -> str:
    """The caller's address in an answer: a JSON field client_ip, ip or origin, else the first IPv4 address."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict):
        for key in ("client_ip", "ip", "origin"):
            if isinstance(content.get(key), str):
                return str(content[key])
    match = ADDRESS.search(body)
    return match.group() if match else ""


def _judge_external(probe: Probe, answers: Sequence[Mapping[str, Any]]) -> Result:
    answer = answers[0]
    if not answer.get("ok"):
        status = answer.get("status")
        return _result(probe, FAILED, str(answer.get("error") or f"HTTP status {status}"))
    source = source_seen(str(answer.get("body", "")))
    if not source:
        return _result(probe, OK, "answered, but did not say from where it was asked")
    if probe.clients and source not in probe.clients:
        return _result(probe, FAILED, f"sees {source}, expected {' or '.join(probe.clients)}")
    return _result(probe, OK, f"sees {source}")
