"""Figures for Prometheus: counts and times alone, by route and status. No text, id or score is among them.

Each application has a registry of its own. What can be looked up when asked for is not counted along.
"""

from collections.abc import Callable, Iterable
from functools import cache
from http import HTTPMethod

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

MEDIA_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset(HTTPMethod)  # of other names there are endlessly many
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counts requests, and shows them with what `look_up` gives: name and help, label, and values by label."""

    def __init__(self, look_up: "Callable[[], Iterable[Figure]]") -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("dualuse_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "dualuse_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._documents = Counter("dualuse_documents", "Documents judged in requests.", registry=self._registry)
        self._registry.register(_LookUp(look_up))
        # Finding a label's figures costs more than adding to them; there are as many kinds as the figures have lines.
        self._kind = cache(self._find)

    def count(self, method: str, route: str | None, status: int | None, seconds: float, documents: int) -> None:
        """Count a request; as `RequestLog` tells."""
        requests, times = self._kind(method if method in _METHODS else "other", route or "none", status or 0)
        requests.inc()
        times.observe(seconds)
        self._documents.inc(documents)

    def _find(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, str(status)), self._seconds.labels(route)

    def render(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)


Figure = tuple[str, str, str, dict[str, float]]
"""Name, help, the label's name ("": none, the one value stands under ""), and the values by label."""


class _LookUp(Collector):
    def __init__(self, look_up: Callable[[], Iterable[Figure]]) -> None:
        self._look_up = look_up

    def describe(self) -> Iterable[Metric]:
        return []  # else it would be collected at once, before there is anything to look up

    def collect(self) -> Iterable[Metric]:
        for name, help_text, label, values in self._look_up():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(name, help_text, labels=[label] if label else [])
            for value, number in values.items():
                family.add_metric([value] if label else [], number)
            yield family
