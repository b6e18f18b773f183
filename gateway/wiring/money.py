"""Money and evidence: bills of sessions, the anchored log, and receipts from both."""

import asyncio
from typing import Final

import structlog

from gateway.errors import WattproofError
from gateway.services.anchoring import Anchoring, AnchoringSettings
from gateway.services.bills import Bills
from gateway.services.cdrs import Cdrs
from gateway.services.correction_forms import CorrectionForms
from gateway.services.corrections import Corrections
from gateway.services.erasure import Erasure
from gateway.services.flexibility import MILLIWH_PER_WH
from gateway.services.flexibility_pool import FlexibilityPool
from gateway.services.late_data import LateData
from gateway.services.meter_key_desk import MeterKeyDesk
from gateway.services.public_log import PublicLog, PublicLogSettings
from gateway.services.receipts import Receipts
from gateway.services.settlement import Settlement
from gateway.services.told_keys import ToldKeys
from gateway.wiring.base import Base
from gateway.wiring.meters import Meters
from gateway.wiring.plans import Plans

FLUSH_S: Final = 20.0
"""Real seconds for what is left at the end."""

_log = structlog.get_logger()


class Money:
    """Settles sessions, anchors what they leave and shows the evidence."""

    def __init__(self, base: Base, plans: Plans, meters: Meters) -> None:
        config = base.config
        self.anchoring = Anchoring(
            writer=base.writer,
            bus=base.bus,
            clock=base.clock,
            settings=AnchoringSettings(
                ledger=config.ledger,
                store=config.store,
                step_s=config.optimizer.step_s,
            ),
            site=base.site,
            limit_w=plans.limit_w,
            heard=meters.levels.of,
            tariff_id_of=base.tariff_id_of,
        )
        self.settlement = Settlement(
            writer=base.writer,
            queries=base.queries,
            bus=base.bus,
            clock=base.clock,
            terms=base.terms(),
        )
        self.corrections = Corrections(
            writer=base.writer, bus=base.bus, clock=base.clock, terms=base.terms()
        )
        self.late_data = LateData(
            queries=base.queries,
            writer=base.writer,
            bus=base.bus,
            clock=base.clock,
            rating=base.rating_w,
        )
        self.flexibility = FlexibilityPool(
            queries=base.queries,
            writer=base.writer,
            clock=base.clock,
            timezone=base.directory.site.timezone,
            pool_milliwh=config.billing.flexibility_pool_wh * MILLIWH_PER_WH,
        )
        self.meter_keys = MeterKeyDesk(
            directory=base.directory,
            writer=base.writer,
            settlement=self.settlement,
            clock=base.clock,
        )
        self.told_keys = ToldKeys(writer=base.writer, bus=base.bus, clock=base.clock)
        self.receipts = Receipts(
            database=config.store.database_path, anchoring=self.anchoring
        )
        self.erasure = Erasure(writer=base.writer, clock=base.clock)
        self.public_log = (
            PublicLog(
                settings=PublicLogSettings(
                    key_path=config.store.log_key_path,
                    step_s=config.optimizer.step_s,
                    follows_anchors=config.ledger.rpc_url is not None,
                    witnesses=config.ledger.witnesses,
                ),
                receipts=self.receipts,
                anchoring=self.anchoring,
                writer=base.writer,
                clock=base.clock,
            )
            if config.ledger.public_log
            else None
        )
        self.correction_forms = CorrectionForms(
            queries=base.queries,
            desk=self.corrections,
            settlement=self.settlement,
            receipts=self.receipts,
        )
        self.bills = Bills(
            queries=base.queries,
            receipts=self.receipts,
            needs=plans.needs,
            site=base.site,
            clock=base.clock,
            language=config.billing.language,
            issuer=config.billing.issuer,
        )
        self.cdrs = Cdrs(
            queries=base.queries,
            cpo=config.cpo,
            site=lambda: base.directory.site,
        )

    async def finish(self) -> None:
        """Settle and anchor what is left; bounded, since it is all found again."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.settlement.catch_up()
                await self.anchoring.flush()
        except (TimeoutError, WattproofError) as error:
            _log.warning("finish.incomplete", why=str(error) or "took too long")
