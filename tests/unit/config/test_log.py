"""What log lines look like, and what never gets into them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out = io.StringIO()
    log.configure(level="info", stream=out)
    yield out
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_json_with_the_event_and_its_keys(stream: io.StringIO) -> None:
    structlog.get_logger().info("link.opened", station_id="CP1", duration_s=0.5)
    line = json.loads(stream.getvalue())
    assert line["event"] == "link.opened"
    assert (line["level"], line["station_id"]) == ("info", "CP1")
    assert line["logged_at"].endswith("Z")


def test_secrets_are_hidden_at_any_depth(stream: io.StringIO) -> None:
    structlog.get_logger().warning(
        "frame.refused", id_token="04A1", headers=[{"Authorization": "Basic eA=="}]
    )
    assert "04A1" not in stream.getvalue()
    assert "eA==" not in stream.getvalue()
    assert log.REDACTED in stream.getvalue()


def test_lines_of_libraries_take_the_same_path(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    assert json.loads(stream.getvalue())["event"] == "odd thing"


def test_lower_levels_are_left_out(stream: io.StringIO) -> None:
    structlog.get_logger().debug("frame.read")
    assert stream.getvalue() == ""


def test_a_traceback_is_part_of_the_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("broken")  # noqa: TRY301 - the test needs a live exception
    except ValueError:
        structlog.get_logger().exception("step.failed")
    assert "ValueError" in json.dumps(json.loads(stream.getvalue())["exception"])


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_values(as_json: bool) -> None:
    stream = io.StringIO()
    log.configure(stream=stream, as_json=as_json)
    bearer = "Bearer wp_" + "secret"
    try:
        int(bearer[:6])
    except ValueError:
        structlog.get_logger().exception("it.failed")
    assert "ValueError" in stream.getvalue()
    assert "wp_secret" not in stream.getvalue()
