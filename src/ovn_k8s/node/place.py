# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The node's place in the network, as the southbound database tells it.

A machine that was only prepared knows its name but not its subnet. When its kubelet has registered it, the watcher
gives it one and puts it on the node's own port `k8s-<node>`; northd carries that to the port's binding, which is read
here.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from ovn_k8s.core.addresses import AddressError, parse_network
from ovn_k8s.core.topology import NODE_SUBNET_KEY
from ovn_k8s.host import state, subnet_record
from ovn_k8s.host.apply import apply
from ovn_k8s.host.config import NodeConfig, Southbound
from ovn_k8s.ovsdb.monitor import Monitor, RowChange
from ovn_k8s.ovsdb.remote import Tls, parse_remotes
from ovn_k8s.ovsdb.replica import Replica

LOG = logging.getLogger("ovn-k8s-node")


class Place:
    """Follows the binding of the node's own port. `moved` is called, in another thread, when its subnet is not `known`.

    A binding that goes changes nothing: the databases may have been made anew, and the machine keeps what it has.
    """

    def __init__(self, config: NodeConfig, southbound: Southbound, moved: Callable[[], None]) -> None:
        tls = None
        if southbound.private_key:
            tls = Tls(southbound.private_key, southbound.certificate, southbound.ca_certificate)
        self._config = config
        self._moved = moved
        self._subnet: IPv4Network | None = None
        self._replica = Replica(
            parse_remotes(southbound.remote),
            "OVN_Southbound",
            {
                "Port_Binding": Monitor(
                    ("logical_port", "external_ids"), (["logical_port", "==", config.management_port],)
                )
            },
            tls=tls,
            on_change=self._on_change,
        )

    @property
    def new_subnet(self) -> IPv4Network | None:
        """The subnet that the node has now, when it is another one than the machine knows."""
        return self._subnet if self._subnet != self._config.node_subnet else None

    def start(self) -> None:
        """Connect in the background."""
        self._replica.start()

    def stop(self) -> None:
        """End the connection."""
        self._replica.stop()

    def _on_change(self, changes: Sequence[RowChange]) -> None:
        for change in changes:
            text = (change.new or {}).get("external_ids", {}).get(NODE_SUBNET_KEY)
            if not text:
                continue
            try:
                subnet: IPv4Network = parse_network(text)
            except AddressError as error:
                LOG.error("the subnet of %s: %s", self._config.management_port, error)
                continue
            if not subnet.subnet_of(self._config.cluster_cidr):
                LOG.error("subnet %s is not in cluster_cidr %s; is left aside", subnet, self._config.cluster_cidr)
                continue
            self._subnet = subnet
        if self.new_subnet is not None:
            self._moved()


def take(
    config: NodeConfig,
    subnet: IPv4Network,
    *,
    state_path: Path = state.DEFAULT_PATH,
    record: Path = subnet_record.DEFAULT_RECORD,
) -> NodeConfig:
    """Have the machine take its place; it is remembered when that is done.

    Raises: as `host.apply.apply`.
    """
    there = dataclasses.replace(config, node_subnet=subnet)
    for change in apply(there, state_path=state_path):
        LOG.info("%s", change)
    subnet_record.write(record, subnet)
    return there
