# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""``python3 -m lab COMMAND``: what the Makefile's lab targets run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from . import binaries, control, golang, lifecycle, supervisor
from .cache import Cache
from .machines import MACHINES, machine
from .progress import say
from .settings import TREE, LabError, Settings
from .windows import power


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="have the lab running")
    commands.add_parser("down", help="leave nothing of it")
    commands.add_parser("binaries", help="have the Kubernetes, etcd and containerd programs, and print their folder")
    commands.add_parser("status", help="say which machines run")
    for name, text in (
        ("reboot", "reboot a machine and wait until it is back"),
        ("power-off", "take the power from a machine"),
        ("power-on", "switch a machine on"),
        ("supervise", "(used by the lab) run a machine"),
        ("ssh", "run a command on a machine, or a shell"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("node", choices=[m.name for m in MACHINES])
        if name == "ssh":
            command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    datapath = commands.add_parser("datapath", help="say what windows_datapath of the inventory is, or set it")
    datapath.add_argument("name", nargs="?", choices=[*power.DATAPATHS, "other"])
    inside = commands.add_parser("exec", help="run a command in the control namespace, or a shell")
    inside.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    compiler = commands.add_parser("go", help="run the Go compiler on the program of the pod images")
    compiler.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args(arguments)
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"  # which plain su leaves out
    try:
        settings = Settings.from_environment()
        return _run(settings, options)
    except LabError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; make lab-up goes on, make lab-down cleans up")
        return 130


def _run(settings: Settings, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            lifecycle.up(settings)
        case "down":
            lifecycle.down(settings)
        case "binaries":
            print(binaries.ensure(settings, Cache(settings.cache)))
        case "reboot" | "power-off" | "power-on":
            work = {"reboot": lifecycle.reboot, "power-off": lifecycle.power_off, "power-on": lifecycle.power_on}
            work[options.command](settings, machine(options.node))
        case "supervise":
            return supervisor.supervise(settings, machine(options.node))
        case "ssh":
            node = machine(options.node)
            reach = power.console if node.windows else control.ssh
            control.replace(settings, reach(settings, node, *options.words))
        case "datapath":
            print(lifecycle.windows_datapath(settings, options.name))
        case "exec":
            words = options.words[1:] if options.words[:1] == ["--"] else options.words
            control.replace(settings, words or [os.environ.get("SHELL", "/bin/bash")])
        case "go":
            go = golang.ensure(settings, Cache(settings.cache))
            return subprocess.call([go, *options.words], cwd=TREE / "images/netcheck", env=golang.environment())
        case "status":
            machines = lifecycle.machines(settings)
            on = [supervisor.running(settings, m) for m in machines]
            for node, running in zip(machines, on, strict=True):
                print(f"{node.name:8} {node.login:12} {'on' if running else 'off'}")
            return 0 if all(on) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
