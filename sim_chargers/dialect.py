"""What an OCPP dialect has to provide to a station."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from sim_chargers.connector import Connector, Reason, Sample, Transaction
from sim_chargers.frames import Payload
from sim_chargers.wire import Reply


class Dialect(ABC):
    """Messages of one OCPP version; everything else lives in :class:`Charger`."""

    subprotocol: ClassVar[str]
    malformed_code: ClassVar[str]

    @abstractmethod
    def handlers(self) -> dict[str, Callable[[Payload], Reply]]:
        """Return the table of served calls."""

    @abstractmethod
    def boot_payload(self) -> dict[str, Any]:
        """Build a BootNotification."""

    @abstractmethod
    def authorize_payload(self, token: str) -> dict[str, Any]:
        """Build an Authorize."""

    @abstractmethod
    def token_status(self, payload: Payload) -> str:
        """Read the verdict on a token from an answer."""

    @abstractmethod
    def allows_unknown_offline(self) -> bool:
        """Whether unknown tokens may charge while offline."""

    @abstractmethod
    def sample_interval_s(self) -> float:
        """Return the interval between samples; 0 for none."""

    @abstractmethod
    def aligned_interval_s(self) -> float:
        """Return the interval of clock-aligned samples; 0 for none."""

    @abstractmethod
    def wire_milliwh(self, register_milliwh: int) -> int:
        """Round a register down to what this dialect puts on the wire."""

    @abstractmethod
    def status_of(self, connector: Connector) -> str:
        """Return the connector's status word."""

    @abstractmethod
    def send_status(self, connector: Connector, status: str) -> None:
        """Send a StatusNotification."""

    @abstractmethod
    def started(
        self, connector: Connector, transaction: Transaction, trigger: str
    ) -> None:
        """Report the beginning of a transaction."""

    @abstractmethod
    def charging_changed(self, connector: Connector, transaction: Transaction) -> None:
        """Report another charging state."""

    @abstractmethod
    def send_sample(
        self, connector: Connector, transaction: Transaction, context: str
    ) -> None:
        """Report a sample within a transaction."""

    @abstractmethod
    def send_idle_sample(self, connector: Connector, context: str) -> None:
        """Report a sample outside a transaction."""

    @abstractmethod
    def ended(
        self,
        connector: Connector,
        transaction: Transaction,
        end: Sample,
        reason: Reason,
    ) -> None:
        """Report the end of a transaction."""

    def accepted(self) -> None:  # noqa: B027 - optional hook
        """React to being accepted, before the states are reported."""

    def cable_changed(self, connector: Connector) -> None:  # noqa: B027 - optional hook
        """React to a cable plugged in or out without a transaction."""

    def reservation_expired(self, connector: Connector) -> None:  # noqa: B027 - optional hook
        """React to a reservation that ran out."""
