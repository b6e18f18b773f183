"""What stations know of a customer (2.0.1, N09, N10): personal data, read once."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.api.exchanges import exchange_of
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Admin, Context

router = APIRouter(tags=["customers"], route_class=CheckedRoute)


class TokenReference(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(min_length=1, max_length=36)
    type: str = "Central"


class CertificateReference(BaseModel):
    """A certificate by its hashes."""

    model_config = ConfigDict(extra="forbid")

    hash_algorithm: Literal["SHA256", "SHA384", "SHA512"]
    issuer_name_hash: str = Field(max_length=128)
    issuer_key_hash: str = Field(max_length=128)
    serial_number: str = Field(max_length=40)


class CustomerBody(BaseModel):
    """Exactly one reference to a customer, and what to do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"report": True, "clear": False, "customer_identifier": "C-17"}
            ]
        },
    )

    report: bool = False
    clear: bool = False
    id_token: TokenReference | None = None
    customer_identifier: str | None = Field(default=None, min_length=1, max_length=64)
    certificate: CertificateReference | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)

    @model_validator(mode="after")
    def _is_complete(self) -> "CustomerBody":
        references = (self.id_token, self.customer_identifier, self.certificate)
        if sum(one is not None for one in references) != 1:
            raise ValueError("one of id_token, customer_identifier, certificate")
        if not (self.report or self.clear):
            raise ValueError("report, clear or both")
        return self

    def customer(self) -> tuple[str, dict[str, Any]]:
        """Kind of the reference, and the wire's members."""
        if self.id_token is not None:
            token = {"idToken": self.id_token.value, "type": self.id_token.type}
            return "token", {"idToken": token}
        if self.certificate is not None:
            return "certificate", {
                "customerCertificate": {
                    "hashAlgorithm": self.certificate.hash_algorithm,
                    "issuerNameHash": self.certificate.issuer_name_hash,
                    "issuerKeyHash": self.certificate.issuer_key_hash,
                    "serialNumber": self.certificate.serial_number,
                }
            }
        return "identifier", {"customerIdentifier": self.customer_identifier}


@router.post("/stations/{station_id}/customer-information")
async def request(
    station_id: str,
    body: Annotated[CustomerBody, Body()],
    context: Context,
    caller: Admin,
) -> dict[str, Any]:
    """Have the station report or delete what it knows of a customer; audited."""
    exchange = exchange_of(
        context,
        caller,
        station_id,
        timeout_s=body.timeout_s,
        needs="CustomerInformation",
    )
    kind, customer = body.customer()
    await context.audit(
        caller,
        "customer.requested",
        f"station/{exchange.station_id}",
        {"report": body.report, "clear": body.clear, "by": kind},
    )
    return await context.device.customers.request(
        exchange, report=body.report, clear=body.clear, customer=customer
    )


@router.get("/stations/{station_id}/customer-information/{request_id}")
async def read(
    station_id: str, request_id: int, context: Context, caller: Admin
) -> dict[str, Any]:
    """Read what was reported: a complete report once, then it is deleted; audited."""
    entry = context.directory.require(station_id)
    await context.audit(
        caller,
        "customer.read",
        f"station/{entry.station_id}",
        {"request_id": request_id},
    )
    return await context.device.customers.read(entry.station_id, request_id)


@router.delete(
    "/stations/{station_id}/customer-information/{request_id}", status_code=204
)
async def delete(
    station_id: str, request_id: int, context: Context, caller: Admin
) -> None:
    """Delete what was reported, read or not; audited."""
    entry = context.directory.require(station_id)
    await context.audit(
        caller,
        "customer.deleted",
        f"station/{entry.station_id}",
        {"request_id": request_id},
    )
    await context.device.customers.delete(entry.station_id, request_id)
