"""Prometheus metrics, collected when asked: nothing is counted twice."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.services.anchoring import Anchoring
from gateway.services.ingest import Ingest
from gateway.services.store_watch import StoreWatch
from gateway.store.writer import Writer

PREFIX: Final = "wattproof_"

COUNTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "messages": "CALLs received from stations",
        "messages_refused": "CALLs answered with a CALLERROR",
        "messages_unanswered": "CALLs left unanswered: nothing could be stored",
        "messages_repeated": (
            "CALLs whose facts were stored before: answered, without a second effect"
        ),
        "store_commits": "Group commits that reached the disk",
        "store_jobs": "Pieces of work in those commits",
        "store_failed_groups": "Group commits that did not reach the disk",
        "store_hung_up": "Connections closed because nothing could be stored for long",
        "store_shed": "States, reports and refused frames not taken, for transactions",
    }
)
"""What is counted since the start of the process; shown with ``_total``."""

GAUGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "stations_online": "Stations connected now",
        "stations_legacy_tls": (
            "Stations that last came in by the legacy TLS port, since the start"
        ),
        "store_pending": "Pieces of work that wait for a commit",
        "store_last_commit_seconds": "How long the last commit took on the disk",
        "store_blocked_seconds": "For how long nothing has been stored",
        "ledger_backlog_leaves": "Records that no anchored head covers yet",
        "ledger_anchored_size": "Records that the newest anchored head covers",
        "ledger_settlements_pending": "Bills on their way to the chain",
        "ledger_alarms": "Alarms of the evidence, listed by GET /api/v1/ledger",
    }
)
"""What is so at the moment it is asked."""


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
        n_legacy_tls: Callable[[], int],
        watch: StoreWatch,
        more: Callable[[], Mapping[str, tuple[str, float]]] = dict,
    ) -> None:
        self._ingest = ingest
        self._writer = writer
        self._anchoring = anchoring
        self._n_online = n_online
        self._n_legacy_tls = n_legacy_tls
        self._watch = watch
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
        counted = {
            "messages": messages.messages,
            "messages_refused": messages.refused,
            "messages_unanswered": messages.unanswered,
            "messages_repeated": messages.repeated,
            "store_commits": store.commits,
            "store_jobs": store.jobs,
            "store_failed_groups": store.failed_groups,
            "store_hung_up": self._watch.n_hung_up,
            "store_shed": store.shed,
        }
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"{PREFIX}{name}", text, value=counted[name])
        found: dict[str, float] = {
            "stations_online": self._n_online(),
            "stations_legacy_tls": self._n_legacy_tls(),
            "store_pending": self._writer.pending,
            "store_last_commit_seconds": store.last_commit_s,
            "store_blocked_seconds": self._watch.blocked_s,
            "ledger_backlog_leaves": evidence.backlog,
            "ledger_anchored_size": evidence.anchored_size,
            "ledger_settlements_pending": evidence.settlements_pending,
            "ledger_alarms": len(evidence.alarms),
        }
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"{PREFIX}{name}", text, value=found[name])
        for name, (text, value) in self._more().items():
            yield GaugeMetricFamily(f"{PREFIX}{name}", text, value=value)
