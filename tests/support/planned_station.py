"""Simulated stations that charge to a plan, so that every bill is known beforehand.

What they send is settled by a seed; wire and queue are those of the simulator. All
sessions lie in the past, as after an outage, so nothing waits for time to pass.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from sim_chargers.clock import SiteClock, to_wire
from sim_chargers.frames import Payload
from sim_chargers.outbox import Message, Outbox
from sim_chargers.outcomes import Answer, NoAnswer, Outcome, Reply
from sim_chargers.wire import Link
from tests.support.queue_station import PASSWORD, accept

CALL_TIMEOUT_S: Final = 0.5
PAUSE_S: Final = 0.02
PATIENCE: Final = 1.5
"""How much longer it waits after each answer in a row that did not come in time."""
MAX_CALL_TIMEOUT_S: Final = 10.0
MAX_SILENT: Final = 5
"""Answers missing in a row after which a station connects anew."""
TAG: Final = "PLANNED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSession:
    """One charge.

    Attributes:
        samples: Moment and register in Wh: begin, in between, end.
    """

    samples: tuple[tuple[datetime, int], ...]

    @property
    def energy_wh(self) -> int:
        """End less begin."""
        return self.samples[-1][1] - self.samples[0][1]


def plan(
    seed: int, station_id: str, n_session: int, begin: datetime
) -> list[PlannedSession]:
    """Charges one after the other on one meter."""
    dice = Random(f"{seed}/{station_id}")  # noqa: S311 - no secret
    at, register_wh = begin, dice.randrange(1_000_000)
    sessions = []
    for _ in range(n_session):
        samples = [(at, register_wh)]
        for _ in range(dice.randint(1, 3)):
            seconds = dice.randint(20, 120)
            at += timedelta(seconds=seconds)
            register_wh += dice.randint(1, 6 * seconds)  # below 22 kW
            samples.append((at, register_wh))
        sessions.append(PlannedSession(samples=tuple(samples)))
        at += timedelta(seconds=dice.randint(5, 60))
    return sessions


@dataclass(slots=True)
class PlannedStation:
    """Sends its planned sessions until every message is answered.

    Attributes:
        refused: Transaction messages that were answered with an error.
        n_hung_up: Times it took a connection for dead.
    """

    station_id: str
    subprotocol: str
    url: str
    sessions: list[PlannedSession]
    seed: int
    link: Link = field(init=False)
    outbox: Outbox = field(init=False)
    refused: list[str] = field(default_factory=list)
    n_hung_up: int = 0
    _n_silent: int = 0

    def __post_init__(self) -> None:
        """Queue everything; nothing is sent before `run`."""
        self.link = Link(
            urls=[self.url],
            station_id=self.station_id,
            subprotocol=self.subprotocol,
            password=PASSWORD,
            peer=self,
            rng=Random(f"{self.seed}/{self.station_id}/wire"),  # noqa: S311 - no secret
            call_timeout_s=CALL_TIMEOUT_S,
        )
        self.outbox = Outbox(
            link=self.link, clock=SiteClock(), no_answer_pause_s=PAUSE_S
        )
        for number, session in enumerate(self.sessions):
            if self.subprotocol == "ocpp1.6":
                self._queue_1_6(session)
            else:
                self._queue_2_0_1(number, session)

    async def run(self) -> None:
        """Send all of it."""
        async with asyncio.TaskGroup() as group:
            work = [
                group.create_task(self.link.run()),
                group.create_task(self.outbox.run()),
            ]
            while len(self.outbox):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
            for task in work:
                task.cancel()

    # What the link asks; see `sim_chargers.wire.Peer`.

    def note(self, action: str, payload: Payload, outcome: Outcome, ours: bool) -> None:
        """Remember refusals of what bills; leave a connection that is dead."""
        if ours:
            self._listen(outcome)
        if (
            ours
            and action != "BootNotification"
            and type(outcome).__name__ == "Refusal"
        ):
            self.refused.append(f"{action} {payload}: {outcome}")

    async def on_online(self) -> None:
        """Boot until accepted, then send."""
        self._n_silent = 0
        boot: dict[str, Any] = (
            {"chargePointVendor": "Plan", "chargePointModel": "One"}
            if self.subprotocol == "ocpp1.6"
            else {
                "reason": "PowerUp",
                "chargingStation": {"vendorName": "Plan", "model": "One"},
            }
        )
        while True:
            outcome = await self.link.call("BootNotification", boot)
            if isinstance(outcome, Answer):
                assert outcome.payload["status"] == "Accepted"
                break
            await asyncio.sleep(PAUSE_S)
        self.outbox.open()

    def on_offline(self) -> None:
        """Keep what is not answered."""
        self.outbox.close()

    def on_call(self, action: str, payload: Payload) -> Reply:
        """Take everything."""
        return Reply(payload=accept(action, dict(payload)))

    def _listen(self, outcome: Outcome) -> None:
        if not isinstance(outcome, NoAnswer):
            self._n_silent = 0
            self.link.call_timeout_s = CALL_TIMEOUT_S
            return
        self._n_silent += 1
        longer_s = self.link.call_timeout_s * PATIENCE
        self.link.call_timeout_s = min(MAX_CALL_TIMEOUT_S, longer_s)
        if self._n_silent == MAX_SILENT:
            self.n_hung_up += 1
            self.link.unplug_cable()
            self.link.plug_cable()

    def _queue_1_6(self, session: PlannedSession) -> None:
        known: dict[str, Any] = {}
        (begin, start_wh), *between, (end, stop_wh) = session.samples
        start = {
            "connectorId": 1,
            "idTag": TAG,
            "meterStart": start_wh,
            "timestamp": to_wire(begin),
        }
        self._put("StartTransaction", start, tell=known)
        for at, wh in between:
            sample = {"timestamp": to_wire(at), "sampledValue": [{"value": str(wh)}]}
            self._put("MeterValues", {"connectorId": 1, "meterValue": [sample]}, known)
        stop = {"meterStop": stop_wh, "timestamp": to_wire(end), "reason": "Local"}
        self._put("StopTransaction", stop, known)

    def _queue_2_0_1(self, number: int, session: PlannedSession) -> None:
        last = len(session.samples) - 1
        for seq_no, (at, wh) in enumerate(session.samples):
            kind, trigger, context = (
                ("Started", "Authorized", "Transaction.Begin")
                if seq_no == 0
                else ("Ended", "EVDeparted", "Transaction.End")
                if seq_no == last
                else ("Updated", "MeterValuePeriodic", "Sample.Periodic")
            )
            value = {
                "value": wh,
                "measurand": "Energy.Active.Import.Register",
                "context": context,
            }
            payload: dict[str, Any] = {
                "eventType": kind,
                "timestamp": to_wire(at),
                "triggerReason": trigger,
                "seqNo": seq_no,
                "transactionInfo": {"transactionId": f"{self.station_id}-{number}"},
                "meterValue": [{"timestamp": to_wire(at), "sampledValue": [value]}],
            }
            if seq_no == 0:
                payload["evse"] = {"id": 1, "connectorId": 1}
                payload["idToken"] = {"idToken": TAG, "type": "ISO14443"}
            self._put("TransactionEvent", payload)

    def _put(
        self,
        action: str,
        payload: dict[str, Any],
        late: dict[str, Any] | None = None,
        *,
        tell: dict[str, Any] | None = None,
    ) -> None:
        def answered(answer: Payload) -> None:
            if tell is not None:
                tell["transactionId"] = answer["transactionId"]

        self.outbox.put(
            Message(
                action=action,
                build=lambda: {**payload, **(late or {})},
                durable=True,
                on_answer=answered,
            )
        )
