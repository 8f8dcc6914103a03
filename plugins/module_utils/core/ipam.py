# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Addresses of pods: which of a node subnet's addresses are taken, and by which pod.

Nothing is stored here. The book is rebuilt from the logical switch ports in OVN at start, so that OVN itself is the
only record of who has which address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from .addresses import FIRST_POD_HOST, parse_network, router_address, with_prefix

MOST_HOSTS = 1 << 16
"""Of a larger subnet only the first 65,536 addresses are used: no node runs more pods."""

PodKey = tuple[str, str]
"""Namespace and name of a pod."""


class SubnetFull(Exception):
    """No address is left in a node's subnet."""


class AddressRefused(Exception):
    """A pod cannot have the address that it asks for. The message says why."""


class SubnetAllocator:
    """The pod addresses of one node's subnet, handed out in turn.

    The search goes on from the last address taken (next fit), so that an address which became free rests as long as
    the subnet allows before somebody else gets it: connections to its former owner do not reach a stranger.
    """

    __slots__ = ("_base", "_cursor", "_size", "_used", "allocated", "subnet")

    def __init__(self, subnet: str) -> None:
        """`subnet` in CIDR form; raises AddressError."""
        self.subnet = parse_network(subnet)
        self._base = int(self.subnet.network_address)
        self._size = min(self.subnet.num_addresses - 1, MOST_HOSTS)  # the last one is for broadcasts
        self._used = bytearray(self._size)
        self._cursor = FIRST_POD_HOST
        self.allocated = 0

    @property
    def gateway(self) -> str:
        """The router's address."""
        return str(router_address(self.subnet))

    @property
    def free(self) -> int:
        """Number of addresses that can still be given."""
        return max(self._size - FIRST_POD_HOST, 0) - self.allocated

    def allocate(self) -> str:
        """Give the next free address. Raises SubnetFull."""
        host = self._used.find(0, self._cursor)
        if host < 0:
            host = self._used.find(0, FIRST_POD_HOST)
        if host < 0:
            raise SubnetFull(f"subnet {self.subnet} has no free address: all {self.allocated} are in use")
        self._take(host)
        return str(IPv4Address(self._base + host))

    def claim(self, address: str) -> bool:
        """Take one certain address. False when it is taken already or cannot be a pod's in this subnet."""
        host = self._host(address)
        if host is None or self._used[host]:
            return False
        self._take(host)
        return True

    def allows(self, address: str) -> bool:
        """Whether pods of this subnet can have the address, when it is free."""
        return self._host(address) is not None

    def release(self, address: str) -> None:
        """Give an address back; one that is not taken is no error."""
        host = self._host(address)
        if host is not None and self._used[host]:
            self._used[host] = 0
            self.allocated -= 1

    def _host(self, address: str) -> int | None:
        try:
            host = int(IPv4Address(address)) - self._base
        except ValueError:
            return None
        return host if FIRST_POD_HOST <= host < self._size else None

    def _take(self, host: int) -> None:
        self._used[host] = 1
        self.allocated += 1
        self._cursor = host + 1


@dataclass(frozen=True, slots=True)
class Lease:
    """One pod's hold on an address of a node's subnet. A pod is one uid: its successor of the same name is another."""

    node: str
    uid: str
    """As kubelet knows the pod (`Pod.sandbox_uid`)."""
    address: str
    interface: str
    """The address with its prefix length, like 10.244.2.3/24."""
    gateway: str


class AddressBook:
    """Which pod has which address, over all nodes.

    A lease that ended stays taken until `settle`: an address may only go to the next pod when the row of the last one
    is known to be out of OVN.
    """

    def __init__(self) -> None:
        self._subnets: dict[str, SubnetAllocator] = {}
        self._leases: dict[PodKey, Lease] = {}
        self._ended: dict[PodKey, list[Lease]] = {}
        self._foreign: dict[str, set[str]] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._subnets.clear()
        self._leases.clear()
        self._ended.clear()
        self._foreign.clear()

    def set_subnet(self, node: str, subnet: str) -> bool:
        """Make a node's subnet known; True when it is new or another one. Leases outside of a new one are dropped.

        Raises AddressError for a subnet which is none.
        """
        known = self._subnets.get(node)
        if known is not None and str(known.subnet) == subnet:
            return False
        allocator = SubnetAllocator(subnet)
        for address in self._foreign.get(node, ()):
            allocator.claim(address)
        for key, lease in list(self._leases.items()):
            if lease.node == node:
                if allocator.claim(lease.address):
                    self._leases[key] = _lease(allocator, node, lease.uid, lease.address)
                else:
                    del self._leases[key]
        for ended in self._ended.values():
            ended[:] = [lease for lease in ended if lease.node != node or allocator.claim(lease.address)]
        self._subnets[node] = allocator
        return True

    def drop_subnet(self, node: str) -> None:
        """Forget a node's subnet and every lease in it."""
        if self._subnets.pop(node, None) is None:
            return
        self._leases = {key: lease for key, lease in self._leases.items() if lease.node != node}
        for ended in self._ended.values():
            ended[:] = [lease for lease in ended if lease.node != node]

    def knows(self, node: str) -> bool:
        """Whether the node has a subnet."""
        return node in self._subnets

    def nodes(self) -> tuple[str, ...]:
        """Nodes with a subnet."""
        return tuple(self._subnets)

    def reserve(self, node: str, address: str) -> None:
        """Keep an address of the node's subnet that a port of somebody else has; a pod that has it, too, keeps it."""
        allocator = self._subnets.get(node)
        if allocator is not None and allocator.allows(address):
            allocator.claim(address)
            self._foreign.setdefault(node, set()).add(address)

    def take(self, node: str, address: str) -> bool:
        """Take an address of the node's subnet for somebody who is no pod; False when it cannot be had."""
        allocator = self._subnets.get(node)
        if allocator is None or not allocator.claim(address):
            return False
        self._foreign.setdefault(node, set()).add(address)
        return True

    def give_back(self, node: str, address: str) -> None:
        """Nobody who is no pod has the address any more."""
        if address not in self._foreign.get(node, ()):
            return
        self._foreign[node].discard(address)
        leases = (*self._leases.values(), *(lease for ended in self._ended.values() for lease in ended))
        allocator = self._subnets.get(node)
        if allocator is not None and not any((lease.node, lease.address) == (node, address) for lease in leases):
            allocator.release(address)

    def adopt(self, key: PodKey, uid: str, node: str, address: str) -> bool:
        """Take over what OVN says that a pod has; False when the address is another's or not of the node's subnet."""
        allocator = self._subnets.get(node)
        if allocator is None:
            return False
        held = self._leases.get(key)
        if held is not None:
            return (held.uid, held.node, held.address) == (uid, node, address)
        if not allocator.claim(address):
            return False
        self._leases[key] = _lease(allocator, node, uid, address)
        return True

    def lease(self, key: PodKey, uid: str, node: str, preferred: str = "") -> Lease:
        """The pod's lease; a new one when it has none on this node, of the `preferred` address if that is free.

        Raises SubnetFull, KeyError (the node has no subnet).
        """
        held = self._leases.get(key)
        if held is not None and held.uid == uid and held.node == node:
            return held
        allocator = self._subnets[node]
        address = preferred if preferred and allocator.claim(preferred) else allocator.allocate()
        lease = _lease(allocator, node, uid, address)
        if held is not None:
            self._ended.setdefault(key, []).append(held)
        self._leases[key] = lease
        return lease

    def lease_of(self, key: PodKey, uid: str, node: str, address: str) -> Lease:
        """The pod's lease; a new one of exactly this address when it has none on this node.

        What the last pod of the same name had goes over to the next one. Raises AddressRefused, KeyError.
        """
        held = self._leases.get(key)
        if held is not None and held.uid == uid and held.node == node:
            return held
        allocator = self._subnets[node]
        former = [lease for lease in (held, *self._ended.get(key, ())) if lease is not None]
        inherits = any((lease.node, lease.address) == (node, address) for lease in former)
        if not inherits and not allocator.claim(address):
            raise AddressRefused(self._refusal(allocator, node, address))
        lease = _lease(allocator, node, uid, address)
        rest = [former_lease for former_lease in former if (former_lease.node, former_lease.address) != (node, address)]
        if rest:
            self._ended[key] = rest
        else:
            self._ended.pop(key, None)
        self._leases[key] = lease
        return lease

    def _refusal(self, allocator: SubnetAllocator, node: str, address: str) -> str:
        if not allocator.allows(address):
            return f"{address} is no address that pods of node {node} can have; its subnet is {allocator.subnet}"
        for (namespace, name), lease in self._leases.items():
            if (lease.node, lease.address) == (node, address):
                return f"{address} is the address of pod {namespace}/{name}"
        return f"{address} is in use on node {node}, or was until a moment ago"

    def end(self, key: PodKey) -> None:
        """The pod needs no address any more; it stays taken until `settle`."""
        held = self._leases.pop(key, None)
        if held is not None:
            self._ended.setdefault(key, []).append(held)

    def settle(self, key: PodKey) -> None:
        """OVN is known to show what is wanted for the pod: the addresses of its ended leases become free."""
        for lease in self._ended.pop(key, ()):
            allocator = self._subnets.get(lease.node)
            if allocator is not None and lease.address not in self._foreign.get(lease.node, ()):
                allocator.release(lease.address)

    def held(self, key: PodKey) -> Lease | None:
        """The pod's present lease."""
        return self._leases.get(key)

    def pods(self) -> tuple[PodKey, ...]:
        """Pods that hold a lease."""
        return tuple(self._leases)

    def figures(self) -> Iterator[tuple[str, int, int]]:
        """Node, addresses in use, addresses free: for metrics."""
        for node, allocator in list(self._subnets.items()):
            yield node, allocator.allocated, allocator.free


def _lease(allocator: SubnetAllocator, node: str, uid: str, address: str) -> Lease:
    interface = with_prefix(IPv4Address(address), allocator.subnet)
    return Lease(node, uid, address, interface, allocator.gateway)
