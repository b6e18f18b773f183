"""Planning and dispatch: who may draw how much, and what plans need to know."""

from gateway.domain.ids import EvseRef
from gateway.ocpp.inquiries import ChargingNeedsTold, EvScheduleTold
from gateway.services.arrivals import PastArrivals
from gateway.services.battery_plans import BatteryPlans
from gateway.services.charging_needs import ChargingNeeds
from gateway.services.churn import Churn
from gateway.services.commissioning import Commissioning
from gateway.services.dispatch import Dispatch
from gateway.services.dispatch_ports import Ports
from gateway.services.fast_loop import FastLoop
from gateway.services.load_history import LoadHistory
from gateway.services.main_meters import MainMeters
from gateway.services.need_policy import NeedPolicy
from gateway.services.needs import Needs
from gateway.services.obedience_tests import ObedienceTests
from gateway.services.retesting import Retesting
from gateway.services.sealing import seal_record
from gateway.services.solver_pool import SolverPool
from gateway.services.system_calls import ObservedStations
from gateway.wiring.base import Base
from gateway.wiring.prices import feed_in_prices, plan_prices


class Plans:
    """The solver, the dispatch of its plans, meters, needs and commissioning."""

    def __init__(self, base: Base) -> None:
        config = base.config
        self.solver = SolverPool(
            workers=config.optimizer.workers,
            deadline_s=config.optimizer.deadline_s,
            engine=config.optimizer.engine.value,
        )
        self.churn = Churn(
            lambda: {
                station.id: len(station.evses)
                for station in base.site().stations
                if station.managed and station.cabinet_id is not None
            }
        )
        self.load_history = LoadHistory(
            bus=base.bus, writer=base.writer, clock=base.clock, site=base.site
        )
        self.battery_plans = BatteryPlans()
        self.dispatch = Dispatch(
            Ports(
                site=base.site,
                stations=base.reach,
                sessions=base.queries,
                writer=base.writer,
                bus=base.bus,
                clock=base.clock,
                solver=self.solver,
                seal=seal_record,
                churn=self.churn,
                prices=plan_prices(config),
                feed_in=feed_in_prices(config),
                usual_load=self.load_history.of,
                need_defaults=NeedPolicy(base.queries, base.site),
                arrivals=PastArrivals(base.queries, base.site),
                batteries=self.battery_plans,
                step_s=config.optimizer.step_s,
                horizon_s=config.optimizer.horizon_s,
                mode=config.optimizer.mode.value,
                call_timeout_s=base.call_timeout_s,
            )
        )
        self.main_meters = MainMeters(
            bus=base.bus,
            clock=base.clock,
            site=base.site,
            put=self.dispatch.put_reading,
        )
        self.fast_loop = FastLoop(
            runners=self.dispatch.runners,
            bus=base.bus,
            clock=base.clock,
            interval_s=config.optimizer.fast_loop_s,
        )
        self.needs = Needs(
            writer=base.writer,
            queries=base.queries,
            bus=base.bus,
            clock=base.clock,
            pepper=base.pepper,
        )
        self.charging_needs = ChargingNeeds(
            site=base.site,
            sessions=base.queries,
            needs=self.needs,
            offers=self.dispatch,
            stations=base.reach,
            clock=base.clock,
            call_timeout_s=base.call_timeout_s,
        )
        base.inquiries.answer_with(ChargingNeedsTold, self.charging_needs.told)
        base.inquiries.answer_with(EvScheduleTold, self.charging_needs.scheduled)
        self.commissioning = Commissioning(
            dispatch=self.dispatch,
            stations=ObservedStations(
                base.links, log=base.command_log, clock=base.clock
            ),
            clock=base.clock,
            firmware_of=base.firmware_of,
            call_timeout_s=base.call_timeout_s,
        )
        self.obedience = ObedienceTests(
            test=self.commissioning.run,
            dispatch=self.dispatch,
            writer=base.writer,
            clock=base.clock,
            site=base.site,
            firmware_of=base.firmware_of,
        )
        self.retesting = Retesting(
            dispatch=self.dispatch,
            writer=base.writer,
            test=self.obedience.after_firmware,
            stations=lambda: [station.id for station in base.site().stations],
            firmware_of=base.firmware_of,
        )

    def limit_w(self, ref: EvseRef) -> int | None:
        """The limit of an EVSE now; ``None``: it has none."""
        now = self.dispatch.evse(ref.station_id, ref.evse_id)
        return None if now is None else now.limit_w
