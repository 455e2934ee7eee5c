"""
Metrics of the server, for Prometheus.

They contain no organisation and no usage of one, since those who operate the server need not have access to usage.
Every metric belongs to one `Health`, so that a process can have several.
"""

import logging
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from time import monotonic

from msgspec.structs import replace
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from meterboard.clock import Clock
from meterboard.service.ingest.intake import Receipt
from meterboard.service.jobs.schedule import Job

log = logging.getLogger("meterboard.health")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 20_000)


class Health:
    """Collects metrics. Every method may be called from any thread and takes microseconds."""

    def __init__(self, version: str, clock: Clock) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        events = self._counter("events", "Events that could be read, by their outcome.", "outcome")
        self._accepted, self._duplicate = events.labels("accepted"), events.labels("duplicate")
        self._rejected = self._counter("events_rejected", "Events that were rejected, by code.", "code")
        self._commit_seconds = self._histogram("commit_seconds", "How long commits took.", SECONDS)
        self._commit_events = self._histogram("commit_events", "Events in a commit.", SIZES)
        self._failed_commits = self._counter(
            "commits_failed", "Commits that failed: none of their events was stored."
        )
        self._requests = self._counter(
            "http_requests", "HTTP requests answered, by class of status.", "status"
        )
        self._classes = [self._requests.labels(f"{first}xx") for first in range(1, 6)]
        self._job_seconds = self._gauge("job_duration_seconds", "How long the last run of a job took.", "job")
        self._succeeded = self._gauge("job_last_success_timestamp_seconds", "When a job last ran.", "job")
        self._failed = self._gauge("job_last_failure_timestamp_seconds", "When a job last failed.", "job")
        self._failures = self._counter("job_failures", "Runs of a job that failed.", "job")
        self._gauge("build_info", "Always 1; the running version.", "version").labels(version).set(1)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, namespace="meterboard", registry=self._registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, namespace="meterboard", registry=self._registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, about, namespace="meterboard", registry=self._registry, buckets=buckets)

    def watch(
        self, *, waiting: Callable[[], int], max_waiting: int, watermark: Callable[[], datetime]
    ) -> None:
        """Adds metrics that are read when they are requested."""
        self._registry.register(_State(self._clock, waiting, max_waiting, watermark))

    def received(self, receipt: Receipt) -> None:
        """Counts the events of a request by their outcome."""
        if receipt.accepted:
            self._accepted.inc(receipt.accepted)
        if receipt.duplicates:
            self._duplicate.inc(receipt.duplicates)
        for rejection in receipt.rejected:
            self._rejected.labels(rejection.code).inc()

    def committed(self, events: int, seconds: float) -> None:
        """Records the size and the duration of a commit."""
        self._commit_events.observe(events)
        self._commit_seconds.observe(seconds)

    def commit_failed(self) -> None:
        """Counts a failed commit."""
        self._failed_commits.inc()

    def answered(self, status: int) -> None:
        """Counts an HTTP response by the class of its status."""
        self._classes[status // 100 - 1].inc()

    def watched(self, job: Job) -> Job:
        """Returns a job that records its duration and its failures."""
        name = job.name
        self._failures.labels(name)  # 0 from the start, so that the first failure is an increase

        def run(due: datetime) -> None:
            began = monotonic()
            try:
                job.run(due)
            except BaseException:
                self._failures.labels(name).inc()
                self._failed.labels(name).set(self._clock.now().timestamp())
                raise
            self._job_seconds.labels(name).set(monotonic() - began)
            self._succeeded.labels(name).set(self._clock.now().timestamp())

        return replace(job, run=run)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Returns all metrics in the text format that an Accept header asks for, and its Content-Type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _State(Collector):
    """Metrics of the present state."""

    def __init__(
        self, clock: Clock, waiting: Callable[[], int], max_waiting: int, watermark: Callable[[], datetime]
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._max_waiting = max_waiting
        self._watermark = watermark

    def collect(self) -> Iterator[GaugeMetricFamily]:
        watermark = self._watermark_seconds()
        for name, about, value in (
            ("queue_events", "Events that wait for a commit.", self._waiting()),
            ("queue_limit_events", "Events that may wait; beyond it senders get 503.", self._max_waiting),
            ("watermark_timestamp_seconds", "Statistics cover events that were received before.", watermark),
            (
                "refresh_age_seconds",
                "How old the statistics are.",
                self._clock.now().timestamp() - watermark,
            ),
            (
                "clock_behind_seconds",
                "How far the clock is behind the statistics, after it was set back; usually 0.",
                max(0.0, watermark - self._clock.now().timestamp()),
            ),
        ):
            yield GaugeMetricFamily(f"meterboard_{name}", about, value)

    def _watermark_seconds(self) -> float:
        try:
            return self._watermark().timestamp()
        except Exception:  # a store that can't be read must not hide the other metrics
            log.exception("The watermark can't be read")
            return math.nan
