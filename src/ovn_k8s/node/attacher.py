# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI operations: ADD, DEL, CHECK, GC and STATUS.

What is attached is written in Open vSwitch's database and nowhere else: each pod port carries the sandbox, the pod and
its addresses in external_ids. The node's interface name follows from container id and interface name, so an operation
finds what an earlier one (or an agent that was killed half-way) has left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from ovn_k8s.cni.protocol import Attachment, CniError, Code, Request, add_result, valid_attachments
from ovn_k8s.core.pods import pod_owner
from ovn_k8s.core.rows import OWNER_KEY
from ovn_k8s.host.config import INTEGRATION_BRIDGE, NodeConfig
from ovn_k8s.netlink.links import LinkError
from ovn_k8s.netlink.namespace import Namespace, NamespaceError
from ovn_k8s.ovsdb.errors import ConnectionFailed, OvsdbError

from . import pod_interface
from .bindings import Binding, Bindings
from .pod_interface import PodInterface, host_interface
from .pod_ports import PodPort, PodPorts
from .turns import Turns

LOG = logging.getLogger(__name__)

BINDING_SECONDS = 30.0
INSTALL_SECONDS = 30.0
TURN_SECONDS = 20.0
SOUTHBOUND_GRACE_SECONDS = 30.0
"""For so long after losing the southbound database STATUS stays good: reconnecting must not make the node NotReady."""

Result = dict[str, Any] | None


class Attacher:
    """Carries out requests; safe to call from many threads at once."""

    def __init__(
        self,
        config: NodeConfig,
        bindings: Bindings,
        ports: PodPorts,
        *,
        binding_seconds: float = BINDING_SECONDS,
        install_seconds: float = INSTALL_SECONDS,
    ) -> None:
        self._config = config
        self._bindings = bindings
        self._ports = ports
        self._binding_seconds = binding_seconds
        self._install_seconds = install_seconds
        self._turns = Turns(self._wake)
        self._southbound_seen = float("-inf")

    def handle(self, request: Request) -> Result:
        """The result object of the request, or None where the specification has none.

        Raises:
            CniError: the operation failed; nothing that it made is left.
        """
        operations: Mapping[str, Callable[[Request], Result]] = {
            "ADD": self.add,
            "DEL": self.delete,
            "CHECK": self.check,
            "GC": self.collect,
            "STATUS": self.status,
        }
        with _as_cni_errors():
            return operations[request.command](request)

    def add(self, request: Request) -> Result:
        """Attach a pod; a second call for the same sandbox and pod returns the same result."""
        namespace, name, uid = _pod(request)
        interface = host_interface(request.container_id, request.ifname)
        clock = _Stopwatch()
        with self._turns.take(interface, TURN_SECONDS) as turn, Namespace(request.netns) as netns:
            deadline = time.monotonic() + self._binding_seconds
            binding = self._bindings.wait(namespace, name, uid, deadline, lambda: turn.cancelled)
            clock.lap("binding")
            wanted = self._wanted(interface, request.ifname, binding)
            ids = _external_ids(request, binding, pod_owner(namespace, name))
            stored = self._ports.find(interface)
            if not self._intact(stored, ids, wanted, netns):
                self._attach(wanted, ids, netns, lambda: turn.cancelled, clock)
            result = _attachment(wanted, request.netns)
        LOG.info("ADD %s/%s %s as %s: %s", namespace, name, binding.address, interface, clock)
        return add_result(result, request.version)

    def delete(self, request: Request) -> Result:
        """Detach; what is not there (any more) is no error."""
        interface = host_interface(request.container_id, request.ifname)
        clock = _Stopwatch()
        with self._turns.take(interface, TURN_SECONDS, cancel=True):
            removed = self._remove(interface)
        LOG.info("DEL %s%s: %s", interface, "" if removed else " (nothing was there)", clock)
        return None

    def check(self, request: Request) -> Result:
        """Compare the pod's interface with what ADD returned and with what the databases say."""
        previous = request.config.get("prevResult")
        if not isinstance(previous, dict):
            raise CniError(Code.INVALID_CONFIGURATION, "CHECK needs prevResult in the configuration")
        interface = host_interface(request.container_id, request.ifname)
        with self._turns.take(interface, TURN_SECONDS), Namespace(request.netns) as netns:
            stored = self._ports.find(interface)
            if stored is None:
                raise CniError(
                    Code.CHECK_FAILED, f"interface {request.ifname}: {INTEGRATION_BRIDGE} has no port {interface}"
                )
            problems = [] if stored.installed else [f"port {interface} is not installed by ovn-controller"]
            wanted = _stored_interface(stored, self._config, request.ifname)
            addresses = [ip.get("address") for ip in previous.get("ips", []) if isinstance(ip, dict)]
            if str(wanted.address) not in addresses:
                problems.append(f"its address is {wanted.address}, ADD had returned {addresses}")
            problems += pod_interface.defects(wanted, netns)
        if problems:
            raise CniError(Code.CHECK_FAILED, f"interface {request.ifname} is not as it should be", "; ".join(problems))
        return None

    def collect(self, request: Request) -> Result:
        """Remove the attachments of this network that the runtime does not know, and half-made ones."""
        valid = {host_interface(*attachment) for attachment in valid_attachments(request.config)}
        for port in self._ports.all():
            if port.name not in valid and port.ids.get("network", request.network) == request.network:
                with self._turns.take(port.name, TURN_SECONDS, cancel=True):
                    self._remove(port.name)
                LOG.info("GC %s: sandbox %s is gone", port.name, port.sandbox)
        self.remove_stale()
        return None

    def status(self, request: Request) -> Result:
        """Whether ADD could succeed now."""
        now = time.monotonic()
        if not self._ports.synced:
            raise CniError(
                Code.LIMITED_CONNECTIVITY,
                "Open vSwitch's database is not connected",
                "is openvswitch-switch running on this node?",
            )
        if not self._ports.has_bridge():
            raise CniError(
                Code.NOT_AVAILABLE, f"there is no bridge {INTEGRATION_BRIDGE}", "is ovn-k8s-overlay.service up?"
            )
        if self._bindings.synced:
            self._southbound_seen = now
        elif now - self._southbound_seen > SOUTHBOUND_GRACE_SECONDS:
            raise CniError(
                Code.NOT_AVAILABLE, "the southbound database is not connected", "is ovn-central up on the master?"
            )
        return None

    def remove_stale(self) -> None:
        """Remove ports without an interface (the machine was rebooted) and interfaces without a port."""
        present = pod_interface.present()
        ports = {port.name for port in self._ports.all()}
        for name in sorted(ports ^ present):
            with self._turns.take(name, TURN_SECONDS):
                complete = self._ports.find(name) is not None and name in pod_interface.present()
                if not complete and self._remove(name):
                    LOG.info("removed %s, which an earlier sandbox left behind", name)

    def _wake(self) -> None:
        self._bindings.wake()
        self._ports.wake()

    def _wanted(self, interface: str, ifname: str, binding: Binding) -> PodInterface:
        return PodInterface(
            interface,
            ifname,
            binding.mac,
            binding.address,
            binding.gateway,
            self._config.mtu,
            userspace=self._config.userspace,
        )

    @staticmethod
    def _intact(stored: PodPort | None, ids: Mapping[str, str], wanted: PodInterface, netns: Namespace) -> bool:
        """Whether an earlier ADD of the same sandbox has done everything already."""
        if stored is None or not stored.installed or not ids.items() <= stored.ids.items():
            return False
        return not pod_interface.defects(wanted, netns)

    def _attach(
        self,
        wanted: PodInterface,
        ids: Mapping[str, str],
        netns: Namespace,
        cancelled: Callable[[], bool],
        clock: _Stopwatch,
    ) -> None:
        self._remove(wanted.host_interface)
        self._free(ids["iface-id"])
        deadline = time.monotonic() + self._install_seconds
        try:
            pod_interface.create(wanted, netns)
            clock.lap("veth")
            # Open vSwitch and ovn-controller work on the port while the pod's end is being configured.
            self._ports.add(wanted.host_interface, ids)
            clock.lap("port")
            pod_interface.configure(wanted, netns)
            clock.lap("address")
            self._ports.wait_installed(wanted.host_interface, deadline, cancelled)
            clock.lap("installed")
        except BaseException:
            self._undo(wanted.host_interface)
            raise

    def _free(self, logical_port: str) -> None:
        """A pod of the same name that ends slowly has it no longer; of two, ovn-controller would take either."""
        for port in self._ports.all():
            if port.ids.get("iface-id") == logical_port and self._ports.remove(port.name):
                LOG.info("%s was %s's before", logical_port, port.name)

    def _undo(self, interface: str) -> None:
        try:
            self._remove(interface)
        except (CniError, OvsdbError, LinkError, OSError) as error:
            LOG.warning("%s: could not be undone (%s); the next ADD, DEL or GC will", interface, error)

    def _remove(self, interface: str) -> bool:
        """Remove port and interface; whether anything was there. The interface goes even when the database is away."""
        try:
            port = self._ports.remove(interface)
        finally:
            link = pod_interface.delete(interface)
        return port or link


class _Stopwatch:
    """Names and durations of an operation's steps, for the log."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._laps: list[str] = []

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._laps.append(f"{name} {(now - self._last) * 1000:.0f}")
        self._last = now

    def __str__(self) -> str:
        total = f"{(time.monotonic() - self._start) * 1000:.0f} ms"
        return f"{total} ({', '.join(self._laps)})" if self._laps else total


def _pod(request: Request) -> tuple[str, str, str]:
    """Namespace, name and uid (may be empty) of the pod."""
    namespace, name = request.args.get("K8S_POD_NAMESPACE"), request.args.get("K8S_POD_NAME")
    if not namespace or not name:
        raise CniError(Code.INVALID_ENVIRONMENT, "CNI_ARGS has no K8S_POD_NAMESPACE or no K8S_POD_NAME")
    return namespace, name, request.args.get("K8S_POD_UID", "")


def _external_ids(request: Request, binding: Binding, owner: str) -> dict[str, str]:
    return {
        OWNER_KEY: owner,
        "iface-id": binding.port,
        "iface-id-ver": binding.uid,
        "attached_mac": binding.mac,
        "ip_address": str(binding.address),
        "gateway_ip": str(binding.gateway),
        "sandbox": request.container_id,
        "network": request.network,
    }


def _stored_interface(stored: PodPort, config: NodeConfig, ifname: str) -> PodInterface:
    """The interface as ADD has made it, from the port's external_ids."""
    try:
        return PodInterface(
            stored.name,
            ifname,
            stored.ids["attached_mac"],
            IPv4Interface(stored.ids["ip_address"]),
            IPv4Address(stored.ids["gateway_ip"]),
            config.mtu,
            userspace=config.userspace,
        )
    except (KeyError, ValueError) as error:
        raise CniError(Code.CHECK_FAILED, f"port {stored.name} has lost its external_ids", str(error)) from error


def _attachment(wanted: PodInterface, netns: str) -> Attachment:
    return Attachment(
        wanted.host_interface,
        pod_interface.host_mac(wanted.host_interface),
        wanted.ifname,
        netns,
        wanted.mac,
        str(wanted.address),
        str(wanted.gateway),
        wanted.mtu,
    )


@contextmanager
def _as_cni_errors() -> Iterator[None]:
    try:
        yield
    except CniError:
        raise
    except FileNotFoundError as error:
        raise CniError(Code.UNKNOWN_CONTAINER, f"network namespace {error.filename} does not exist") from error
    except NamespaceError as error:
        raise CniError(Code.INVALID_ENVIRONMENT, error.strerror or str(error)) from error
    except TimeoutError as error:
        raise CniError(Code.TRY_AGAIN_LATER, str(error)) from error
    except ConnectionFailed as error:
        raise CniError(Code.TRY_AGAIN_LATER, "Open vSwitch's database is not connected", str(error)) from error
    except OvsdbError as error:
        raise CniError(Code.TRY_AGAIN_LATER, "Open vSwitch's database did not take the port", str(error)) from error
    except (LinkError, OSError) as error:
        raise CniError(Code.INTERFACE_FAILURE, "the interface could not be made", str(error)) from error
