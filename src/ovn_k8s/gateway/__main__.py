# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The command ovn-k8s-gateway-helper."""

from __future__ import annotations

import argparse
import logging
import re
import signal
import sys
import threading
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from ovn_k8s.core.errors import PlanError
from ovn_k8s.core.gateway_explain import (
    ORIGINS,
    PORT_PROTOCOLS,
    PROTOCOLS,
    Packet,
    explain,
    explanation_lines,
)
from ovn_k8s.core.gateway_flows import SharedBridge, gateway_flows
from ovn_k8s.core.openflow import flow_text
from ovn_k8s.daemon import log
from ovn_k8s.daemon.http import StatusServer
from ovn_k8s.daemon.notify import notify, watchdog_interval
from ovn_k8s.netlink.links import LinkError, netlink
from ovn_k8s.openflow.channel import Channel, ChannelError
from ovn_k8s.ovsdb.errors import OvsdbError

from .clearing import clear
from .config import DEFAULT_PATH, Config, ConfigError, load
from .facts import NotReady, read_facts
from .helper import Helper
from .host_side import HostSideError

LOG = logging.getLogger("ovn_k8s.gateway")

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_EXPLAIN = """\
examples:
  ovn-k8s-gateway-helper explain --from wire tcp 203.0.113.9:51000 192.0.2.2:30080
  ovn-k8s-gateway-helper explain --from pods icmp 192.0.2.2 198.51.100.1
  ovn-k8s-gateway-helper explain --from wire icmp 203.0.113.9 192.0.2.2 --icmp-type 3
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 0: done, or ended as asked; 1: could not; 2: wrong arguments or configuration."""
    options = _parser().parse_args(arguments)
    try:
        config = load(options.config)
    except ConfigError as error:
        print(f"ovn-k8s-gateway-helper: {error}", file=sys.stderr)
        return 2
    if options.command == "run":
        return _run(config, options.log_level)
    if options.command == "clear":
        return _clear(config)
    try:
        return _explain(config, options) if options.command == "explain" else _flows(config)
    except (ChannelError, LinkError, NotReady, _BadPacket) as error:
        print(f"ovn-k8s-gateway-helper {options.command}: {error}", file=sys.stderr)
        return 1


class _BadPacket(Exception):
    """A packet that cannot be; the message says why."""


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help="default: %(default)s")
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-gateway-helper", description="Keep a gateway's own traffic and its pods' apart on one NIC."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("run", parents=[common], help="keep the flows of the bridge until SIGTERM")
    command.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    commands.add_parser("clear", parents=[common], help="take away what run has made, once it has ended")
    commands.add_parser("flows", parents=[common], help="print the flows that the bridge shall have, with reasons")
    command = commands.add_parser(
        "explain",
        parents=[common],
        help="say which side takes a packet, and why",
        epilog=_EXPLAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--from", dest="origin", choices=ORIGINS, default="wire", help="default: %(default)s")
    command.add_argument("--icmp-type", type=int, default=8, metavar="N", help="default: 8, an echo request")
    command.add_argument("--to-mac", metavar="MAC", help="the frame's destination; default: as it would be")
    command.add_argument("protocol", choices=sorted(PROTOCOLS))
    command.add_argument("source", nargs="?", help="ADDRESS[:PORT]")
    command.add_argument("destination", nargs="?", help="ADDRESS[:PORT]")
    return parser


def _run(config: Config, level: str) -> int:
    log.set_up(level)
    helper = Helper(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: helper.stop())
    try:
        server = StatusServer(
            config.http_address,
            config.http_port,
            health=helper.health,
            ready=helper.ready,
            metrics=helper.measures.exposition,
        )
    except OSError as error:
        LOG.error("cannot listen on %s port %d: %s", config.http_address, config.http_port, error.strerror or error)
        return 2
    server.start()
    LOG.info("started, status on port %d", server.port)
    # The node must not wait for Open vSwitch: started means that the helper watches.
    notify("READY=1\nSTATUS=waiting for the bridge")
    interval = watchdog_interval()
    if interval:
        threading.Thread(target=_watchdog, args=(helper, interval), name="watchdog", daemon=True).start()
    helper.run(lambda: notify("STATUS=the flows stand"))
    notify("STOPPING=1")
    LOG.info("stopping; the flows stay")
    server.stop()
    return 0


def _clear(config: Config) -> int:
    try:
        with netlink() as handle:
            changes = clear(config, handle)
    except (HostSideError, LinkError, OvsdbError, PlanError) as error:
        print(f"ovn-k8s-gateway-helper clear: {error}", file=sys.stderr)
        return 1
    for change in changes:
        print(f"changed: {change}")
    return 0


def _watchdog(helper: Helper, interval: float) -> None:
    pause = threading.Event()
    while not pause.wait(interval):
        if not helper.health():
            notify("WATCHDOG=1")


def _bridge(config: Config) -> SharedBridge:
    with Channel(config.management_socket) as channel, netlink() as handle:
        return read_facts(config, handle, channel.ports(), None).bridge


def _flows(config: Config) -> int:
    for flow in gateway_flows(_bridge(config)):
        print(f"# {flow.name}: {flow.why}\n{flow_text(flow)}")
    return 0


def _explain(config: Config, options: argparse.Namespace) -> int:
    packet = _packet(options)
    for line in explanation_lines(packet, explain(_bridge(config), packet)):
        print(line)
    return 0


def _packet(options: argparse.Namespace) -> Packet:
    if options.protocol == "ipv6":
        return Packet(options.origin, "ipv6")
    if options.source is None or options.destination is None:
        raise _BadPacket(f"{options.protocol} needs a source and a destination")
    if options.to_mac and not _MAC.fullmatch(options.to_mac.lower()):
        raise _BadPacket(f"{options.to_mac!r} is no MAC address such as 02:00:00:00:00:01")
    ports = PROTOCOLS[options.protocol] in PORT_PROTOCOLS
    source, source_port = _socket(options.source, ports)
    destination, destination_port = _socket(options.destination, ports)
    mac = options.to_mac.lower() if options.to_mac else None
    return Packet(
        options.origin, options.protocol, source, destination, source_port, destination_port, options.icmp_type, mac
    )


def _socket(text: str, with_port: bool) -> tuple[IPv4Address, int]:
    address, _, port = text.partition(":")
    try:
        number = int(port) if port or with_port else 0
        if not 0 <= number <= 65535:
            raise ValueError
        return IPv4Address(address), number
    except (AddressValueError, ValueError):
        wanted = "ADDRESS:PORT, as 192.0.2.2:30080" if with_port else "an IPv4 address"
        raise _BadPacket(f"{text!r} is not {wanted}") from None


if __name__ == "__main__":
    sys.exit(main())
