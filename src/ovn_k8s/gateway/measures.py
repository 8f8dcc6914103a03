# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The helper's figures."""

from __future__ import annotations

from collections.abc import Callable

from ovn_k8s.daemon.metrics import Counter, Gauge, Histogram, Metric, exposition


class Measures:
    """Figures about the flows; `flows` and `connected` are asked when somebody reads them."""

    def __init__(self, flows: Callable[[], int], connected: Callable[[], bool]) -> None:
        self.writes = Counter(
            "ovn_k8s_gateway_flow_writes_total",
            "How often all flows were written, by reason: connected, changed, tampered.",
            "reason",
        )
        self.write_seconds = Histogram("ovn_k8s_gateway_flow_write_seconds", "Time to write all flows in one bundle.")
        self.failures = Counter(
            "ovn_k8s_gateway_failures_total", "Failures, by what failed: openflow, ovsdb, host.", "what"
        )
        self._metrics: tuple[Metric, ...] = (
            self.writes,
            self.write_seconds,
            self.failures,
            Gauge("ovn_k8s_gateway_flows", "Flows on the bridge that are ours.", flows),
            Gauge("ovn_k8s_gateway_connected", "1 while connected to the bridge.", lambda: float(connected())),
        )

    def exposition(self) -> str:
        """All figures in the Prometheus text format."""
        return str(exposition(self._metrics))
