# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The command ovn-k8s-watcher."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence

from ovn_k8s.core.errors import PlanError
from ovn_k8s.daemon import log
from ovn_k8s.daemon.http import StatusServer
from ovn_k8s.daemon.notify import notify, watchdog_interval
from ovn_k8s.kubernetes.errors import KubernetesError
from ovn_k8s.ovsdb.errors import OvsdbError

from . import config, inquiry
from .explain import explain_pod
from .watcher import Watcher

LOG = logging.getLogger("ovn_k8s.watcher")

POLL_S = 0.2
ONCE_TIMEOUT_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM. Exit status 0: ended as asked; 1: could not do it; 2: wrong arguments or configuration."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command:
        return _explain(parser, options)
    once = options.once or options.check
    log.set_up(options.log_level, both=not once)
    try:
        settings = config.load(options.config)
        watcher = Watcher(settings)
    except (config.ConfigError, KubernetesError) as error:
        LOG.error("%s", error)
        return 2
    if options.check:
        return _check(watcher, options.timeout)
    if once:
        return _once(watcher, options.timeout)
    try:
        server = StatusServer(
            settings.http_address,
            settings.http_port,
            health=watcher.health,
            ready=watcher.ready,
            metrics=watcher.exposition,
            role=watcher.role,
        )
    except OSError as error:
        LOG.error(
            "cannot listen on %s port %d: %s; is another watcher running?",
            settings.http_address,
            settings.http_port,
            error.strerror or error,
        )
        return 2
    return _run(watcher, server)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-watcher", description="Keep OVN's northbound database equal to what the Kubernetes API says."
    )
    parser.add_argument("command", nargs="?", choices=["explain"], help="say where an object stands, and end")
    parser.add_argument("object", nargs="?", default="", metavar="pod/NAMESPACE/NAME", help="of explain")
    parser.add_argument("--config", default=config.DEFAULT_PATH, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--once", action="store_true", help="bring the database up to date, then end")
    parser.add_argument("--check", action="store_true", help="print what --once would write, and write nothing")
    parser.add_argument(
        "--timeout", type=float, default=ONCE_TIMEOUT_S, metavar="S", help="of --once, in seconds; default: %(default)s"
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser


def _run(watcher: Watcher, server: StatusServer) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server.start()
    watcher.start()
    LOG.info("started, status on port %d", server.port)
    interval = watchdog_interval()
    told = False
    role = ""
    sick = False
    due = time.monotonic()
    while not stop.wait(POLL_S):
        if not told and not watcher.ready():
            told = True
            notify("READY=1")
            LOG.info("ready")
        if told and watcher.role() != role:
            role = watcher.role()
            notify(f"STATUS={'in step with the Kubernetes API' if role == 'ok' else role}")
        if interval and time.monotonic() >= due:
            due = time.monotonic() + interval
            wrong = watcher.health()
            if not wrong:
                notify("WATCHDOG=1")
            elif not sick:
                LOG.error("%s", "; ".join(wrong))
            sick = bool(wrong)
    notify("STOPPING=1")
    LOG.info("stopping")
    watcher.stop()
    server.stop()
    return 0


def _explain(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Exit status 0: nothing is wrong with the object; 1: something is, or nothing is known; 2: wrong arguments."""
    log.set_up("ERROR", both=False)
    try:
        namespace, name = inquiry.parse_object(options.object)
    except ValueError as error:
        parser.error(f"explain: {error}")
    try:
        story = explain_pod(inquiry.gather(config.load(options.config), namespace, name))
    except config.ConfigError as error:
        LOG.error("%s", error)
        return 2
    except (KubernetesError, OvsdbError, PlanError) as error:
        LOG.error("%s", error)
        return 1
    sys.stdout.write("\n".join(story.lines) + "\n")
    return 1 if story.faults else 0


def _check(watcher: Watcher, timeout: float) -> int:
    """Print the plan as JSON lines, one per change, and a count for people on stderr."""
    try:
        planned = watcher.propose(timeout)
    except (TimeoutError, PlanError) as error:
        LOG.error("%s", error)
        return 1
    finally:
        watcher.stop()
    diff = planned.diff()
    for title in sorted({*diff["before"], *diff["after"]}):
        change = {"row": title, "before": diff["before"].get(title), "after": diff["after"].get(title)}
        sys.stdout.write(json.dumps(change) + "\n")
    sys.stderr.write(f"{len(planned.changes)} changes; nothing was written\n")
    return 0


def _once(watcher: Watcher, timeout: float) -> int:
    watcher.start()
    done = watcher.writer.resynced.wait(timeout)
    waiting = dict(watcher.writer.waiting)
    missing = watcher.ready() or [watcher.role()]
    watcher.stop()
    for key, reason in waiting.items():
        LOG.error("%s: %s", key, reason)
    if not done:
        LOG.error("not done within %.0f s: %s", timeout, "; ".join(missing))
    return 0 if done and not waiting else 1


if __name__ == "__main__":
    sys.exit(main())
