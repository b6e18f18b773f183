"""What a flow has at hand: the station, its driver, and the ear on the wire."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sim_chargers.charger import Charger
from sim_chargers.connector import Connector, Transaction
from sim_chargers.frames import Payload
from sim_chargers.journal import Exchange
from sim_chargers.twists import Twist
from sim_chargers.vehicle import Vehicle

BOTH: Final = ("1.6", "2.0.1")
V16: Final = ("1.6",)
V201: Final = ("2.0.1",)
DEFAULT_TOKENS: Final = ("SIMTOKEN01", "SIMTOKEN02")
LOOK_S: Final = 0.05  # real seconds between looks at something that tells nobody
EVSE: Final = 1  # where flows take place
SETTLE_S: Final = 5.0  # site seconds between a driver's steps


class FlowFailedError(Exception):
    """The central system, or the station, did not do what the flow is about."""


class Verdict(StrEnum):
    """How a flow ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A named story.

    Attributes:
        line: What the station does, for the list.
        waits_for: What the central system has to call; empty: the station begins.
    """

    name: str
    line: str
    play: "Callable[[Stage], Awaitable[None]]"
    waits_for: tuple[str, ...] = ()
    versions: tuple[str, ...] = BOTH


class Stage:
    """One station on which one flow is played."""

    def __init__(
        self, station: Charger, flow: Flow, tokens: tuple[str, ...] = DEFAULT_TOKENS
    ) -> None:
        """Look at the wire from now on."""
        self.station = station
        self.flow = flow
        self.tokens = tokens if len(tokens) > 1 else (*tokens, *DEFAULT_TOKENS)[:2]
        self.waits = "the beginning"
        self._since = station.journal.n_noted
        self._used: set[int] = set()

    @property
    def connector(self) -> Connector:
        """The connector at which the flow takes place."""
        return self.station.connectors[EVSE]

    @property
    def transaction(self) -> Transaction:
        """The transaction that runs there."""
        found = self.connector.transaction
        self.check(found is not None, "no transaction is running")
        assert found is not None, "just checked"
        return found

    def check(self, condition: object, text: str) -> None:
        """Fail the flow with a text unless something is true."""
        if not condition:
            raise FlowFailedError(text)

    def twist(self, twist: Twist) -> None:
        """Let the station fare badly from now on, until the flow ends."""
        self.station.twists.add(twist)

    def untwist(self, twist: Twist) -> None:
        """Let the station fare well again."""
        self.station.twists.discard(twist)

    async def heard(
        self, *actions: str, answered: str | None = None, **members: object
    ) -> Exchange:
        """Wait for a call of the central system, whatever came in between.

        Args:
            actions: One of these.
            answered: The status that the station answered with; None for any.
            members: What the payload has to contain.
        """
        return await self._match(actions, members, is_ours=False, answered=answered)

    async def sent(
        self, *actions: str, answered: str | None = None, **members: object
    ) -> Exchange:
        """Wait until a message of the station has its answer; as :meth:`heard`."""
        return await self._match(actions, members, is_ours=True, answered=answered)

    async def say(self, action: str, payload: Payload) -> Payload:
        """Call the central system; the flow fails without a proper answer."""
        self.waits = f"an answer to {action}"
        answer = await self.station.ask(action, payload)
        self.check(answer is not None, f"{action} was refused or not answered")
        assert answer is not None, "just checked"
        self.tell(f"sent {action}")
        return answer

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that happens in the station."""
        self.waits = what
        while not condition():  # noqa: ASYNC110 - physics tells nobody
            await asyncio.sleep(LOOK_S)
        self.tell(what)

    async def settle(self, site_s: float = SETTLE_S) -> None:
        """Let some site seconds pass."""
        await self.station.clock.sleep(site_s)

    def tell(self, step: str) -> None:
        """Write a line about a step that is done."""
        self.station.around.events.emit(
            "flow_step", station=self.station.spec.id, flow=self.flow.name, step=step
        )

    # --- the driver ------------------------------------------------------------------

    async def plug_in(self) -> None:
        """Bring a car, once there is room for it."""
        await self.until(lambda: self.connector.is_free, "a free connector")
        self.plug_in_now()

    def plug_in_now(self) -> None:
        """Bring a car, though a transaction may be waiting for it."""
        vehicle = Vehicle(capacity_wh=60_000.0, stored_wh=20_000.0, wake_s=2.0)
        self.check(self.station.plug_in(EVSE, vehicle), "no room for a car")

    async def show(self, token: str) -> bool:
        """Show a card."""
        return await self.station.present_token(EVSE, token)

    async def charge(self, token: str | None = None) -> Transaction:
        """Bring a car and start; returns once the central system knows."""
        await self.plug_in()
        await self.settle()
        shown = token or self.tokens[0]
        self.check(await self.show(shown), f"token {shown} was refused")
        begun = self.transaction
        await self.started()
        await self.settle()
        return begun

    async def started(self) -> Exchange:
        """Wait until the start of a transaction is answered."""
        return await self._match(
            ("StartTransaction", "TransactionEvent"), {}, is_ours=True, kind="Started"
        )

    async def ended(self) -> Exchange:
        """Wait until the end of a transaction is answered."""
        return await self._match(
            ("StopTransaction", "TransactionEvent"), {}, is_ours=True, kind="Ended"
        )

    async def finish(self) -> Exchange:
        """Stop with the same card, wait for the answer, and drive away."""
        transaction = self.transaction
        self.check(await self.show(transaction.token), "the card did not stop it")
        ended = await self.ended()
        await self.settle()
        self.leave()
        return ended

    def leave(self) -> None:
        """Take the car away, if there is one."""
        if self.connector.evse.vehicle is not None:
            self.station.unplug(EVSE)

    async def _match(
        self,
        actions: tuple[str, ...],
        members: dict[str, object],
        *,
        is_ours: bool,
        answered: str | None = None,
        kind: str | None = None,
    ) -> Exchange:
        detail = "".join(f" {name}={value}" for name, value in members.items())
        verb = "sent" if is_ours else "heard"
        what = f"{verb} {kind or ' or '.join(actions)}{detail}"
        self.waits = what

        def is_wanted(number: int, exchange: Exchange) -> bool:
            return (
                number not in self._used
                and exchange.is_ours is is_ours
                and exchange.action in actions
                and exchange.answer is not None
                and kind in (None, exchange.payload.get("eventType", kind))
                and all(_same(exchange.payload.get(k), v) for k, v in members.items())
                and answered in (None, exchange.answer.get("status"))
            )

        number, found = await self.station.journal.until(is_wanted, since=self._since)
        self._used.add(number)
        self.tell(what)
        return found


def _same(found: object, wanted: object) -> bool:
    return found in wanted if isinstance(wanted, tuple) else found == wanted
