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
from pathlib import Path

from ovn_k8s.cni.shim import SOCKET
from ovn_k8s.host.config import DEFAULT_PATH, ConfigError, load

from .attacher import BINDING_SECONDS, INSTALL_SECONDS, Attacher
from .bindings import Bindings
from .pod_ports import PodPorts
from .server import Server

LOG = logging.getLogger("ovn-k8s-node")


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ovn-k8s-node", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
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
        config = load(options.config)
        if config.southbound is None:
            raise ConfigError(f"{options.config}: the section [southbound] is missing")
        bindings = Bindings(config, config.southbound)
    except (ConfigError, ValueError) as error:
        LOG.error("%s", error)
        return 2

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
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    bindings.start()
    ports.start()
    with Server(options.socket, attacher.handle) as server:
        thread = threading.Thread(target=server.serve_forever, name="cni", daemon=True)
        thread.start()
        LOG.info("listening on %s for pods of %s (%s)", options.socket, config.node_name, config.node_subnet)
        _notify_systemd("READY=1")
        stop.wait()
        _notify_systemd("STOPPING=1")
        server.shutdown()
    ports.stop()
    bindings.stop()
    return 0


def _notify_systemd(state: str) -> None:
    """Tell the service manager, where there is one (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + path[1:] if path.startswith("@") else path)
            notify.send(state.encode())


if __name__ == "__main__":
    sys.exit(main())
