# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""ovn-k8s-overlay: a node's bridges, management port, addresses and routes; and the logical network by hand."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ovn_k8s.core.addresses import AddressError
from ovn_k8s.core.errors import PlanError
from ovn_k8s.host import state, subnet_record
from ovn_k8s.host.apply import apply, remove
from ovn_k8s.host.config import DEFAULT_PATH, ConfigError, load
from ovn_k8s.host.errors import HostError
from ovn_k8s.netlink.links import LinkError
from ovn_k8s.ovsdb.errors import OvsdbError
from ovn_k8s.uplink import commands as uplink
from ovn_k8s.uplink.errors import NotYet

from . import initialise

EXPECTED = (AddressError, ConfigError, HostError, LinkError, OvsdbError, PlanError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 1 when it failed, 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        changes = options.run(options)
    except EXPECTED as error:
        if options.json:
            print(json.dumps({"failed": True, "error": str(error), "again": isinstance(error, NotYet)}))
        print(f"ovn-k8s-overlay {options.command}: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"changed": bool(changes), "changes": changes, **getattr(changes, "more", {})}))
    else:
        verb = "would change" if options.check else "changed"
        print("\n".join(f"{verb}: {change}" for change in changes) or "nothing to do")
    return 0


def _remove(options: argparse.Namespace) -> list[str]:
    """A machine that never was configured, or is clean again, needs no removal; so a reset can always ask for it."""
    if not options.config.exists() and not options.state.exists():
        return []
    changes = remove(load(options.config, options.record), check=options.check, state_path=options.state)
    if options.record.exists():
        if not options.check:
            options.record.unlink()
        changes.append(f"{options.record}: removed")
    return changes


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=DEFAULT_PATH, help="default: %(default)s")
    common.add_argument("--state", type=Path, default=state.DEFAULT_PATH, help="default: %(default)s")
    common.add_argument(
        "--record", type=Path, default=subnet_record.DEFAULT_RECORD, help="the node's subnet; default: %(default)s"
    )
    common.add_argument("--check", action="store_true", help="say what would change, change nothing")
    common.add_argument("--json", action="store_true", help='print {"changed": bool, "changes": [text]}')
    common.add_argument("--verbose", action="store_true", help="log each step")
    parser = argparse.ArgumentParser(prog="ovn-k8s-overlay", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("apply", parents=[common], help="make this machine what the configuration says")
    command.set_defaults(run=lambda o: apply(load(o.config, o.record), check=o.check, state_path=o.state))
    command = commands.add_parser("remove", parents=[common], help="undo what apply has done")
    command.set_defaults(run=_remove)
    initialise.add_commands(commands, common)
    uplink.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
