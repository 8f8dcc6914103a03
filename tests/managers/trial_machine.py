# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Debian machine with every network manager on it, and an internet that leases it an address for two minutes.

The machine is made as the lab's are, and its root is one of the lab's with more packages. To be run in tests/isolated.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.machine import program_tree
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.program_archive import archive, program_files

from lab import cgroups, disk, keys, mounts, processes, root, supervisor
from lab.cache import Cache
from lab.machines import machine
from lab.settings import TREE, Settings

PACKAGES = ("openvswitch-switch", "python3-pyroute2", "dbus", "ifupdown", "isc-dhcp-client", "dhcpcd-base")
PACKAGES += ("network-manager", "netplan.io", "systemd-resolved")
MANAGERS = ("networking", "NetworkManager", "systemd-networkd", "systemd-resolved")
MACHINE = dataclasses.replace(machine("gw"), leased="")
NIC, BRIDGE, MAC, MTU = "ext0", "brext0", "02:00:00:00:02:20", 1460
ROUTER, FAR, NAME_SERVER, DOMAIN = "192.0.2.1", "198.51.100.1", "192.0.2.53", "trial.example"
RENEW_S, REBIND_S, LEASE_S = 20, 60, 120
_INSTALL = """
set -e
work=$1; shift
for folder in proc sys dev; do mount --rbind /$folder "$work/$folder"; done
cp /etc/resolv.conf "$work/etc/resolv.conf"
cp "$work/etc/apt/sources.list" "$work/../sources.list"
cat > "$work/etc/apt/sources.list"
printf '#!/bin/sh\\nexit 101\\n' > "$work/usr/sbin/policy-rc.d"; chmod 755 "$work/usr/sbin/policy-rc.d"
proxy=; eval "$(apt-config shell proxy Acquire::http::Proxy)"
apt() { chroot "$work" env DEBIAN_FRONTEND=noninteractive apt-get -q -o APT::Sandbox::User=root \\
    -o Acquire::http::Proxy="$proxy" "$@"; }
apt update
apt install --yes --no-install-recommends "$@"
apt clean
rm "$work/usr/sbin/policy-rc.d"
mv "$work/../sources.list" "$work/etc/apt/sources.list"
rm -f "$work/etc/resolv.conf"; : > "$work/etc/resolv.conf"
"""


def trial_root(settings: Settings) -> Path:
    """The root of the machine, from the cache or made."""
    cache = Cache(settings.cache)
    base = root.ensure(settings, cache)

    def make(folder: Path) -> None:
        processes.run(["cp", "-a", "--", f"{base}/.", folder])
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", _INSTALL, "sh", folder, *PACKAGES]
        processes.run(command, stdin="".join(f"{line}\n" for line in root.sources(settings)))

    what = "a root with every network manager"
    return cache.entry(f"managers-{settings.release}", what, [base.parent.name, *PACKAGES, _INSTALL], make)


class Internet:
    """Namespace with the router, which leases addresses and says so in a log, and a host further away."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "dhcp.log"
        _ip("netns add internet")
        for command in (
            "link set lo up",
            "link add lan address 02:00:c0:00:02:01 type bridge forward_delay 0",
            f"address add {ROUTER}/24 dev lan",
            f"address add {FAR}/32 dev lo",
            "link set lan up",
        ):
            _ip(f"-n internet {command}")
        options = {"3": ROUTER, "6": NAME_SERVER, "15": DOMAIN, "26": "1400", "58": RENEW_S, "59": REBIND_S}
        command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping", "--user=root"]
        command += ["--interface=lan", "--bind-dynamic", "--log-facility=-", "--log-dhcp", "--pid-file"]
        command += [f"--dhcp-range=192.0.2.100,192.0.2.199,{LEASE_S}", f"--dhcp-leasefile={folder / 'leases'}"]
        command += [f"--dhcp-option={number},{value}" for number, value in options.items()]
        with self.log.open("w") as stream:
            self._server = subprocess.Popen(_inside("internet", command), stdout=stream, stderr=stream)

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(10)
        _ip("netns delete internet")

    def plug(self) -> None:
        """The cable of the machine, in a new namespace."""
        subprocess.run(["ip", "netns", "delete", "trial"], check=False, capture_output=True)
        subprocess.run(["ip", "-n", "internet", "link", "delete", "trial"], check=False, capture_output=True)
        _ip("netns add trial")
        _ip("-n trial link set lo up")
        _ip(f"link add {NIC} address {MAC} mtu {MTU} netns trial type veth peer name trial mtu 9000 netns internet")
        _ip("-n internet link set trial master lan up")
        for namespace, interface in (("trial", NIC), ("internet", "trial")):
            _run(*_inside(namespace, ["ethtool", "-K", interface, "tx", "off"]))

    def reaches(self, address: str) -> bool:
        """Whether it can log in at an address: sshd answers."""
        script = f"import socket; print(socket.create_connection(('{address}', 22), 3).recv(4))"
        done = subprocess.run(
            _inside("internet", ["python3", "-c", script]), capture_output=True, text=True, check=False
        )
        return "SSH-" in done.stdout

    def said(self, kind: str) -> list[str]:
        """Lines of the server's log about a kind of message."""
        return [line for line in self.log.read_text().splitlines() if f"{kind}(" in line]

    def await_renewal(self, address: str) -> None:
        """The next time that the lease of an address is renewed; nobody has asked for another one."""
        before = len(self.said("DHCPACK"))
        eventually(lambda: len(self.said("DHCPACK")) > before, REBIND_S + 15, "the lease is renewed")
        assert f" {address} " in self.said("DHCPACK")[-1], self.said("DHCPACK")[-1]


class TrialMachine:
    """The machine. `files` are there before it boots for the first time; `masked` units do not run."""

    def __init__(self, folder: Path, release: str, internet: Internet) -> None:
        self.internet = internet
        (folder / "state").mkdir()
        given = Settings.from_environment()
        self.settings = dataclasses.replace(
            given, name=f"{given.name}-managers-{release}", state=folder / "state", release=release
        )
        self.folder = self.settings.node(MACHINE.name)
        keys.ensure(self.settings)
        disk.ensure(self.settings, MACHINE, trial_root(self.settings))
        self.root = self.folder / "root"
        files = program_files(TREE.parent)
        digest, packed = archive(files)
        program_tree.unpack(packed, digest, self.root / "opt/ovn-k8s")
        (self.root / "opt/ovn-k8s/current").symlink_to(digest)
        launcher = self.root / "usr/local/bin/ovn-k8s-overlay"
        launcher.write_text(
            "#!/usr/bin/python3 -I\nimport sys\nsys.path.insert(0, '/opt/ovn-k8s/current')\n"
            "from ovn_k8s.overlay.__main__ import main\nsys.exit(main())\n"
        )
        launcher.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def prepare(self, files: Mapping[str, str], uses: tuple[str, ...], without: tuple[str, ...] = ()) -> None:
        """Before the first boot: a manager's files, which managers run, and programs that are not installed."""
        for name, content in files.items():
            path = self.root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o600)
        for unit in MANAGERS:
            place = self.root / f"etc/systemd/system/{unit}.service"
            if unit not in uses:
                place.unlink(missing_ok=True)
                place.symlink_to("/dev/null")
        if "systemd-resolved" in uses:
            resolved = self.root / "etc/resolv.conf"
            resolved.unlink()
            resolved.symlink_to("/run/systemd/resolve/stub-resolv.conf")
        else:
            without = (*without, "/usr/sbin/resolvconf")  # resolvectl under another name
        for program in without:
            (self.root / program.lstrip("/")).unlink(missing_ok=True)
        drop_in = self.root / "etc/systemd/system/systemd-networkd.service.d/trial.conf"
        drop_in.parent.mkdir()
        drop_in.write_text("[Unit]\n# Before, the kernel's settings are read-only.\nAfter=lab-prep.service\n")
        udevadm = self.root / "usr/local/sbin/udevadm"
        udevadm.write_text("#!/bin/sh\n# There is no udev in a container, and `netplan apply` wants to tell it.\n")
        udevadm.chmod(0o755)

    def boot(self) -> None:
        """Switch it on and wait until its units have started."""
        groups = cgroups.make(self.settings, MACHINE.name)
        cgroups.empty(groups)
        self.internet.plug()
        self.leader = 0
        command = processes.enter(groups, _inside("trial", supervisor.nspawn(self.settings, MACHINE)))
        with (self.folder / "console.log").open("a") as stream:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=supervisor._environment()
            )
        eventually(self._find_leader, 60, "the machine starts")
        eventually(self._booted, 90, "the machine boots")

    def _booted(self) -> bool:
        return self.try_("systemctl", "is-system-running", "--wait").stdout.strip() in ("running", "degraded")

    def _find_leader(self) -> bool:
        assert self._process and self._process.poll() is None, (self.folder / "console.log").read_text()[-2000:]
        children = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False)
        for pid in children.stdout.split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                self.leader = int(pid)
                return True
        return False

    def reboot(self) -> None:
        self.try_("systemctl", "--no-block", "reboot")
        assert self._process
        try:
            status = self._process.wait(60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no reboot: {self.run('systemctl', 'list-jobs')}\n{self.journal()}") from None
        assert status == supervisor.REBOOT, (self.folder / "console.log").read_text()[-2000:]
        self.boot()

    def power_off(self) -> None:
        """Without a good-bye."""
        if self._process and self._process.poll() is None:
            os.kill(self.leader or self._process.pid, signal.SIGKILL)
            self._process.wait(20)
        mounts.remove(Path(f"/run/systemd/nspawn/propagate/{self.settings.namespace(MACHINE.name)}"))
        for group in cgroups.lab_groups(self.settings):
            for part in (*(g for g in group.iterdir() if g.is_dir()), group):
                cgroups.empty([part])
                part.rmdir()

    def try_(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What came of a command there."""
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        enter += ["--root", "env", "-i", "-C", "/", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        return subprocess.run(
            [*enter, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
        )

    def run(self, *words: str) -> str:
        """What a command there printed; it must succeed."""
        done = self.try_(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}\n{self.journal()}"
        return done.stdout

    def journal(self) -> str:
        return self.try_("journalctl", "--no-pager", "-b", "-n", "150").stdout

    # Moving

    def overlay(self, *words: str) -> dict[str, Any]:
        done = self.try_("ovn-k8s-overlay", *words, "--json")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}\n{self.journal()}"
        return answer

    def move(self, *words: str) -> dict[str, Any]:
        """A move, confirmed once the address answers from outside; what it was answered."""
        answer = self.overlay(*words)

        def done() -> bool:
            phase = self.overlay("uplink", "status", NIC)["phase"]
            assert phase != "undone", f"{self.overlay('uplink', 'status', NIC)}\n{self.journal()}"
            return phase == "moved"

        eventually(done, 40, f"{words} is done")
        assert self.internet.reaches(self.address(BRIDGE if words[0] == "nics-to-bridge" else NIC))
        self.overlay("uplink", "confirm", NIC)
        return answer

    def address(self, interface: str) -> str:
        """Its IPv4 address, or an empty text."""
        found = json.loads(self.try_("ip", "-j", "-4", "address", "show", "dev", interface).stdout or "[{}]")
        entries = found[0].get("addr_info", []) if found else []
        return str(entries[0]["local"]) if entries else ""

    def picture(self, interface: str) -> dict[str, Any]:
        """What an interface has, with its own name and the times left out."""
        link = json.loads(self.run("ip", "-j", "address", "show", "dev", interface))[0]
        addresses = sorted(
            (a["local"], a["prefixlen"], a.get("broadcast", ""), a["valid_life_time"] != 0xFFFFFFFF)
            for a in link["addr_info"]
            if a["scope"] != "link"
        )
        routes = []
        for family in ("-4", "-6"):
            for route in json.loads(self.run("ip", "-j", family, "route", "show", "table", "all", "dev", interface)):
                destination = str(route["dst"])
                if destination.startswith(("fe80", "ff00")) or route.get("table") == "local":
                    continue
                if route.get("protocol") == "kernel":
                    route.pop("metric", None)  # systemd-networkd 252 forgets it when it is restarted, on any interface
                kept = {k: v for k, v in route.items() if k not in ("dev", "expires", "flags", "pref")}
                routes.append(json.dumps(kept, sort_keys=True))
        return {
            "addresses": addresses,
            "routes": sorted(routes),
            "mtu": link["mtu"],
            "mac": link["address"],
            "dns": self.name_servers(interface),
        }

    def name_servers(self, interface: str) -> list[str]:
        """What resolves names: of the interface in systemd-resolved, or of the machine."""
        if self.try_("systemctl", "is-active", "systemd-resolved").returncode == 0:
            return [
                re.sub(r"^Link \d+ \([^)]*\): ?", "", self.run("resolvectl", what, interface).strip())
                for what in ("dns", "domain")
            ]
        lines = self.run("cat", "/etc/resolv.conf").splitlines()
        return sorted(" ".join(line.split()) for line in lines if line.startswith(("nameserver", "search", "domain")))

    def gets_out(self) -> bool:
        return self.try_("ping", "-c1", "-W2", FAR).returncode == 0

    def await_picture(self, interface: str, wanted: dict[str, Any], what: str) -> None:
        """It has this, in the end."""
        deadline = time.monotonic() + 30
        while self.picture(interface) != wanted and time.monotonic() < deadline:
            time.sleep(0.3)
        assert self.picture(interface) == wanted, f"{what}\n{self.journal()}"


def eventually(probe: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `probe` says something true."""
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.3)


def _inside(namespace: str, command: list[Any]) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{namespace}", "--", *(str(word) for word in command)]


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _ip(command: str) -> None:
    _run("ip", *command.split())
