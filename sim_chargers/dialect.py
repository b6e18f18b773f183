"""What an OCPP dialect has to provide to a station."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from sim_chargers.connector import Connector, Reason, Sample, Transaction
from sim_chargers.frames import Payload
from sim_chargers.outcomes import Reply
from sim_chargers.tokens import Setting, TokenEntry


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
    def sign_certificate_payload(self, csr: str, kind: str) -> dict[str, Any]:
        """Build a SignCertificate."""

    @abstractmethod
    def token_entry(self, payload: Payload) -> TokenEntry:
        """Read the verdict on a token from an answer or a row of the local list."""

    @abstractmethod
    def is_set(self, setting: Setting) -> bool:
        """Read one of the settings that both versions have."""

    @abstractmethod
    def connection_timeout_s(self) -> float:
        """Return how long an authorised driver may take to plug in."""

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

    def begins_with(self, step: str) -> bool:
        """Whether a transaction begins with a step: EVConnected or Authorized."""
        del step
        return False

    def ends_with_token(self) -> bool:
        """Whether showing the token again ends the transaction, not only the energy."""
        return True

    def master_pass_group(self) -> str:
        """Return the group whose tokens stop any transaction; empty for none."""
        return ""

    def updated(  # noqa: B027 - optional hook
        self, connector: Connector, transaction: Transaction, trigger: str
    ) -> None:
        """React to a step within a transaction: cable, authorisation."""

    def accepted(self) -> None:  # noqa: B027 - optional hook
        """React to being accepted, before the states are reported."""

    def cable_changed(self, connector: Connector) -> None:  # noqa: B027 - optional hook
        """React to a cable plugged in or out without a transaction."""

    def reservation_over(  # noqa: B027 - optional hook
        self, reservation_id: int, status: str
    ) -> None:
        """React to a reservation that ended by itself: Expired or Removed."""
