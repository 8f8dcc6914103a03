# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Bringing an interface's addresses and routes to what they shall be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from ipaddress import IPv4Interface

from ovn_k8s.netlink import host_stack
from ovn_k8s.netlink.links import RTPROT_KERNEL, Link, Netlink, Route

from .recorder import Recorder


def set_up(handle: Netlink, link: Link | None, name: str, recorder: Recorder) -> None:
    """Bring the interface up; `link` None stands for one that check mode has not made."""
    if link is None:
        recorder.change(f"{name}: up")
    elif not link.up:
        recorder.change(f"{name}: up", partial(handle.set_up, link))


def set_addresses(
    handle: Netlink, link: Link | None, name: str, wanted: Collection[IPv4Interface], recorder: Recorder
) -> None:
    """Give the interface exactly these IPv4 addresses."""
    present = [address.interface for address in handle.addresses(link)] if link else []
    for address in wanted:
        if address not in present:
            recorder.change(f"{name}: address {address}", partial(handle.add_address, link, address) if link else None)
    for address in present:
        if address not in wanted:
            recorder.change(
                f"{name}: address {address} removed", partial(handle.delete_address, link, address) if link else None
            )


def set_routes(
    handle: Netlink,
    link: Link | None,
    name: str,
    wanted: Collection[Route],
    recorder: Recorder,
    *,
    exact: bool = False,
) -> None:
    """Give the interface these routes; with `exact`, no others but the kernel's own.

    Those without a next hop come first, because the others' next hops may be reached by them only.
    """
    present = [route for _, route in handle.routes(link)] if link else []
    for route in sorted(wanted, key=lambda route: bool(route.gateway)):
        if not any(_same(route, other) for other in present):
            recorder.change(
                f"{name}: route {describe(route)}", partial(handle.replace_route, link, route) if link else None
            )
    if exact:
        keys = {(route.destination, route.metric) for route in wanted}
        for route in present:
            if route.protocol != RTPROT_KERNEL and (route.destination, route.metric) not in keys:
                recorder.change(
                    f"{name}: route {describe(route)} removed",
                    partial(handle.delete_route, link, route) if link else None,
                )


def set_settings(name: str, wanted: Mapping[str, str], recorder: Recorder) -> None:
    """Give an interface that exists these settings (see `ovn_k8s.netlink.host_stack`)."""
    present = host_stack.read(name)
    for setting, value in wanted.items():
        if setting in present and present[setting] != value:
            recorder.change(f"{name}: {setting} = {value}", partial(host_stack.write, name, {setting: value}))


def describe(route: Route) -> str:
    """A route in words."""
    words = [route.destination]
    words += ["via", route.gateway] if route.gateway else []
    words += ["src", route.source] if route.source else []
    words += ["metric", str(route.metric)] if route.metric else []
    return " ".join(words)


def _same(one: Route, other: Route) -> bool:
    """Equal but for the protocol, which only says who made it."""
    return (one.destination, one.gateway, one.source, one.metric) == (
        other.destination,
        other.gateway,
        other.source,
        other.metric,
    )
