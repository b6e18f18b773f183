"""Prometheus metrics, collected when asked: nothing is counted twice."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.services.anchoring import Anchoring
from gateway.services.ingest import Ingest
from gateway.store.writer import Writer


class Metrics(Collector):
    """What ``/metrics`` shows.

    Args:
        more: Gauges of other parts: text and value by name.
    """

    def __init__(
        self,
        *,
        ingest: Ingest,
        writer: Writer,
        anchoring: Anchoring,
        n_online: Callable[[], int],
        more: Callable[[], Mapping[str, tuple[str, float]]] = dict,
    ) -> None:
        self._ingest = ingest
        self._writer = writer
        self._anchoring = anchoring
        self._n_online = n_online
        self._more = more
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)

    @override
    def collect(self) -> Iterator[Metric]:
        """Read every counter now."""
        messages, store = self._ingest.counters, self._writer.counters
        evidence = self._anchoring.state
        yield from (
            _counter("messages", "CALLs received", messages.messages),
            _counter("messages_refused", "CALLs answered CALLERROR", messages.refused),
            _counter(
                "messages_unanswered",
                "CALLs left unanswered because nothing could be stored",
                messages.unanswered,
            ),
            _counter("messages_repeated", "Repetitions", messages.repeated),
            _gauge("stations_online", "Stations connected", self._n_online()),
            _counter("store_commits", "Group commits", store.commits),
            _counter("store_jobs", "Jobs in group commits", store.jobs),
            _counter("store_failed_groups", "Groups that failed", store.failed_groups),
            _gauge("store_pending", "Jobs waiting for a commit", self._writer.pending),
            _gauge("store_last_commit_seconds", "Last commit", store.last_commit_s),
            _gauge("ledger_backlog_leaves", "Leaves not anchored", evidence.backlog),
            _gauge("ledger_anchored_size", "Size anchored", evidence.anchored_size),
            _gauge(
                "ledger_settlements_pending",
                "Settlements not on chain",
                evidence.settlements_pending,
            ),
            _gauge("ledger_alarms", "Alarms of the evidence", len(evidence.alarms)),
        )
        for name, (text, value) in self._more().items():
            yield _gauge(name, text, value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"wattproof_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"wattproof_{name}", text, value=value)
