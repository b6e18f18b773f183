"""Times that UTC does not have are refused where they come in."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.api_site import api_site

FAR = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
PATHS = ("/sessions?before=", "/cdrs?date_from=", "/cdrs?date_to=")


@pytest.mark.parametrize("text", FAR)
async def test_a_time_beyond_the_calendar_is_named_as_the_problem(
    tmp_path: Path, text: str
) -> None:
    async with api_site(tmp_path) as site:
        answers = [await site.send("GET", f"{path}{quote(text)}") for path in PATHS]
        body = {"expires_at": text}
        answers.append(await site.send("PUT", "/id-tokens/DRIVER", body))
        for answer in answers:
            assert answer.status_code == 422
            assert "in UTC it is before year 1 or after" in answer.text


async def test_the_last_second_of_the_calendar_is_a_time(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        last = "9999-12-31T23:59:59Z"
        found = await site.call("PUT", "/id-tokens/DRIVER", {"expires_at": last})
        assert found["expires_at"].startswith("9999-12-31T23:59:59")
        assert await site.call("GET", f"/sessions?before={last}") == []
