# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the service does: keep the node's networks right, and answer CNI.

Level-triggered: each round compares what HNS has with what is wanted, so it makes no difference whether a network was
lost at a restart, removed by a person, or never made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ovn_k8s.core.hns.errors import HnsError
from ovn_k8s.core.hns.plan import Inventory, Plan

from . import hybrid_overlay, source_vip, transparent
from .api import ApiError
from .config import NETWORK, NodeConfig
from .host_network import Hcn, carry_out, read_inventory
from .hybrid_overlay import Peer
from .logical_ports import LogicalPorts

LOG = logging.getLogger(__name__)

ROUND_SECONDS = 30.0
FIRST_DELAY_SECONDS = 1.0


class Agent:
    """Runs rounds until it is stopped.

    `peers` gives the other nodes, or None while nobody knows them; `announce` tells the cluster to which MAC address
    the overlay router of this node answers. With Open vSwitch on the node there is neither; `logical` knows of it then.
    `settle` is called at the end of each round, and says whether there is something for which the next one should
    come soon.
    """

    def __init__(
        self,
        library: Hcn,
        config: NodeConfig,
        peers: Callable[[], tuple[Peer, ...] | None] = lambda: None,
        announce: Callable[[str], None] = lambda router_mac: None,
        *,
        logical: LogicalPorts | None = None,
        settle: Callable[[], bool] = lambda: False,
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._library = library
        self._config = config
        self._peers = peers
        self._announce = announce
        self._logical = logical
        self._settle = settle
        self._round_seconds = round_seconds
        self._stop = threading.Event()
        self._look = threading.Event()
        self.ready = threading.Event()
        """The networks have been right once."""

    def look(self) -> None:
        """Something may have changed: do not wait for the next round."""
        self._look.set()

    def stop(self) -> None:
        self._stop.set()
        self._look.set()

    def run(self) -> None:
        """Rounds, until `stop`. What failed is tried again, slower each time up to the length of a round."""
        delay = FIRST_DELAY_SECONDS
        while not self._stop.is_set():
            told = self._look.is_set()
            self._look.clear()
            delay = FIRST_DELAY_SECONDS if told else delay
            try:
                if self.round():
                    self._look.wait(delay)
                    delay = min(delay * 2, self._round_seconds)
                    continue
                delay = FIRST_DELAY_SECONDS
                self._look.wait(self._round_seconds)
            except (HnsError, ApiError) as error:
                LOG.error("the network of this node is not right: %s", error)
                self._look.wait(delay)
                delay = min(delay * 2, self._round_seconds)
            except Exception:
                # Without this thread the networks would never be looked at again, and nobody would see it.
                LOG.exception("the network of this node could not be looked at")
                self._look.wait(self._round_seconds)

    def round(self) -> bool:
        """Look once, and change what is not as it should be; whether the next look should come soon.

        Raises HnsError, and ApiError when nobody can be told.
        """
        actual = read_inventory(self._library)
        while plan := self._plan(actual):
            LOG.info("to do: %s", "; ".join(map(str, plan.actions)))
            carry_out(self._library, plan, actual)
            LOG.info("done")
            actual = read_inventory(self._library)
            if self._logical is None:
                break
        self.ready.set()
        if self._logical is None:
            source_vip.ensure(self._library, self._config, actual)
        unsettled = self._settle()
        router_mac = next((network.router_mac for network in actual.networks if network.name == NETWORK), "")
        if router_mac:
            self._announce(router_mac)
        return unsettled

    def _plan(self, actual: Inventory) -> Plan:
        if self._logical is not None:
            return transparent.plan(self._config, actual, bridges=self._logical.has_bridge)
        return hybrid_overlay.plan(self._config, self._peers(), actual)
