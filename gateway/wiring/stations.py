"""Stations: their registration, set-up and device model, and the commands they get."""

from gateway.services.command_effects import CommandEffects
from gateway.services.command_queue import CommandQueue
from gateway.services.device import make_device
from gateway.services.device_records import DeviceRecords
from gateway.services.gap_watch import GapWatch
from gateway.services.registration import Registration
from gateway.services.restarts import Restarts
from gateway.services.setup import SetupParts, StationSetup
from gateway.services.station_calls import StationCalls
from gateway.services.system_calls import SystemCalls
from gateway.wiring.base import Base
from gateway.wiring.plans import Plans


class Stations:
    """What we keep of stations and ask of them.

    Attributes:
        system: Calls that the gateway makes by itself, kept as commands.
        calls: Calls on an operator's order; their answers have observers.
        queue: Commands that wait for their station.
    """

    def __init__(self, base: Base, plans: Plans) -> None:
        config = base.config
        self.restarts = Restarts(base.directory)
        self.system = SystemCalls(
            base.reach,
            log=base.command_log,
            clock=base.clock,
            on_answer=self.restarts.answered,
        )
        self.device = make_device(
            reach=base.reach,
            writer=base.writer,
            queries=base.queries,
            directory=base.directory,
            bus=base.bus,
            clock=base.clock,
            wall_clock=base.wall_clock,
            ocpp=config.ocpp,
        )
        self.registration = Registration(
            reach=base.reach,
            directory=base.directory,
            bus=base.bus,
            call_timeout_s=base.call_timeout_s,
        )
        self.setup = StationSetup(
            SetupParts(
                stations=self.system,
                directory=base.directory,
                queries=base.queries,
                writer=base.writer,
                clock=base.clock,
                configuration=self.device.configuration,
                reports=self.device.reports,
            ),
            sample_interval_s=config.ocpp.sample_interval_s,
            ping_interval_s=config.ocpp.ping_interval_s,
            regime=config.billing.regime,
            call_timeout_s=base.call_timeout_s,
        )
        self.gaps = GapWatch(
            stations=self.system,
            sessions=base.queries,
            bus=base.bus,
            is_managed=base.is_managed,
            call_timeout_s=base.call_timeout_s,
        )
        self.calls = StationCalls(
            links=base.reach,
            directory=base.directory,
            writer=base.writer,
            clock=base.clock,
            log=base.command_log,
        )
        self.calls.observe(DeviceRecords(base.writer).observe)
        self.calls.observe(self.restarts.observe)
        self.calls.observe(self.device.networks.observe)
        self.effects = CommandEffects(
            log=base.command_log,
            queries=base.queries,
            bus=base.bus,
            evse_ids=base.evse_ids,
            clock=base.clock,
        )
        self.queue = CommandQueue(
            log=base.command_log,
            calls=self.calls,
            links=base.links,
            directory=base.directory,
            guard=plans.dispatch.operator_guard,
            writer=base.writer,
            bus=base.bus,
            clock=base.clock,
        )
