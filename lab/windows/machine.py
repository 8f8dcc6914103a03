# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A modelled Windows machine from power on to power off: `python -m lab.windows.machine`, in its network namespace.

It ends with the status RESTART when the machine wants to start again; whoever runs it then gives it fresh network
interfaces and starts it anew, as a power supply.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import credentials
from .bootstrap import Runner
from .computer import Computer
from .hcn_dataplane import Dataplane, Follower
from .hcn_emulator import Emulator
from .hcn_model import Model, State
from .kubelet.runtime import Runtime
from .openvswitch import OpenVSwitch
from .programs import Programs
from .winrm.server import Listener
from .winrm.shells import Shells
from .work import services

LOG = logging.getLogger(__name__)

RESTART = 133
"""As systemd-nspawn says it."""
SWITCH_SECONDS = 5.0
"""How long connections stay broken when a virtual switch takes an adapter or gives it back."""


@dataclass(frozen=True)
class Options:
    """Where a machine's things are, and how it is reached."""

    name: str
    folder: Path
    """Its own: Wine prefix, memory, HNS."""
    base: Path
    credentials: Path
    management: str
    """Address of the adapter Management, where WinRM listens."""
    underlay: str
    """Address of the adapter Ethernet, which HNS may take."""
    port: int = 5986
    images: Path = Path("/nonexistent")
    """Folder with the program `netcheck`, for containers."""
    openvswitch: Path = Path("/nonexistent")
    """Folder with Open vSwitch and OVN for this host (`power.openvswitch`)."""
    namespace: str = ""
    """Name of the network namespace that it is in; without it, networks and endpoints carry no packets."""
    compartments: str = ""
    """What the names of the namespaces begin with that network compartments are."""
    mtu: int = 1500
    """Of the adapter Ethernet."""


class Machine:
    """All that runs for one machine between two starts of it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.computer = Computer(options.folder, options.base, options.name)
        self.broken_until = 0.0
        self._follower: Follower | None = None
        self.restarting = False
        self._end = threading.Event()
        self.computer.restart = self.go_down

    def go_down(self) -> None:
        """Restart: nothing answers any more from now on."""
        self.restarting = True
        self._end.set()

    def stop(self) -> None:
        """Power off."""
        self._end.set()

    def connected(self) -> bool:
        """Whether the network lets anybody through."""
        return time.monotonic() >= self.broken_until and not self._end.is_set()

    def _switched(self, what: str) -> None:
        LOG.info("%s: connections break", what)
        self.broken_until = time.monotonic() + SWITCH_SECONDS

    def run(self) -> bool:
        """Boot, serve until it goes down; whether it wants to start again."""
        options, computer = self.options, self.computer
        ready = options.folder / "ready"
        ready.unlink(missing_ok=True)
        certificate, key = credentials.ensure(options.credentials, options.name, [options.management, options.underlay])
        os.environ["NTLM_USER_FILE"] = str(options.credentials / "accounts")
        with Emulator(self._hns()) as emulator:
            dataplane = self._carry_packets(emulator)
            runtime = Runtime(computer, emulator, dataplane, options.images)
            switch = OpenVSwitch(computer.drive, options.openvswitch, self._switch_started)
            programs = Programs(services(computer, emulator, runtime, switch))
            with (
                programs,
                Listener((options.management, options.port), self._shells(), certificate, key, self.connected) as winrm,
            ):
                (computer.wine.system32 / "hcn-emulator.txt").write_text(emulator.place)
                (computer.wine.system32 / "standin-programs.txt").write_text(programs.place)
                served: list[Emulator | Programs | Listener] = [emulator, programs]
                try:
                    for server in served:
                        _serve(server)
                    computer.boot()
                    served.append(winrm)
                    _serve(winrm)
                    ready.write_text(f"{computer.memory.boot}\n")
                    LOG.info("%s is up", options.name)
                    self._end.wait()
                finally:
                    ready.unlink(missing_ok=True)
                    runtime.stop()
                    computer.stop()
                    switch.stop()
                    if self._follower is not None:
                        self._follower.stop()
                    for server in reversed(served):
                        server.shutdown()
        return self.restarting

    def _switch_started(self) -> None:
        if self._follower is not None:
            self._follower.switch_started()

    def _hns(self) -> Model:
        file = self.options.folder / "hns.json"
        adapters = {"Ethernet": self.options.underlay, "Management": self.options.management}
        model = Model(file, State(adapters=adapters))
        model.on_switch = self._switched
        # Whatever ended the machine, HNS starts with what is persistent.
        model.reboot()
        return model

    def _carry_packets(self, emulator: Emulator) -> Dataplane | None:
        options, model = self.options, emulator.model
        if not options.namespace:
            return None
        dataplane = Dataplane(
            lambda: model.state,
            options.namespace,
            options.underlay,
            prefix=options.compartments,
            mtu=options.mtu,
            lock=emulator.lock,
        )
        self._follower = Follower(dataplane)
        model.on_change = self._follower.look
        self._follower.start()
        self._follower.look()
        return dataplane

    def _shells(self) -> Shells:
        return Shells(Runner(self.computer))


def _serve(server: Emulator | Programs | Listener) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True)
    thread.start()
    return thread


def main() -> int:
    """Run one machine from its start to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("name", "management", "underlay"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("folder", "base", "credentials", "images"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--openvswitch", type=Path, default=Options.openvswitch)
    for name in ("port", "mtu"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Options, name))
    for name in ("namespace", "compartments"):
        parser.add_argument(f"--{name}", default="")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    machine = Machine(Options(**vars(parser.parse_args())))
    signal.signal(signal.SIGTERM, lambda *_: machine.stop())
    signal.signal(signal.SIGINT, lambda *_: machine.stop())
    return RESTART if machine.run() else 0


if __name__ == "__main__":
    raise SystemExit(main())
