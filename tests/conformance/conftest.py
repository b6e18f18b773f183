"""One central system for all cases of a worker, and an operator for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conformance.desk import Desk, Operator, running_desk


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("desk")
    with running_desk(folder) as running:
        yield running


@pytest.fixture
async def operator(desk: Desk) -> AsyncIterator[Operator]:
    async with httpx.AsyncClient(
        base_url=f"{desk.api_url}/api/v1",
        headers={"Authorization": f"Bearer {desk.admin_token}"},
        timeout=60.0,
    ) as http:
        yield Operator(desk, http)
