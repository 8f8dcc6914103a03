# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The address from which kube-proxy asks a service's pods on other nodes: an endpoint of the overlay for the machine.

kube-proxy's setting `winkernel.sourceVip` names it; it is the second address of the node's subnet, as a Linux node's.
"""

from __future__ import annotations

import json
import logging
import uuid

from ovn_k8s.core.addresses import node_address
from ovn_k8s.core.hns import hcn
from ovn_k8s.core.hns.errors import InvalidObject
from ovn_k8s.core.hns.objects import Address, Endpoint, Policy
from ovn_k8s.core.hns.plan import Inventory

from .config import NETWORK, NodeConfig
from .host_network import Hcn
from .kinds import Kind

LOG = logging.getLogger(__name__)

NAME = "ovn-k8s-source-vip"
HOST_COMPARTMENT = 1
ATTACHED = (2, 3)
"""HNS's states Attached and AttachedSharing."""


def ensure(library: Hcn, config: NodeConfig, actual: Inventory) -> None:
    """Make the endpoint and give it to the machine, when that has not been done. Raises HnsError."""
    network = next((one for one in actual.networks if one.name == NETWORK), None)
    if network is None:
        return
    address = str(node_address(config.node_subnet))
    stored = next((one for one in actual.endpoints if one.name == NAME and one.network == network.id), None)
    if stored is None:
        policies = (Policy.of("ProviderAddress", {"ProviderAddress": str(config.node_address)}),)
        wanted = Endpoint(
            NAME,
            addresses=(Address(address, config.node_subnet.prefixlen),),
            policies=policies,
            id=str(uuid.uuid4()),
        )
        library.create(Kind.ENDPOINT, hcn.write_endpoint(wanted, network.id), network.id)
        LOG.info("kube-proxy's source address %s is an endpoint now", address)
        id_ = wanted.id
    else:
        id_ = stored.id
    shown = library.hns_call("GET", f"/endpoints/{id_}")
    if not isinstance(shown, dict):
        raise InvalidObject(f"HNS tells of endpoint {NAME}: {shown!r}")
    if shown.get("State") not in ATTACHED:
        request = {"SystemType": "Host", "CompartmentId": HOST_COMPARTMENT}
        library.hns_call("POST", f"/endpoints/{id_}/attach", json.dumps(request))
        LOG.info("kube-proxy's source address %s is the machine's", address)
