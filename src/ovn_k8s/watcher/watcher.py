# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The watcher put together: informers and a replica fill the queue, the writer empties it."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ovn_k8s.core.ipam import AddressBook, Lease
from ovn_k8s.core.nodes import ClusterNode, node_from_api
from ovn_k8s.core.plan import Plan
from ovn_k8s.core.pods import Pod, pod_from_api
from ovn_k8s.core.policies import Namespace, NetworkPolicy, namespace_from_api, policy_from_api
from ovn_k8s.core.services import EndpointSlice, Service, endpoint_slice_from_api, service_from_api
from ovn_k8s.daemon.metrics import Gauge, Metric, Sample, exposition
from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.informer import Informer
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.monitor import Monitor
from ovn_k8s.ovsdb.replica import Replica

from . import egress, events, exits, gateways, hybrid, node_ways, nodes, pods, policies, services
from .annotations import Annotator
from .config import Config
from .leadership import Leadership
from .node_annotations import NodeAnnotator
from .reachability import Reachability
from .workqueue import Key, WorkQueue
from .writer import Writer

LOG = logging.getLogger(__name__)

NORTHBOUND = "OVN_Northbound"
TABLES = {
    "Logical_Router": Monitor(
        ("name", "ports", "static_routes", "nat", "load_balancer", "policies", "options", "external_ids"),
    ),
    "Logical_Router_Policy": Monitor(("priority", "match", "action", "nexthops", "external_ids")),
    "Logical_Router_Port": Monitor(("name", "mac", "networks", "external_ids")),
    "Logical_Router_Static_Route": Monitor(
        ("ip_prefix", "nexthop", "output_port", "policy", "route_table", "external_ids"),
    ),
    "Logical_Switch": Monitor(
        ("name", "ports", "acls", "load_balancer", "load_balancer_group", "other_config", "external_ids"),
    ),
    "Logical_Switch_Port": Monitor(
        ("name", "type", "enabled", "addresses", "port_security", "options", "external_ids"),
    ),
    "Load_Balancer": Monitor(("name", "vips", "protocol", "options", "external_ids")),
    "Load_Balancer_Group": Monitor(("name", "load_balancer")),
    "Port_Group": Monitor(("name", "ports", "acls", "external_ids")),
    "ACL": Monitor(
        ("name", "direction", "priority", "match", "action", "log", "severity", "meter", "options", "external_ids"),
    ),
    "Meter": Monitor(("name", "unit", "fair", "bands", "external_ids")),
    "Meter_Band": Monitor(("action", "rate", "burst_size", "external_ids")),
    "Address_Set": Monitor(("name", "addresses", "external_ids")),
    "NAT": Monitor(("type", "logical_ip", "external_ip", "external_ids")),
}
STUCK_S = 60.0
"""After so long without a sign of life the writer counts as stuck; a transaction may take 10 s."""
SOUTHBOUND_WAIT_S = 2.0
"""So long --check waits for the southbound database, without which it cannot tell what gateways announce."""


class Watcher:
    """Everything that runs in the program. `start` returns at once; `ready` tells what is not there yet."""

    def __init__(self, config: Config, api: Api | None = None) -> None:
        """Raises ConfigurationError when the kubeconfig is unusable."""
        self._api = api or Api.from_kubeconfig(config.kubeconfig)
        self._stop = threading.Event()
        self.queue = WorkQueue()
        self.book = AddressBook()
        self.pods: Informer[Pod] = Informer(
            self._api, "/api/v1/pods", pod_from_api, self._pod_changed, index=egress.namespace_of
        )
        self.services: Informer[Service] = Informer(
            self._api, "/api/v1/services", service_from_api, self._service_changed
        )
        self.slices: Informer[EndpointSlice] = Informer(
            self._api,
            "/apis/discovery.k8s.io/v1/endpointslices",
            endpoint_slice_from_api,
            self._slice_changed,
            index=services.service_of,
        )
        self.namespaces: Informer[Namespace] = Informer(
            self._api, "/api/v1/namespaces", namespace_from_api, self._namespace_changed
        )
        self.policies: Informer[NetworkPolicy] = Informer(
            self._api, "/apis/networking.k8s.io/v1/networkpolicies", policy_from_api, self._policy_changed
        )
        self.nodes: Informer[ClusterNode] = Informer(self._api, "/api/v1/nodes", node_from_api, self._node_changed)
        self.replica = Replica(
            config.northbound,
            NORTHBOUND,
            TABLES,
            tls=config.tls,
            on_sync=self._database_synced,
            on_change=self._database_changed,
            writer=True,
        )
        self.southbound = self._follow_gateways(config)
        self.reachability = Reachability(self._gateways_to_ask, self._verdicts_changed)
        self.exits = exits.ExitHandler(self.reachability.verdict)
        self.leadership = Leadership(self._api, lambda: not self.missing())
        self.annotator = Annotator(
            self._api, self.pods, busy=lambda: len(self.queue) > 0, leads=lambda: self.leadership.term > 0
        )
        caches: dict[str, events.Cache] = {pods.KIND: self.pods, services.KIND: self.services}
        self.events = events.EventRecorder(self._api, caches, leads=lambda: self.leadership.term > 0)
        self.node_annotator = NodeAnnotator(self._api, self.nodes, leads=lambda: self.leadership.term > 0)
        self.hybrid = hybrid.HybridHandler(self.nodes, self.book, self.node_annotator.want)
        self.node_handler = nodes.NodeHandler(
            self.nodes,
            config.cluster_cidr,
            config.node_prefix,
            on_settled=lambda node, subnet: self.queue.add_all(self.hybrid.told(None, node)),
        )
        self.egress = egress.EgressHandler(
            self.namespaces, self.pods, self.book, (config.cluster_cidr, config.join_cidr)
        )
        self.writer = Writer(
            self.replica,
            self.queue,
            self.leadership,
            self.events,
            pods.PodHandler(self.pods, self.book, self._pod_wired, self.node_handler.is_foreign),
            [
                self.node_handler,
                self.hybrid,
                *self._gateway_handlers(config),
                self.exits,
                node_ways.NodeWayHandler(),
                self.egress,
                services.ServiceHandler(self.services, self.slices, self.queue.add_all),
            ],
            policies.Policies(self.pods, self.namespaces, self.policies, self.book, config.service_cidr),
        )
        self._starter = threading.Thread(target=self._begin, name="starter", daemon=True)
        self._metrics = self._all_metrics()

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """All caches of the API."""
        return self.nodes, self.pods, self.services, self.slices, self.namespaces, self.policies

    @property
    def _replicas(self) -> tuple[Replica, ...]:
        return (self.replica, self.southbound) if self.southbound else (self.replica,)

    def start(self) -> None:
        """Start every thread. Nothing is written before all lists and the replica are complete."""
        for informer in self.informers:
            informer.start()
        for replica in self._replicas:
            replica.start()
        self.leadership.start()
        self._starter.start()

    def stop(self) -> None:
        """Finish the transaction under way, write nothing more, then let another one lead, and end."""
        self._stop.set()
        self.reachability.stop()
        self.writer.stop()
        self.annotator.stop()
        self.node_annotator.stop()
        self.events.stop()
        self.leadership.stop(release=not self.writer.alive)
        for informer in self.informers:
            informer.stop()
        for replica in self._replicas:
            replica.stop()

    def propose(self, timeout: float) -> Plan:
        """What would be written, without writing. Instead of `start`; raises TimeoutError, PlanError."""
        for informer in self.informers:
            informer.start()
        for replica in self._replicas:
            replica.start()
        deadline = time.monotonic() + timeout
        while self.missing():
            if time.monotonic() > deadline:
                raise TimeoutError("; ".join(self.missing()))
            time.sleep(0.05)
        if self.southbound:
            self.southbound.wait_synced(SOUTHBOUND_WAIT_S)
        return self.writer.propose()

    def missing(self) -> list[str]:
        """What has to be complete before anything is written and is not yet."""
        missing = [f"{informer.kind} are not listed yet" for informer in self.informers if not informer.synced]
        if not self.replica.synced:
            missing.append("the northbound database is not connected")
        return missing

    def ready(self) -> list[str]:
        """Why the watcher does not do its work yet; empty when it does, or stands by while another one does."""
        missing = self.missing()
        if missing:
            return missing
        if self.leadership.term:
            return [] if self.writer.resynced.is_set() else ["not every object has been looked at yet"]
        return [self.leadership.trouble] if self.leadership.trouble else []

    def role(self) -> str:
        """What a ready watcher is, in words."""
        if self.leadership.term:
            return "ok"
        return f"standby: {self.leadership.leader or 'nobody'} leads"

    def health(self) -> list[str]:
        """What only a restart can cure; empty when there is nothing."""
        wrong = [f"the informer of {informer.kind} has ended" for informer in self.informers if not informer.alive]
        if not self.leadership.alive:
            wrong.append("the election of a leader has ended")
        if not self._starter.is_alive():
            silence = time.monotonic() - self.writer.beat
            if not self.writer.alive:
                wrong.append("the writer has ended")
            elif silence > STUCK_S:
                wrong.append(f"the writer has been stuck for {silence:.0f} s")
        return wrong

    def exposition(self) -> str:
        """The page /metrics."""
        return exposition(self._metrics)

    def _begin(self) -> None:
        """Let the writer begin once everything is complete: whoever diffs earlier deletes what he has not heard of."""
        while not self._stop.is_set() and self.missing():
            self._stop.wait(0.02)
        if self._stop.is_set():
            return
        # What is loaded now stays; the collector need not go through it again and again in the way of new pods.
        gc.collect()
        gc.freeze()
        self.writer.start()
        self.annotator.start()
        self.node_annotator.start()
        self.events.start()
        self.reachability.start()

    def _database_synced(self) -> None:
        if self.writer.alive:
            self.writer.resync()

    def _database_changed(self, changes: Iterable[object]) -> None:
        if self.writer.alive:
            self.writer.database_changed(changes)  # type: ignore[arg-type]

    def _follow_gateways(self, config: Config) -> Replica | None:
        """Nothing but gateways waits for the southbound database, so it counts neither as missing nor as lost."""
        if not config.southbound:
            return None
        return Replica(
            config.southbound,
            gateways.SOUTHBOUND,
            gateways.TABLES,
            tls=config.southbound_tls,
            on_change=lambda changes: self.queue.add_all(list(gateways.keys_of(changes)), urgent=True),
        )

    def _gateway_handlers(self, config: Config) -> list[gateways.GatewayHandler]:
        networks = gateways.Networks(config.cluster_cidr, config.join_cidr)
        return [gateways.GatewayHandler(self.southbound, networks, config.gateways)] if self.southbound else []

    def _gateways_to_ask(self) -> Mapping[str, str]:
        with self.replica.lock:
            try:
                return exits.probe_targets(self.replica.database)
            except ConnectionFailed:
                return {}

    def _verdicts_changed(self) -> None:
        """What one gateway no longer does another one takes over, so all are looked at."""
        self.queue.add_all(list(self.exits.everything()), urgent=True)

    def _node_changed(self, old: ClusterNode | None, new: ClusterNode | None) -> None:
        key = self.node_handler.told(old, new)
        if key is not None:
            self.queue.add(key)
        self.queue.add_all(self.hybrid.told(old, new))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        # Most events are of pods that have no node yet, or of kubelet's reports on pods that stay as they are.
        if pod is not None and ((new and new.needs_port) or (old and old.needs_port)):
            self.queue.add(Key(pods.KIND, *pod.key))
            self.queue.add_all(self.egress.told(pod.namespace))

    def _pod_wired(self, pod: Pod, lease: Lease) -> None:
        """The pod's way out is asked for with the pod; its address may have come to be known only now."""
        self.annotator.want(pod, lease)
        self.queue.add_all(self.egress.told(pod.namespace))

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        service = new or old
        if service is not None:
            self.queue.add(Key(services.KIND, *service.key))

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        namespace = new or old
        if namespace is not None:
            self.queue.add(Key(policies.NAMESPACE, namespace.name, namespace.name))
            self.queue.add_all(self.egress.namespace_told(old, new))

    def _policy_changed(self, old: NetworkPolicy | None, new: NetworkPolicy | None) -> None:
        policy = new or old
        if policy is not None:
            self.queue.add(Key(policies.POLICY, *policy.key))

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for name in {services.service_of(part) for part in (old, new) if part is not None}:
            if name is not None:
                self.queue.add(Key(services.KIND, *name))

    def _all_metrics(self) -> list[Metric]:
        figures = self.writer.figures

        def per_node(position: int) -> list[Sample]:
            return [({"node": row[0]}, float(row[position])) for row in self.book.figures()]

        return [
            figures.latency,
            figures.transactions,
            figures.changes,
            self.annotator.written,
            self.node_annotator.written,
            self.events.written,
            Gauge("ovn_k8s_watcher_queue_depth", "Objects that wait for the writer.", lambda: len(self.queue)),
            Gauge("ovn_k8s_watcher_retries", "Attempts that failed since the start.", lambda: self.queue.retries),
            Gauge(
                "ovn_k8s_watcher_waiting_objects",
                "Objects that cannot be wired now; the log says why.",
                lambda: len(self.writer.waiting),
            ),
            Gauge("ovn_k8s_watcher_annotations_pending", "Annotations to write.", lambda: len(self.annotator)),
            Gauge("ovn_k8s_watcher_addresses_allocated", "Pod addresses in use.", lambda: per_node(1)),
            Gauge("ovn_k8s_watcher_addresses_free", "Pod addresses that can be given.", lambda: per_node(2)),
            Gauge(
                "ovn_k8s_watcher_cached_objects",
                "Objects of the API in memory.",
                lambda: [({"kind": informer.kind}, float(len(informer))) for informer in self.informers],
            ),
            Gauge(
                "ovn_k8s_watcher_lists",
                "Complete lists read from the API since the start.",
                lambda: [({"kind": informer.kind}, float(informer.lists)) for informer in self.informers],
            ),
            Gauge(
                "ovn_k8s_watcher_leader",
                "1 on the one watcher that writes, 0 on those that stand by.",
                lambda: float(self.leadership.term > 0),
            ),
            Gauge(
                "ovn_k8s_watcher_gateway_reachable",
                "1 for a gateway that answers, 0 for one that does not; none where there is but one gateway.",
                lambda: [({"gateway": name}, float(up)) for name, up in self.reachability.verdicts().items()],
            ),
            Gauge("ovn_k8s_watcher_ready", "1 when all is in step.", lambda: float(not self.ready())),
        ]
