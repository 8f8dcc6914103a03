# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The lab's own promises: nothing is left behind, machines come back, labs do not meet, the host is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
NAME = "labtest"
KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
)


def lab(*words: str, seconds: float = 1800) -> subprocess.CompletedProcess[str]:
    """Run a lab command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=TREE,
        env={**os.environ, "LAB_NAME": NAME},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def on(node: str, command: str) -> str:
    done = lab("ssh", node, command, seconds=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def left_behind() -> list[str]:
    """Whatever there is on this machine with the lab's name in it, and processes in its control groups."""
    found = [
        str(p) for folder in ("/run/netns", "/run/systemd/nspawn/propagate") for p in Path(folder).glob(f"{NAME}-*")
    ]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{NAME}-" in line]
    found += [parent for parent, _, _ in os.walk("/sys/fs/cgroup") if parent.endswith(f"/{NAME}-lab")]
    found += [str(p) for p in Path("/var/lib").glob(f"{NAME}-lab*")]
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and f"{NAME}-".encode() in (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def host() -> dict[str, str]:
    """The host's network and the kernel settings that kubelet wants to change."""
    state = {name: Path("/proc/sys", name).read_text() for name in KERNEL_SETTINGS}
    for words in ("-brief link", "-brief address", "route", "rule"):
        state[words] = subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout
    return state


@pytest.fixture
def clean() -> Iterator[None]:
    """No lab before, none after, and the host as it was."""
    assert lab("down").returncode == 0
    before = host()
    yield
    assert lab("down").returncode == 0
    assert left_behind() == []
    assert host() == before


@pytest.fixture(scope="module")
def warm() -> None:
    """A lab was there once, so that the cache has all that is slow to make."""
    assert lab("up").returncode == 0
    assert lab("down").returncode == 0


@pytest.mark.parametrize("after_s", [0.4, 1.2, 2.0])
@pytest.mark.usefixtures("warm", "clean")
def test_a_start_that_is_killed_can_be_taken_down(after_s: float) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "lab", "up"], cwd=TREE, env={**os.environ, "LAB_NAME": NAME}, start_new_session=True
    )
    time.sleep(after_s)
    os.killpg(starting.pid, signal.SIGKILL)
    starting.wait()
    assert lab("down").returncode == 0
    assert left_behind() == []


def control_mac() -> str:
    """The MAC by which the machines know the control machine."""
    return lab("exec", "ip", "-brief", "link", "show", "dev", "mgmt").stdout.split()[2]


@pytest.mark.usefixtures("clean")
def test_machines() -> None:
    assert lab("up").returncode == 0
    for node in ("master", "linux1", "linux2", "gw"):
        assert on(node, "systemctl is-system-running; hostname").split() == ["running", node]
    assert on("linux1", "command -v ovs-vsctl containerd kubelet runc || echo blank") == "blank"
    assert on("linux1", "cat /proc/sys/vm/overcommit_memory") == "1", "what kubelet wants"
    assert on("linux1", "sysctl -n -w net.ipv4.ip_forward=1") == "1", "net.* is the machine's own"

    # A second start finds everything running.
    boot = on("linux1", "cat /proc/sys/kernel/random/boot_id")
    assert lab("up").returncode == 0
    assert on("linux1", "cat /proc/sys/kernel/random/boot_id") == boot

    # A reboot keeps the disk and gives the network of a fresh start.
    on(
        "linux1",
        "echo kept > /root/mark; echo kept > /var/lib/mark; ip link add stray type dummy; ip addr flush dev eth0",
    )
    assert lab("reboot", "linux1").returncode == 0
    assert on("linux1", "cat /root/mark /var/lib/mark").split() == ["kept", "kept"]
    assert on("linux1", "cat /proc/sys/net/ipv4/ip_forward") == "0"
    assert on("linux1", "ls /sys/class/net").split() == ["eth0", "lo", "mgmt0"]
    assert "172.30.0.12/24" in on("linux1", "ip -4 -brief address show dev eth0")
    assert on("linux1", "cat /proc/sys/kernel/random/boot_id") != boot

    # So does a power cut; the others do not notice (a control machine with another MAC would be lost to them).
    address = control_mac()
    for node in ("linux1", "linux2", "gw"):
        assert lab("power-off", node).returncode == 0
        assert control_mac() == address
    assert lab("status").returncode == 1
    assert lab("up").returncode == 0
    assert on("linux2", "ping -c1 -W2 172.30.0.12 > /dev/null && echo reached") == "reached"

    # A modelled Windows is a machine like the others: its disk stays, HNS forgets, what it had started is gone.
    assert on("win1", "hostname") == "WIN1"
    on("win1", 'cmd /c "echo kept > C:\\mark"')
    ready = Path(f"/var/lib/{NAME}-lab/nodes/win1/root/ready")
    boot = ready.read_text()
    assert lab("reboot", "win1").returncode == 0
    assert ready.read_text() != boot
    assert on("win1", 'cmd /c "type C:\\mark"') == "kept"
    assert lab("power-off", "win1").returncode == 0
    assert not list(Path("/run/netns").glob(f"{NAME}-win1*"))
    assert lab("power-on", "win1").returncode == 0
    assert on("win1", 'cmd /c "type C:\\mark"') == "kept"

    # Packages come from the lab's server alone, over the management network.
    assert on(
        "linux2",
        "apt-get update -qq && apt-get install -qq -y --no-install-recommends conntrack > /dev/null; which conntrack",
    )

    # The internet answers the gateway, and says who it saw.
    assert "192.0.2.2/24" in on("gw", "ip -4 -brief address show dev ext0"), "leased by DHCP"
    answer = on(
        "gw",
        "python3 -c \"import socket as s; c = s.create_connection(('198.51.100.1', 8080), 3);"
        " c.sendall(b'hi\\n'); print(c.makefile().readline())\"",
    )
    assert '"hostname":"internet"' in answer
    assert '"client_ip":"192.0.2.2"' in answer


@pytest.mark.usefixtures("clean")
def test_unusable_requests_are_explained() -> None:
    for words in (("ssh", "linux1"), ("exec", "true"), ("reboot", "linux1")):
        done = lab(*words)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert "lab-up" in done.stderr or "answer" in done.stderr
