# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Figures in the Prometheus text format, version 0.0.4.

Written here and not taken from a client library: a hundred lines, no further package on the masters, and no lock in the
path of a pod that we do not know.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

Labels = Mapping[str, str]
Sample = tuple[Labels, float]

LATENCY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)


class Counter:
    """A number that only grows, one for each value of one label."""

    def __init__(self, name: str, text: str, label: str = "") -> None:
        self.name, self.text, self._label = name, text, label
        self._values: dict[str, float] = {} if label else {"": 0.0}
        self._lock = threading.Lock()

    def add(self, amount: float = 1.0, value: str = "") -> None:
        """Count; `value` is the label's."""
        with self._lock:
            self._values[value] = self._values.get(value, 0.0) + amount

    def get(self, value: str = "") -> float:
        """The count."""
        return self._values.get(value, 0.0)

    def lines(self) -> Iterable[str]:
        """In the text format."""
        yield from _head(self.name, self.text, "counter")
        for value, count in sorted(self._values.items()):
            yield f"{self.name}{_labels({self._label: value} if self._label else {})} {_number(count)}"


class Gauge:
    """Numbers that are asked for when somebody reads them."""

    def __init__(self, name: str, text: str, read: Callable[[], float | Iterable[Sample]]) -> None:
        self.name, self.text, self._read = name, text, read

    def lines(self) -> Iterable[str]:
        """In the text format."""
        yield from _head(self.name, self.text, "gauge")
        result = self._read()
        for labels, value in [({}, result)] if isinstance(result, (int, float)) else result:
            yield f"{self.name}{_labels(labels)} {_number(value)}"


class Histogram:
    """How many observations were at most how large."""

    def __init__(self, name: str, text: str, buckets: tuple[float, ...] = LATENCY_BUCKETS_S) -> None:
        self.name, self.text, self._buckets = name, text, buckets
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count one observation."""
        with self._lock:
            self._counts[bisect_left(self._buckets, value)] += 1
            self._sum += value

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self._counts)

    def lines(self) -> Iterable[str]:
        """In the text format."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        yield from _head(self.name, self.text, "histogram")
        below = 0
        for bound, count in zip((*map(_number, self._buckets), "+Inf"), counts, strict=True):
            below += count
            yield f'{self.name}_bucket{{le="{bound}"}} {below}'
        yield f"{self.name}_sum {total:.6f}"
        yield f"{self.name}_count {below}"


Metric = Counter | Gauge | Histogram


def exposition(metrics: Iterable[Metric]) -> str:
    """The whole page."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _head(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    quoted = (
        (name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels.items()
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in quoted) + "}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
