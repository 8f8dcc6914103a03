# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The gateway's one interface carries ssh and the pods' way out, and nothing that happens to it cuts a person off.

Through everything that is done to the gateway here, one login stays open and answers, and a file is copied through
another one, again and again, and arrives whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .conftest import LAB_NAME, STATE, TREE, Lab, PlayRun

FIRST, SECOND = "192.0.2.2", "192.0.2.77"
BACK_AFTER_REBOOT_S = 30.0
UNDONE_WITHIN_S = 30.0
RENEWED_AFTER_S, ASKED_AGAIN_AFTER_S = 6, 10
"""T1 and T2 of a lease while its address changes (RFC 2131, section 4.4.5)."""
MOVED_WITHIN_S = 60.0
COPY_BYTES = 24 << 20
COPY_KBIT_S = 60_000
LONGEST_SILENCE_S = 12.0
"""How long an open login may not answer: TCP sends again after 0.2, 0.4, … s, so a gap costs at most twice its time."""
CONTAINER = {"name": "c", "image": "localhost/netcheck:1", "imagePullPolicy": "IfNotPresent"}


def inside(namespace: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", f"{LAB_NAME}-{namespace}", *words]


def ssh(*words: str, address: str = "gw") -> list[str]:
    options = ["-F", str(STATE / "ssh/config"), "-o", "ControlMaster=no", "-o", "ConnectTimeout=2"]
    if address != "gw":
        options += ["-o", "HostKeyAlias=gw"]
    return inside("ctl", "ssh", *options, address, *words)


class OpenLogin:
    """A shell on the gateway that is asked something ten times a second, and how long it has not answered at most."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ssh("while read line; do echo $line; done"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.longest = 0.0
        self.answers = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        assert self.process.stdin and self.process.stdout
        while not self._end.wait(0.1):
            asked = time.monotonic()
            try:
                self.process.stdin.write(f"{self.answers}\n")
                if self.process.stdout.readline() != f"{self.answers}\n":
                    return
            except OSError:
                return
            self.answers += 1
            self.longest = max(self.longest, time.monotonic() - asked)

    def check(self) -> None:
        """It is still open and answers."""
        seen, deadline = self.answers, time.monotonic() + LONGEST_SILENCE_S
        while self.answers <= seen:
            assert self.process.poll() is None, "the login was closed"
            assert time.monotonic() < deadline, f"the login has not answered for {LONGEST_SILENCE_S:g} s"
            time.sleep(0.2)

    def end(self) -> None:
        self._end.set()
        self.process.kill()
        self.process.wait(10)
        self._thread.join(5)


class Copying:
    """A file is copied to the gateway with scp, again and again; each copy must arrive as it was sent."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "copied"
        data = os.urandom(COPY_BYTES)
        self.file.write_bytes(data)
        self.digest = hashlib.sha256(data).hexdigest()
        self.copies = 0
        self.wrong: list[str] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        options = ["-F", str(STATE / "ssh/config"), "-o", "ControlMaster=no", "-o", "ConnectTimeout=10"]
        # slowly, so that one copy lasts some seconds and whatever happens falls into one
        copy = inside("ctl", "scp", *options, "-l", str(COPY_KBIT_S), str(self.file), "gw:/var/tmp/copied")
        look = inside("ctl", "ssh", *options, "gw", "sha256sum", "/var/tmp/copied")
        while not self._end.is_set():
            for words in (copy, look):
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    break
            if not done.returncode and done.stdout.split()[:1] == [self.digest]:
                self.copies += 1
            else:
                self.wrong.append(f"{words[3]}: {done.stdout}{done.stderr}".strip())

    def end(self) -> None:
        self._end.set()
        self._thread.join(60)


@contextmanager
def undisturbed(lab: Lab, name: str, record: dict[str, float]) -> Iterator[None]:
    """What is done within disturbs neither an open login nor a copy that is under way."""
    with TemporaryDirectory(prefix="copying-") as folder:
        login, copying = OpenLogin(), Copying(Path(folder))
        try:
            login.check()
            time.sleep(1)
            yield
            login.check()
            deadline = time.monotonic() + 60
            seen = copying.copies
            while copying.copies < seen + 1:  # the one that was under way ends too
                assert time.monotonic() < deadline and not copying.wrong, copying.wrong
                time.sleep(0.5)
        finally:
            copying.end()
            login.end()
    assert not copying.wrong
    record[name] = round(login.longest, 2)
    print(f"{name}: longest silence of the login {login.longest:.2f} s, {copying.copies} copies")


@pytest.fixture(scope="module")
def silences() -> Iterator[dict[str, float]]:
    found: dict[str, float] = {}
    yield found
    print(json.dumps({"gateway_longest_login_silence_s": found}))


@pytest.fixture(scope="module")
def outward(cluster: Lab) -> Iterator[Lab]:
    """The cluster, with a pod that can ask the internet who it is."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "outward"},
        "spec": {
            "nodeName": "linux1",
            "terminationGracePeriodSeconds": 0,
            "containers": [{**CONTAINER, "args": ["serve"]}],
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/outward", "--timeout=60s", seconds=90)
    yield cluster
    cluster.kubectl("delete", "pod", "outward", "--wait=false")


def reachable(address: str = "gw") -> bool:
    try:
        return subprocess.run(ssh("true", address=address), capture_output=True, timeout=6, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def seen_outside(lab: Lab) -> str:
    """The address with which the pod is seen in the internet, or an empty string."""
    words = ("netcheck", "check", "--timeout=1s", "tcp", "198.51.100.1", "8080")
    done = lab.command("exec", "kubectl", "exec", "outward", "--", *words, seconds=30)
    try:
        return str(json.loads(done.stdout)["answer"]["client_ip"])
    except (ValueError, KeyError, TypeError):
        return ""


def within(seconds: float, probe: object, what: str) -> float:
    """Wait for something; how long it took."""
    begun = time.monotonic()
    while not probe():  # type: ignore[operator]
        assert time.monotonic() - begun < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.3)
    return time.monotonic() - begun


def move(lab: Lab, command: str) -> float:
    """Move the interface by hand, and confirm it over new logins until one counts; how long it took."""

    def confirmed() -> bool:
        words = ssh("/usr/local/bin/ovn-k8s-overlay uplink confirm ext0")
        done = subprocess.run(words, capture_output=True, text=True, timeout=MOVED_WITHIN_S, check=False)
        assert "undone" not in done.stderr, done.stderr
        return done.returncode == 0

    begun = time.monotonic()
    lab.on("gw", f"/usr/local/bin/ovn-k8s-overlay {command} --confirm-within {MOVED_WITHIN_S:g}")
    within(MOVED_WITHIN_S, confirmed, f"a confirmation of {command}")
    return time.monotonic() - begun


def run_role(lab: Lab, *options: str) -> PlayRun:
    """The gateway's part of site.yml, on the gateway alone."""
    return lab.play("site.yml", "--tags", "gateway", "--limit", "gw", *options, seconds=200)


def lease(address: str, *options: str) -> None:
    """Have the internet lease another address to the gateway from now on, with more options of DHCP."""
    hosts = STATE / "dhcp/hosts"
    mac = hosts.read_text().partition(",")[0]
    hosts.write_text(f"{mac},{address},gw\n")
    (STATE / "dhcp/options").write_text("".join(f"{option}\n" for option in options))
    os.kill(int((STATE / "run/dhcp.pid").read_text()), signal.SIGHUP)


@contextmanager
def short_leases(lab: Lab) -> Iterator[tuple[str, str]]:
    """Within, leases are renewed soon, the present one too; the options that do it."""
    options = (f"option:T1,{RENEWED_AFTER_S}", f"option:T2,{ASKED_AGAIN_AFTER_S}")

    def leased(renewal: str) -> bool:
        lab.on("gw", "networkctl", "renew", "brext0")
        return renewal in lab.on("gw", "cat /run/systemd/netif/leases/$(cat /sys/class/net/brext0/ifindex)")

    try:
        lease(FIRST, *options)
        within(20, lambda: leased(f"T1={RENEWED_AFTER_S}s\n"), "a lease that is renewed soon")
        yield options
    finally:
        lease(FIRST)


class Watch:
    """New logins, one after the other; `longest` is the time in seconds from one that succeeded to the next."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.2):
            if reachable():
                now = time.monotonic()
                self.longest, self._last = max(self.longest, now - self._last), now

    def end(self) -> None:
        self._end.set()
        self._thread.join(10)


def test_the_machine_and_its_pods_share_one_interface(outward: Lab) -> None:
    links = {link["ifname"]: link for link in json.loads(outward.on("gw", "ip", "-j", "-4", "address"))}
    assert "mgmt0" not in links
    assert [a["local"] for a in links["brext0"]["addr_info"]] == [FIRST]
    assert not links.get("ext0", {}).get("addr_info")
    within(20, lambda: seen_outside(outward) == FIRST, "the pod is seen with the gateway's address")


def test_a_run_of_the_role(outward: Lab, silences: dict[str, float]) -> None:
    with undisturbed(outward, "role run", silences):
        assert run_role(outward).status == 0


def test_moving_the_interface_off_and_on(outward: Lab, silences: dict[str, float]) -> None:
    """The login that it is done by is open all the time; each move is confirmed over another one."""
    with undisturbed(outward, "moves", silences):
        for command in ("bridge-to-nics ext0", "nics-to-bridge ext0 --datapath-type netdev"):
            print(f"{command}: confirmed after {move(outward, command):.1f} s")

    def helped() -> bool:
        """The helper has filtered the NIC and set its route anew: both went with the bridge."""
        return 'device "ext0"' in outward.on("gw", "nft list ruleset") and "169.254.169.4" in outward.on(
            "gw", "ip route"
        )

    within(15, helped, "the helper's part of the kernel")
    within(20, lambda: seen_outside(outward) == FIRST, "the pod has its way out again")


def test_a_restart_of_openvswitch(outward: Lab, silences: dict[str, float]) -> None:
    with undisturbed(outward, "Open vSwitch restarted", silences):
        outward.on("gw", "systemctl", "restart", "openvswitch-switch.service")
    within(20, lambda: seen_outside(outward) == FIRST, "the pod has its way out again")


def test_a_crash_of_openvswitch(outward: Lab, silences: dict[str, float]) -> None:
    with undisturbed(outward, "Open vSwitch killed", silences):
        outward.on("gw", "systemctl", "kill", "--signal=KILL", "ovs-vswitchd.service")
    within(20, lambda: seen_outside(outward) == FIRST, "the pod has its way out again")


def test_a_crash_of_the_helper(outward: Lab, silences: dict[str, float]) -> None:
    with undisturbed(outward, "helper killed", silences):
        for _ in range(3):
            outward.on("gw", "systemctl", "kill", "--signal=KILL", "ovn-k8s-gateway-helper.service")
            time.sleep(1.5)
    assert seen_outside(outward) == FIRST


def test_flows_deleted_by_hand(outward: Lab, silences: dict[str, float]) -> None:
    with undisturbed(outward, "flows deleted", silences):
        for _ in range(5):
            outward.on("gw", "ovs-ofctl", "-O", "OpenFlow14", "del-flows", "unix:/run/openvswitch/brext0.mgmt")
            time.sleep(0.5)
    within(10, lambda: seen_outside(outward) == FIRST, "the pod has its way out again")


def test_services_that_come_and_go(outward: Lab, silences: dict[str, float]) -> None:
    service = {"apiVersion": "v1", "kind": "Service"}
    spec = {"type": "NodePort", "selector": {"app": "none"}, "ports": [{"port": 80}]}
    items = [{**service, "metadata": {"name": f"passing{n}"}, "spec": spec} for n in range(20)]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    with undisturbed(outward, "20 services", silences):
        outward.kubectl("apply", "-f", "-", stdin=document)
        time.sleep(2)
        outward.kubectl("delete", "-f", "-", stdin=document)
    assert seen_outside(outward) == FIRST


def acquired(lab: Lab, address: str, login: str) -> float:
    """When systemd-networkd was leased an address, in seconds since 1970."""
    words = ("journalctl", "-u", "systemd-networkd", "-o", "short-unix", "--no-pager", "-n", "50")
    log = subprocess.run(ssh(*words, address=login), capture_output=True, text=True, timeout=20, check=True).stdout
    return float([line for line in log.splitlines() if f"address {address}/" in line][-1].split()[0])


def test_a_lease_of_another_address(outward: Lab) -> None:
    """Logins to the address that is gone end, of course; new ones come in at the new address at once.

    systemd-networkd learns of it when it asks everybody, at T2: while it asks its own server only, it does not hear
    that server's broadcast refusal.
    """
    with short_leases(outward) as options:
        for address in (SECOND, FIRST):
            lease(address, *options)
            within(ASKED_AGAIN_AFTER_S + 30, lambda a=address: reachable(a), f"a new login at {address}")  # type: ignore[misc]
            login = time.time() - acquired(outward, address, address)
            within(30, lambda a=address: seen_outside(outward) == a, f"the pod is seen with {address}")  # type: ignore[misc]
            pods = time.time() - acquired(outward, address, address)
            print(f"leased {address}: a login within {login:.1f} s, pods are seen with it within {pods:.1f} s")
            assert login <= 10


def test_stopping_the_helper_and_clearing_leaves_the_machine_reachable(
    outward: Lab, silences: dict[str, float]
) -> None:
    """All flows were deleted by hand before, so nothing is left of what Open vSwitch itself had begun with."""
    outward.on("gw", "ovs-ofctl", "-O", "OpenFlow14", "del-flows", "unix:/run/openvswitch/brext0.mgmt")
    with undisturbed(outward, "helper stopped and its work cleared", silences):
        outward.on("gw", "systemctl stop ovn-k8s-gateway-helper.service; /usr/local/bin/ovn-k8s-gateway-helper clear")
        assert reachable()


def test_a_move_that_cuts_the_machine_off_is_undone(outward: Lab) -> None:
    """Broken addressing: the DHCP server is silent when the interface moves."""
    move(outward, "bridge-to-nics ext0")
    pid = int((STATE / "run/dhcp.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    watch = Watch()
    try:
        begun = time.monotonic()
        run = run_role(outward)
        took = time.monotonic() - begun
        assert run.status != 0
        assert "has put back what was before" in run.output
        assert "no DHCP server" in run.output
        within(UNDONE_WITHIN_S, reachable, "the gateway is reached")
        watch.end()
        print(f"the failed run took {took:.0f} s; for {watch.longest:.1f} s at most nobody could log in")
        assert watch.longest <= UNDONE_WITHIN_S
        facts = json.loads(outward.on("gw", "cat", "/run/ovn-k8s/uplink/ext0.json"))
        assert facts["phase"] == "undone"
        assert FIRST in outward.on("gw", "ip", "-4", "address", "show", "ext0")
        assert "brext0" not in outward.on("gw", "ip", "-brief", "link")
    finally:
        watch.end()
        os.kill(pid, signal.SIGCONT)
    wrong = run_role(outward, "-e", '{"ovn_k8s_gateway_interface": "eth0"}')
    assert wrong.status != 0, "the interface between the nodes is no way out"
    assert reachable()
    assert run_role(outward).status == 0, "the role succeeds afterwards"
    within(20, lambda: seen_outside(outward) == FIRST, "the pod has its way out again")


def test_a_power_cut_before_the_confirmation(outward: Lab) -> None:
    outward.on("gw", f"/usr/local/bin/ovn-k8s-overlay bridge-to-nics ext0 --confirm-within {2 * MOVED_WITHIN_S:g}")

    def moved() -> bool:
        state = json.loads(outward.on("gw", "cat", "/run/ovn-k8s/uplink/ext0.json"))
        assert state["phase"] in ("preparing", "moved"), state
        return bool(state["phase"] == "moved")

    within(MOVED_WITHIN_S, moved, "the interface has left the bridge")
    assert outward.command("power-off", "gw").returncode == 0
    assert outward.command("power-on", "gw", seconds=120).returncode == 0
    within(BACK_AFTER_REBOOT_S, lambda: seen_outside(outward) == FIRST, "as before the move: on the bridge")
    assert FIRST in outward.on("gw", "ip", "-4", "address", "show", "brext0")
    guard = outward.on("gw", "ls", "/etc/systemd/system/ovs-vswitchd.service.wants")
    assert "ovn-k8s-uplink.service" in guard.split()


def test_a_reboot(outward: Lab) -> None:
    boot = outward.on("gw", "cat", "/proc/sys/kernel/random/boot_id")
    reboot = subprocess.Popen([sys.executable, "-m", "lab", "reboot", "gw"], cwd=TREE, env=outward.environment)

    def back() -> bool:
        done = subprocess.run(ssh("cat /proc/sys/kernel/random/boot_id"), capture_output=True, text=True, check=False)
        return done.returncode == 0 and done.stdout != boot

    try:
        within(90, back, "the gateway is back")
        # a machine's network is there when systemd-networkd has started
        stamp = "systemctl show -P ActiveEnterTimestampMonotonic systemd-networkd; awk '{print $1}' /proc/uptime"
        started, now = outward.on("gw", stamp).split()
        begun = time.monotonic()
        since = float(now) - int(started) / 1e6
        within(BACK_AFTER_REBOOT_S, lambda: seen_outside(outward) == FIRST, "north-south traffic")
        outside = since + time.monotonic() - begun
        print(f"after a reboot: login {since:.1f} s after its network, pods outside {outside:.1f} s")
        assert outside <= BACK_AFTER_REBOOT_S
    finally:
        reboot.wait(120)
