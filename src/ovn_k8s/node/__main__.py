# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""ovn-k8s-node: answers the CNI executable on each Linux node."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from ipaddress import IPv4Network
from pathlib import Path

from ovn_k8s.cni.shim import SOCKET
from ovn_k8s.core.errors import PlanError
from ovn_k8s.core.hybrid_overlay import port_name
from ovn_k8s.host import state, subnet_record
from ovn_k8s.host.config import DEFAULT_PATH, ConfigError, NodeConfig, Southbound, load
from ovn_k8s.host.errors import HostError
from ovn_k8s.netlink.links import LinkError
from ovn_k8s.ovsdb.errors import OvsdbError

from .attacher import BINDING_SECONDS, INSTALL_SECONDS, Attacher
from .bindings import Bindings
from .hybrid_overlay import HybridOverlay
from .local_endpoints import LocalEndpoints
from .place import Place, take
from .pod_ports import PodPorts
from .server import Server

LOG = logging.getLogger("ovn-k8s-node")


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ovn-k8s-node", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument(
        "--record", type=Path, default=subnet_record.DEFAULT_RECORD, help="the node's subnet; default: %(default)s"
    )
    parser.add_argument(
        "--state", type=Path, default=state.DEFAULT_PATH, help="that of ovn-k8s-overlay; default: %(default)s"
    )
    parser.add_argument("--socket", type=Path, default=Path(SOCKET), help="default: %(default)s")
    parser.add_argument(
        "--binding-timeout", type=float, default=BINDING_SECONDS, help="seconds that ADD waits for a logical port"
    )
    parser.add_argument(
        "--install-timeout", type=float, default=INSTALL_SECONDS, help="seconds that ADD waits for ovn-controller"
    )
    parser.add_argument("--verbose", action="store_true", help="log debugging messages")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    options = _arguments(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        config = load(options.config, options.record)
        if config.southbound is None:
            raise ConfigError(f"{options.config}: the section [southbound] is missing")
        stop = threading.Event()
        place = None if config.subnet_fixed else Place(config, config.southbound, stop.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if place:
            place.start()
        if config.node_subnet:
            _serve(config, config.southbound, options, stop)
        else:
            _wait_for_a_place(config, stop)
    except (ConfigError, ValueError) as error:
        LOG.error("%s", error)
        return 2
    _notify_systemd("STOPPING=1")
    if place:
        place.stop()
    return _move(config, place.new_subnet, options) if place and place.new_subnet else 0


def _wait_for_a_place(config: NodeConfig, stop: threading.Event) -> None:
    """Kubelet starts after this program and has to register the node first: without it there is no subnet."""
    LOG.info("%s has no place in the network yet; waiting until it is a node of the cluster", config.node_name)
    _notify_systemd("READY=1")
    stop.wait()


def _move(config: NodeConfig, subnet: IPv4Network, options: argparse.Namespace) -> int:
    """Take another place and end: the next process, which systemd starts, begins with it."""
    LOG.info("%s has subnet %s from now on, before: %s", config.node_name, subnet, config.node_subnet or "none")
    try:
        take(config, subnet, state_path=options.state, record=options.record)
    except (HostError, LinkError, OvsdbError, PlanError) as error:
        LOG.error("%s", error)
        return 1
    return 0


def _serve(config: NodeConfig, southbound: Southbound, options: argparse.Namespace, stop: threading.Event) -> None:
    bindings = Bindings(config, southbound)
    overlay = HybridOverlay(config, lambda: bindings.external_ids(port_name(config.node_name)))
    bindings.listener = overlay.look

    def clean() -> None:
        try:
            attacher.remove_stale()
        except Exception:
            LOG.exception("leftovers of earlier sandboxes could not be removed")

    ports = PodPorts(config.ovs_remote, lambda: threading.Thread(target=clean, name="stale", daemon=True).start())
    attacher = Attacher(
        config,
        bindings,
        ports,
        binding_seconds=options.binding_timeout,
        install_seconds=options.install_timeout,
    )
    bindings.start()
    ports.start()
    overlay.start()
    if config.node_ip:
        try:
            LocalEndpoints(config.node_ip).start()
        except OSError as error:
            LOG.warning("health checks of services are not answered here: %s", error)
    with Server(options.socket, attacher.handle) as server:
        thread = threading.Thread(target=server.serve_forever, name="cni", daemon=True)
        thread.start()
        LOG.info("listening on %s for pods of %s (%s)", options.socket, config.node_name, config.subnet)
        _notify_systemd("READY=1")
        stop.wait()
        server.shutdown()
    overlay.stop()
    ports.stop()
    bindings.stop()


def _notify_systemd(state: str) -> None:
    """Tell the service manager, where there is one (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + path[1:] if path.startswith("@") else path)
            notify.send(state.encode())


if __name__ == "__main__":
    sys.exit(main())
