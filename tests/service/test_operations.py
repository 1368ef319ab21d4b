"""How the service is: health, readiness, status, metrics, logs."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from app import __version__
from app.core.logs import configure_logs
from tests.service.conftest import House


def test_health_asks_neither_database_nor_engine(make_house: Callable[..., House]) -> None:
    house = make_house()
    house.service.stop(drain_s=0)
    (house.service.parts.settings.data_folder / "atelier.db").rename(house.service.parts.settings.data_folder / "gone")
    assert house.client.get("/health").get_json() == {"status": "ok", "version": __version__}


def test_ready_when_the_job_table_answers(house: House) -> None:
    assert house.client.get("/ready").get_json() == {"ready": True}


def test_the_status_names_queue_devices_and_models(house: House) -> None:
    house.image()
    status = house.client.get("/api/status").get_json()
    assert status["queue"] == {"paused": False, "queued": 0, "running": 0}
    assert status["running"] == status["problems"] == []
    assert status["devices"][0]["device"] == "cpu"
    assert status["devices"][0]["alive"] is True
    assert status["devices"][0]["memory_total_bytes"] > 0
    assert status["loaded_models"] == ["pocket"]
    assert status["uptime_s"] > 0


def test_metrics_count_answers_by_door_and_jobs_by_state(house: House) -> None:
    house.image()
    house.client.get("/nowhere")
    text = house.client.get("/metrics").text
    assert 'atelier_http_requests_total{door="native",method="POST",status="202"}' in text
    assert 'atelier_http_requests_total{door="none",method="GET",status="404"}' in text
    assert 'atelier_http_request_seconds_bucket{door="native",le="0.005"}' in text
    assert 'atelier_jobs{state="succeeded"}' in text
    assert 'atelier_jobs{state="succeeded"} 0.0' not in text
    assert "atelier_queue_length 0.0" in text
    assert 'atelier_engine_restarts_total{device="cpu"} 0.0' in text


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Puts the logging of the test run back."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_log_lines_are_json_with_the_request_id_and_without_the_prompt(
    house: House, tmp_path: Path, own_logs: None
) -> None:
    configure_logs("INFO", tmp_path / "service.log")
    house.client.post("/api/jobs", json={"prompt": "my private wish"}, headers={"X-Request-Id": "wish-1"})
    house.client.get("/api/images?q=private")
    lines = [json.loads(line) for line in (tmp_path / "service.log").read_text().splitlines()]
    submitted = next(line for line in lines if line["event"] == "job_submitted")
    assert submitted["request_id"] == "wish-1"
    assert any(line["event"] == "request" and line["path"] == "/api/jobs" and line["status"] == 202 for line in lines)
    assert "private" not in (tmp_path / "service.log").read_text()


def test_the_prompt_is_logged_at_debug(house: House, tmp_path: Path, own_logs: None) -> None:
    configure_logs("DEBUG", tmp_path / "service.log")
    house.submit("my private wish")
    assert "my private wish" in (tmp_path / "service.log").read_text()


def test_it_is_not_ready_while_the_job_table_cannot_be_read(make_house: Callable[..., House]) -> None:
    house = make_house()
    file = house.service.parts.settings.data_folder / "atelier.db"
    file.rename(file.with_name("moved.db"))
    answer = house.client.get("/ready")
    assert answer.status_code == 503
    assert answer.get_json()["code"] == "database_gone"
    assert int(answer.headers["Retry-After"]) > 0
    assert house.client.get("/health").status_code == 200
    assert house.client.post("/api/jobs", json={"prompt": "x"}).status_code == 503
    file.with_name("moved.db").rename(file)
    assert house.client.get("/ready").status_code == 200
