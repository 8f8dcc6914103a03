# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A namespace whose pods leave by one gateway and with one address: watcher, two gateways on a real OVN, packets."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
import service_rig
from control_plane import Objects
from small_ovn import eventually, run
from test_several_gateways import BOTH, DIES, INTERNET, LIVES, Site, connections

from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

SPACE = "fixed"
GATEWAY, ADDRESS = "ovn.ovn-k8s.io/egress-gateway", "ovn.ovn-k8s.io/egress-ip"
FREE = "192.0.2.200"


class Namespace:
    """The namespace with one pod on the node `worker`, in a network namespace of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.netns = f"{site.ovn.prefix}-fixed"
        self.objects = Objects(site.plane.api, SPACE)

    def start(self) -> None:
        self.objects.make_namespace()
        self.objects.pod("pod", "worker")
        eventually(self._address, "the pod has a port", seconds=30)
        self.site.stack.callback(run, "ip", "netns", "delete", self.netns, check=False)
        service_rig._interface(self.site.chassis["worker"], self.netns, "pod4", f"{SPACE}_pod", self._address())
        eventually(lambda: self.sources() == BOTH, "it leaves by both gateways", seconds=60)

    def _address(self) -> str:
        with contextlib.suppress(AssertionError, IndexError):
            return self.site.ovn.nbctl("lsp-get-addresses", f"{SPACE}_pod").split()[1]
        return ""

    def annotate(self, **annotations: str | None) -> None:
        """Set both annotations; what is not given goes."""
        wanted = {GATEWAY: annotations.get("gateway"), ADDRESS: annotations.get("address")}
        self.objects.api.merge_patch(f"/api/v1/namespaces/{SPACE}", {"metadata": {"annotations": wanted}})

    def sources(self, count: int = 16) -> set[str]:
        """The sources that the internet sees of many new connections; an empty one for those that failed."""
        return {source for _, source in connections(self.netns, count)}

    def pings(self, address: str) -> bool:
        with contextlib.suppress(AssertionError):
            run("nsenter", f"--net=/run/netns/{self.netns}", "ping", "-c1", "-W2", address)
            return True
        return False

    def leaves(self, *wanted: str) -> None:
        """New connections have these sources, and no others."""
        eventually(lambda: self.sources() == set(wanted), f"it is seen as {wanted}", seconds=60)


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    if reason := service_rig.missing():
        pytest.skip(reason)
    site = Site()
    try:
        site.start()
        site.settle()
        made = Namespace(site)
        made.start()
        yield made
        assert not site.ovn.died()
    finally:
        site.stack.close()


@pytest.mark.parametrize(
    ("gateway", "address", "seen", "through"),
    [
        ("gwb", None, "192.0.2.13", "gwb"),
        ("gwa", None, "192.0.2.12", "gwa"),
        (None, "192.0.2.13", "192.0.2.13", "gwb"),
        (None, FREE, FREE, ""),
        ("gwb", FREE, FREE, "gwb"),
    ],
)
def test_it_leaves_by_one_gateway(
    namespace: Namespace, gateway: str | None, address: str | None, seen: str, through: str
) -> None:
    """Without `through`: by the gateway that has such addresses now."""
    site = namespace.site
    namespace.annotate(gateway=gateway, address=address)
    run("ip", "-n", site.internet, "neighbour", "flush", "dev", "wan")
    namespace.leaves(seen)
    eventually(lambda: site.neighbour(seen) == (through or site.holder()), "by that gateway", seconds=60)
    assert site.sources() == BOTH, "other pods leave as before"


def test_what_is_inside_is_reached_as_ever(namespace: Namespace) -> None:
    """Another pod, and the port of a node that is not the gateway."""
    inside = ("10.244.12.3", namespace.site.chassis["gwa"].subnet.replace("0/24", "2"))
    namespace.annotate()
    namespace.leaves(*BOTH)
    assert [address for address in inside if not namespace.pings(address)] == []
    namespace.annotate(gateway="gwb")
    namespace.leaves("192.0.2.13")
    assert [address for address in inside if not namespace.pings(address)] == []


def test_without_such_a_gateway_it_does_not_leave(namespace: Namespace) -> None:
    namespace.annotate(gateway="gwz")
    eventually(lambda: namespace.sources(2) == {""}, "nothing leaves", seconds=60)
    assert "there is no gateway 'gwz'" in namespace.site.watcher.log.read_text()
    namespace.annotate(address="203.0.113.9")
    eventually(lambda: "203.0.113.9 is in no gateway's network" in namespace.site.watcher.log.read_text(), "is said")
    assert namespace.sources(4) == {""}


def test_a_dead_gateway_is_not_replaced_by_another_address(namespace: Namespace) -> None:
    site = namespace.site
    namespace.annotate(gateway="gwb")
    namespace.leaves(DIES)
    site.kill("gwb")
    try:
        eventually(lambda: site.sources() == {LIVES}, "other pods leave by the gateway that lives", seconds=60)
        assert namespace.sources(4) == {""}
    finally:
        site.settle()
    namespace.leaves(DIES)


def test_an_address_of_no_gateway_moves_to_the_one_that_lives_and_stays(namespace: Namespace) -> None:
    site = namespace.site
    namespace.annotate(address=FREE)
    namespace.leaves(FREE)
    seconds = site.moves(FREE, namespace.netns, INTERNET)
    print(json.dumps({"name": "gateway_egress_address_gap_s", "value": seconds, "unit": "s"}))
    namespace.leaves(FREE)


def test_nothing_is_left(namespace: Namespace) -> None:
    namespace.annotate(address=FREE)
    namespace.leaves(FREE)
    assert egress_rows(namespace.site)
    namespace.annotate()
    namespace.leaves(*BOTH)
    assert not egress_rows(namespace.site)


def egress_rows(site: Site) -> set[str]:
    with Client(parse_remotes(f"unix:{site.ovn.northbound}"), "OVN_Northbound") as client:
        database = client.snapshot(["Address_Set", "Logical_Router_Policy", "NAT"])
    tables = ("Address_Set", "Logical_Router_Policy", "NAT")
    return {row.owner for table in tables for row in database.rows(table) if row.owner.startswith("egress/")}
