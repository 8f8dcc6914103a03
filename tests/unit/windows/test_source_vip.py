# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The machine's own address in the overlay, for kube-proxy (evidence: unit)."""

from __future__ import annotations

import json

from model_hcn import ModelHcn
from test_pod_network import CONFIG

from ovn_k8s.windows import source_vip
from ovn_k8s.windows.agent import Agent
from ovn_k8s.windows.hcn_errors import HcnCallError


def test_the_second_address_is_the_machines() -> None:
    library = ModelHcn()
    agent = Agent(library, CONFIG)
    agent.round()
    (endpoint,) = library.model.state.endpoints.values()
    assert endpoint["Name"] == source_vip.NAME
    assert endpoint["IpConfigurations"] == [{"IpAddress": "10.244.5.2", "PrefixLength": 24}]
    assert library.hns_call("GET", f"/endpoints/{endpoint['ID']}")["State"] == 2
    calls = len(library.model.calls)
    agent.round()
    later = library.model.calls[calls:]
    assert "HcnCreateEndpoint" not in later
    assert later.count("HNSCall") == 1


def test_it_comes_back_when_it_is_lost_and_is_attached_when_that_failed() -> None:
    library = ModelHcn()
    agent = Agent(library, CONFIG)
    agent.round()
    (id_,) = library.model.state.endpoints
    library.model.state.endpoints[id_]["OfHost"] = False
    agent.round()
    assert library.hns_call("GET", f"/endpoints/{id_}")["State"] == 2
    code, _, _, record = library.model.call("HcnDeleteEndpoint", id_, 0, "")
    assert code == 0, HcnCallError("", "", code, record)
    agent.round()
    (other,) = library.model.state.endpoints
    assert other != id_
    assert json.dumps(library.model.state.endpoints[other])
