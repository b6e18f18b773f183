"""The OCPP port: who is let in, in which version, and where its messages go."""

import asyncio
import time
import uuid

from gateway.domain.ids import IdToken, StationId
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.rpc import Endpoint
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.server.link import FrameSink
from gateway.server.listener import Listener, ListenerOptions
from gateway.services.admission import Admission, AdmissionRules
from gateway.services.ingest import Ingest, StationContext
from gateway.services.reach import likely_answer
from gateway.services.sealing import LogSealer
from gateway.services.shortcuts import shortcut_failed
from gateway.services.store_watch import StoreWatch
from gateway.store.entry import Hooks, TokenDecision
from gateway.store.sqlite import Store
from gateway.wiring.base import Base
from gateway.wiring.exchange import Exchange
from gateway.wiring.stations import Stations


def adapters(*, is_strict: bool = False) -> dict[str, Adapter]:
    """The dialects that are spoken, by subprotocol."""
    return {
        one.subprotocol: one
        for one in (
            V16(is_strict=is_strict, on_failure=shortcut_failed),
            V201(is_strict=is_strict, on_failure=shortcut_failed),
        )
    }


class Port:
    """Takes what stations say to the journal, and the parts told about it first."""

    def __init__(self, base: Base, stations: Stations, exchange: Exchange) -> None:
        self._base = base
        self._stations = stations
        self._drivers = exchange.drivers
        self._vet = exchange.certificates.clients.problem
        ocpp = base.config.ocpp
        self.ingest = Ingest(
            log=Store(
                base.writer,
                Hooks(
                    judge=self._drivers.authorizer,
                    sealer=LogSealer(tariff_id_of=base.tariff_id_of),
                    rating=base.rating_w,
                ),
            ),
            jobs=base.writer,
            bus=base.bus,
            clock=base.clock,
            loop_time=asyncio.get_running_loop().time,
            heartbeat_interval_s=ocpp.heartbeat_interval_s,
            pending_retry_s=ocpp.pending_retry_s,
            on_gap=stations.gaps.noticed,
            total_cost=self._drivers.costs.total_cost,
            final_cost=self._drivers.final_costs.ask,
            inquire=base.inquiries.ask,
            on_boot=self._booted,
            on_presented=self._presented,
        )

        self.store_watch = StoreWatch(
            probes=base.writer,
            messages=self.ingest,
            hang_up=base.links.close_waiting,
            timeout_s=ocpp.message_timeout_s,
        )

    def listener(self) -> Listener:
        """The OCPP port, not opened yet."""
        config, base = self._base.config, self._base
        server, tls = config.server, config.ocpp.tls
        return Listener(
            options=ListenerOptions(
                host=server.ocpp_host,
                port=server.ocpp_port,
                max_frame_bytes=server.max_frame_bytes,
                compression=server.compression,
                tls=tls,
            ),
            adapters=adapters(),
            strict_adapters=adapters(is_strict=True),
            gate=Admission(
                rules=AdmissionRules(
                    allow_unauthenticated=config.security.allow_unauthenticated,
                    auto_accept_stations=config.security.auto_accept_stations,
                    heartbeat_interval_s=config.ocpp.heartbeat_interval_s,
                    strict=config.ocpp.strict,
                    organization=None if tls is None else tls.organization,
                ),
                directory=base.directory,
                pepper=base.pepper,
                clock=base.clock,
                monotonic=time.monotonic,
                vet=self._vet,
            ),
            links=base.links,
            clock=base.clock,
            make_endpoint=lambda: Endpoint(lambda: uuid.uuid4().hex),
            make_sink=self._sink,
            is_shut=lambda: self.store_watch.is_shut,
        )

    def _sink(self, station_id: StationId, adapter: Adapter, remote: str) -> FrameSink:
        entry = self._base.directory.find(station_id)
        context = StationContext(
            station_id=station_id,
            adapter=adapter,
            is_accepted=(
                entry is not None
                and entry.accepted_at is not None
                and entry.registration == "Accepted"
            ),
            remote=remote,
            boot_answer=None if entry is None else likely_answer(entry),
        )
        self._base.reach.connected(context)
        return self.ingest.sink(context)

    def _booted(self, station: StationContext, registration: str) -> None:
        if registration == "Accepted":
            self._stations.setup.booted(station.station_id)
            self._stations.queue.booted(station.station_id)
            self._drivers.booted(station.station_id)

    def _presented(
        self, station: StationContext, token: IdToken, decision: TokenDecision
    ) -> None:
        self._drivers.pricing.presented(station.station_id, token, decision.status)
