# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""nics-to-bridge and bridge-to-nics, and what a person says about the move afterwards."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ovn_k8s.host.config import DEFAULT_OVS_REMOTE

from . import session
from .errors import UplinkError
from .move import Wish, machine
from .record import DIRECTORY, KEPT, RETURNING, load, load_all

Options = argparse.Namespace


class Changes(list[str]):
    """Changes in words, and more for `--json`."""

    more: dict[str, Any]

    def __init__(self, words: list[str], **more: Any) -> None:
        super().__init__(words)
        self.more = more


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's sub-commands."""
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--json", action="store_true", help='print {"changed": bool, "changes": [text], …}')
    place.add_argument("--verbose", action="store_true", help="log each step")
    place.add_argument("--ovs-remote", default=DEFAULT_OVS_REMOTE, help="default: %(default)s")
    place.add_argument("--records", type=Path, default=DIRECTORY, metavar="FOLDER", help="default: %(default)s")
    moving = argparse.ArgumentParser(add_help=False, parents=[place])
    moving.add_argument("--check", action="store_true", help="say what would change, change nothing")
    moving.add_argument(
        "--confirm-within",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="undo the move unless `ovn-k8s-overlay uplink confirm NIC` is said from a new login in this time; "
        "0 keeps it (default: %(default)g)",
    )
    moving.add_argument("--foreground", action="store_true", help="move it by this process and wait; for consoles")

    command = commands.add_parser(
        "nics-to-bridge", parents=[moving], help="move a NIC with all that it has onto a bridge of Open vSwitch"
    )
    command.add_argument("nic", metavar="NIC")
    command.add_argument("--bridge", default="", metavar="NAME", help="default: br<NIC>")
    command.add_argument("--datapath-type", default="", choices=["", "system", "netdev"], help="default: as br-int")
    command.add_argument("--no-default-route", action="store_true", help="the NIC need not be the way out")
    command.set_defaults(run=_to_bridge)

    command = commands.add_parser("bridge-to-nics", parents=[moving], help="give NICs back what they had")
    command.add_argument("nic", nargs="?", default="", metavar="NIC", help="default: the only one that was moved")
    command.set_defaults(run=_to_nics)

    command = commands.add_parser("uplink", parents=[place], help="confirm a move, or ask what has become of it")
    command.add_argument("what", choices=["confirm", "status", "start", "run", "undo", "at-boot"])
    command.add_argument("nic", nargs="?", default="", metavar="NIC")
    command.set_defaults(run=_uplink, check=False)


def _to_bridge(options: Options) -> Changes:
    wish = Wish(
        options.nic, options.bridge, options.datapath_type, options.confirm_within, not options.no_default_route
    )
    here = machine(options.ovs_remote, options.records)
    record, words = here.plan(wish)
    if options.check or not words:
        return Changes(words, bridge=record.bridge, manager=record.manager, pending=False)
    if record.state == KEPT:
        here.repair(record)
        return Changes(words, bridge=record.bridge, manager=record.manager, pending=False)
    session.begin(record, options.records, foreground=here if options.foreground else None)
    return Changes(words, bridge=record.bridge, manager=record.manager, pending=not options.foreground)


def _to_nics(options: Options) -> Changes:
    records = load_all(options.records)
    chosen = [record for record in records if options.nic in ("", record.nic, record.bridge)]
    if not chosen:
        return Changes([], pending=False)
    if len(chosen) > 1:
        raise UplinkError(f"several NICs were moved, name one: {', '.join(record.nic for record in chosen)}")
    record = chosen[0]
    words = [f"Bridge {record.bridge}: removed", f"{record.nic}: has again what it had"]
    words += [f"{path}: {'put back' if was else 'removed'}" for path, was in record.before.items()]
    if not options.check:
        if record.state != KEPT:
            raise UplinkError(f"{record.nic} is being moved right now; wait {record.seconds:g} s")
        here = machine(options.ovs_remote, options.records) if options.foreground else None
        session.begin(record.moved(RETURNING, seconds=options.confirm_within), options.records, foreground=here)
    pending = not options.check and not options.foreground
    return Changes(words, nic=record.nic, bridge=record.bridge, manager=record.manager, pending=pending)


def _uplink(options: Options) -> Changes:
    if options.what == "confirm":
        session.confirm(_named(options), options.records)
        return Changes([f"{_named(options)}: kept"])
    if options.what == "status":
        record = load(_named(options), options.records)
        state = session.status(_named(options), options.records)
        where = {"bridge": record.bridge, "manager": record.manager} if record else {"bridge": "", "manager": ""}
        return Changes([], phase=state["phase"], error=state["error"], **where)
    here = machine(options.ovs_remote, options.records)
    if options.what == "run":
        session.run(_named(options), here)
    elif options.what == "undo":
        session.undo(_named(options), here)
    elif options.what == "at-boot":
        here.at_boot()
        session.settle_units(options.records, reload=False)
    else:
        here.at_start()
    return Changes([])


def _named(options: Options) -> str:
    if options.nic:
        return str(options.nic)
    records = load_all(options.records)
    if len(records) != 1:
        raise UplinkError("name the NIC")
    return records[0].nic
