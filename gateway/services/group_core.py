"""What all parts of one group's runner work on: its state, its records, its inbox."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime

from gateway.domain.ids import CabinetId
from gateway.services.dispatch_ports import Ports
from gateway.services.group_items import Item
from gateway.services.group_records import GroupRecords
from gateway.services.group_state import GroupState


class GroupCore:
    """Shared by the parts of one runner; only its task changes the state.

    Attributes:
        state: What is known; another object after the site was read anew.
        needs_plan: Something happened that a plan should heed at once.
        wake: Set when something came into the inbox.
    """

    def __init__(self, root: CabinetId, state: GroupState, ports: Ports) -> None:
        self.root = root
        self.state = state
        self.ports = ports
        self.records = GroupRecords(root, ports)
        self.needs_plan = True
        self.wake = asyncio.Event()
        self.tasks: asyncio.TaskGroup | None = None
        self._inbox: list[Item] = []

    def offer(self, item: Item) -> None:
        """Put something into the inbox; never blocks."""
        self._inbox.append(item)
        self.wake.set()

    def taken(self) -> list[Item]:
        """Empty the inbox."""
        self.wake.clear()
        items, self._inbox = self._inbox, []
        return items

    def spawn(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        """Run beside the group's own task; results come back as items."""
        assert self.tasks is not None  # run() opened the group
        self.tasks.create_task(coroutine, name=name)

    def now(self) -> datetime:
        """Site time."""
        return self.ports.clock.now()
