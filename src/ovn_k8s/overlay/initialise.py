# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""master-init, minion-init and gateway-init: the logical network and the node, for people without Ansible.

Each has a northbound part (run on a master, which alone reaches that database) and a host part (run on the node itself;
it writes node.toml, which `apply` then follows at each boot).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ovn_k8s.core.addresses import parse_address, parse_interface, parse_network
from ovn_k8s.core.database import Database
from ovn_k8s.core.layout import TABLES, Request, WantedGateway, WantedNode, lay_out
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.topology import CLUSTER_ROUTER_KEY, gateway_owner
from ovn_k8s.host.apply import apply
from ovn_k8s.host.bridges import (
    ANNOUNCING_OWNER,
    announcing_rows,
    external_ids_row,
    patch_rows,
    with_announcing,
)
from ovn_k8s.host.bridges import TABLES as TABLES_OF_BRIDGES
from ovn_k8s.host.config import DEFAULT_OVS_REMOTE, parse
from ovn_k8s.host.errors import HostError
from ovn_k8s.host.words import in_words
from ovn_k8s.netlink.links import netlink
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import Tls, parse_remotes

from . import node_file

DEFAULT_NB_REMOTE = "unix:/run/ovn/ovnnb_db.sock"
PKI = "/etc/ovn-k8s/pki"
TLS_PATHS = {
    "private_key": f"{PKI}/ovn.key",
    "certificate": f"{PKI}/ovn.crt",
    "ca_certificate": f"{PKI}/ca.crt",
}

Options = argparse.Namespace


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the three commands to a parser's sub-commands."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--cluster-ip-subnet", required=True, metavar="CIDR", help="network of all pods")
    shared.add_argument("--node-name", required=True, help="name in Kubernetes and of the chassis")
    shared.add_argument("--join-ip-subnet", default="100.64.0.0/16", metavar="CIDR", help="default: %(default)s")
    shared.add_argument("--nb-remote", default=DEFAULT_NB_REMOTE, help="default: %(default)s")
    shared.add_argument("--nb-privkey", default=TLS_PATHS["private_key"], help="default: %(default)s")
    shared.add_argument("--nb-cert", default=TLS_PATHS["certificate"], help="default: %(default)s")
    shared.add_argument("--nb-cacert", default=TLS_PATHS["ca_certificate"], help="default: %(default)s")
    part = shared.add_mutually_exclusive_group()
    part.add_argument("--nb-only", action="store_true", help="only the logical network (on a master)")
    part.add_argument("--host-only", action="store_true", help="only this machine")

    for name, option, text in (
        ("master-init", "--master-switch-subnet", "make the cluster's network, with this master's own part"),
        ("minion-init", "--minion-switch-subnet", "add a node"),
    ):
        node = commands.add_parser(name, parents=[common, shared], help=text)
        node.add_argument(option, dest="subnet", required=True, metavar="CIDR", help="network of this node's pods")
        node.add_argument("--node-ip", help="the node's own address (default: ovn-encap-ip of this machine)")
        node.add_argument("--service-ip-subnet", default="10.96.0.0/16", metavar="CIDR", help="default: %(default)s")
        node.add_argument("--mtu", type=int, help="of pods, in bytes (default: as before, else 1400)")
        node.set_defaults(run=_node_init, first=name == "master-init")

    gateway = commands.add_parser("gateway-init", parents=[common, shared], help="make a node a gateway")
    gateway.add_argument("--physical-ip", required=True, metavar="ADDRESS/PREFIX", help="the gateway's outside address")
    way = gateway.add_mutually_exclusive_group(required=True)
    way.add_argument("--physical-interface", metavar="NAME", help="NIC for the outside alone")
    way.add_argument("--bridge-interface", metavar="NAME", help="bridge with the NIC that the node itself uses too")
    gateway.add_argument("--physical-mac", help="MAC of NIC or bridge (default: as this machine has it)")
    gateway.add_argument("--default-gw", metavar="ADDRESS", help="router outside")
    gateway.add_argument(
        "--rampout-ip-subnets", default="", metavar="CIDR,…", help="networks of pods that leave by this gateway only"
    )
    gateway.add_argument("--chassis", help="system-id of the gateway's Open vSwitch (default: the node's name)")
    gateway.set_defaults(run=_gateway_init)

    gone = commands.add_parser("gateway-remove", parents=[common, shared], help="make a node a gateway no longer")
    gone.set_defaults(run=_gateway_remove)


def _node_init(options: Options) -> list[str]:
    document = node_file.read(options.config)
    local = {} if options.nb_only else _openvswitch_ids(document)
    changes: list[str] = []
    if not options.host_only:
        address = options.node_ip or local.get("ovn-encap-ip")
        if not address:
            raise HostError("the node's address is not known: give --node-ip")
        node = WantedNode(options.node_name, parse_address(address), parse_network(options.subnet))
        changes += _northbound(options, router=options.node_name if options.first else "", nodes=(node,))
    if not options.nb_only:
        settings = {
            "node_name": options.node_name,
            "cluster_cidr": options.cluster_ip_subnet,
            "service_cidr": options.service_ip_subnet,
            "join_cidr": options.join_ip_subnet,
            "node_subnet": options.subnet,
            "mtu": options.mtu or document.get("mtu", 1400),
            "datapath_type": local.get("ovn-bridge-datapath-type", document.get("datapath_type", "system")),
            **_southbound(document, local),
        }
        changes += _host(options, document, settings)
    return changes


def _gateway_init(options: Options) -> list[str]:
    document = node_file.read(options.config)
    if not options.nb_only and not document:
        raise HostError(f"there is no {options.config}: run minion-init on this machine first, or give --nb-only")
    changes: list[str] = []
    interface = options.bridge_interface or options.physical_interface
    if not options.host_only:
        gateway = WantedGateway(
            options.node_name,
            options.chassis or options.node_name,
            interface,
            parse_interface(options.physical_ip),
            parse_address(options.default_gw) if options.default_gw else None,
            (options.physical_mac or _mac(interface)).lower(),
            tuple(parse_network(part) for part in options.rampout_ip_subnets.split(",") if part),
        )
        changes += _northbound(options, gateways=(gateway,))
    if options.nb_only:
        return changes
    if options.bridge_interface:
        return changes + _shared(options, document, wanted=True)
    return changes + _host(options, document, {"gateway": {"interface": interface}})


def _gateway_remove(options: Options) -> list[str]:
    document = node_file.read(options.config)
    changes: list[str] = []
    if not options.host_only:
        changes += _northbound(options, absent_gateways=(options.node_name,))
    if not options.nb_only:
        changes += _shared(options, document, wanted=False)
        rest = {key: value for key, value in document.items() if key != "gateway"}
        if rest != document:
            if not options.check:
                node_file.write(options.config, rest)
            changes.append(f"{options.config}: written")
            changes += apply(parse(rest), check=options.check, state_path=options.state)
    return changes


def _shared(options: Options, document: Mapping[str, Any], *, wanted: bool) -> list[str]:
    """The patch ports between a shared bridge and br-int and what announces addresses, or neither."""

    def make_plan(actual: Database) -> Plan:
        rows = [external_ids_row(with_announcing(actual, wanted))]
        if wanted:
            rows += [*patch_rows(options.bridge_interface, options.node_name), *announcing_rows(actual)]
        return plan(rows, actual, owners=[gateway_owner(options.node_name), ANNOUNCING_OWNER])

    remote = document.get("openvswitch", {}).get("remote", DEFAULT_OVS_REMOTE)
    with Client(parse_remotes(remote), "Open_vSwitch") as ovs:
        made = ovs.converge(TABLES_OF_BRIDGES, make_plan, check=options.check)
    return list(in_words(made))


def _northbound(
    options: Options,
    *,
    router: str = "",
    nodes: tuple[WantedNode, ...] = (),
    gateways: tuple[WantedGateway, ...] = (),
    absent_gateways: tuple[str, ...] = (),
) -> list[str]:
    """Lay out the logical network; without `router` there must be a cluster already."""
    cluster = parse_network(options.cluster_ip_subnet)
    request = Request(
        router=router,
        cluster=cluster,
        node_prefix=nodes[0].subnet.prefixlen if nodes and nodes[0].subnet else 24,
        join=parse_network(options.join_ip_subnet),
        nodes=nodes,
        gateways=gateways,
        absent_gateways=absent_gateways,
    )

    def make_plan(actual: Database) -> Plan:
        if not router and not any(
            row.columns["external_ids"].get(CLUSTER_ROUTER_KEY) == "yes" for row in actual.rows("Logical_Router")
        ):
            raise HostError(f"{options.nb_remote} has no cluster router yet: run master-init first")
        return lay_out(request, actual).plan

    tls = Tls(options.nb_privkey, options.nb_cert, options.nb_cacert) if "ssl:" in options.nb_remote else None
    with Client(parse_remotes(options.nb_remote), "OVN_Northbound", tls=tls) as northbound:
        return list(in_words(northbound.converge(TABLES, make_plan, check=options.check)))


def _host(options: Options, document: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    wanted = node_file.merged(document, settings)
    config = parse(wanted)
    changes = []
    if wanted != document:
        if not options.check:
            node_file.write(options.config, wanted)
        changes.append(f"{options.config}: written")
    return changes + apply(config, check=options.check, state_path=options.state)


def _openvswitch_ids(document: Mapping[str, Any]) -> Mapping[str, str]:
    """external_ids of this machine's Open vSwitch."""
    remote = document.get("openvswitch", {}).get("remote", DEFAULT_OVS_REMOTE)
    with Client(parse_remotes(remote), "Open_vSwitch") as ovs:
        row = ovs.snapshot(["Open_vSwitch"]).find("Open_vSwitch", ".")
    ids: Mapping[str, str] = row.columns["external_ids"] if row else {}
    return ids


def _southbound(document: Mapping[str, Any], local: Mapping[str, str]) -> dict[str, Any]:
    """The section [southbound] as ovn-controller has it, unless it is written already."""
    remote = local.get("ovn-remote")
    if "southbound" in document or not remote:
        return {}
    return {"southbound": {"remote": remote, **(TLS_PATHS if "ssl:" in remote else {})}}


def _mac(interface: str) -> str:
    with netlink() as handle:
        link = handle.link(interface)
    if link is None:
        raise HostError(f"interface {interface} is not there; give --physical-mac when the gateway is another machine")
    return link.mac
