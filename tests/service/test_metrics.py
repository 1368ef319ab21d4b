"""What Prometheus is told, and that dashboard, alerts and guide ask for nothing else."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.conftest import House

PROJECT = Path(__file__).resolve().parents[2]
ALERTS = PROJECT / "deploy" / "prometheus" / "alerts.yml"
ASKING = (ALERTS, PROJECT / "deploy" / "grafana" / "atelier.json", PROJECT / "docs" / "guides" / "watching.md")
NAME = re.compile(r"\batelier_[a-z_]*[a-z]")
NO_METRIC = {"atelier_queue", "atelier_http_requests_total{status"}  # the guide's `atelier_queue_…`


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """One that has made a job of two pictures, and has one that waits."""
    house = make_house(library_max_bytes=10**9)
    house.finished(house.submit(num_images=2)["id"])
    house.client.post("/api/queue/pause")
    house.submit()
    return house


def samples(house: House) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = house.client.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_job_is_counted_with_its_wait_its_time_and_its_batch(house: House) -> None:
    found = samples(house)
    model, device = ("model", "pocket"), ("device", "cpu")
    assert found["atelier_job_wait_seconds_count", (model,)] == 1
    assert found["atelier_job_wait_seconds_bucket", (("le", "+Inf"), model)] == 1
    assert found["atelier_job_run_seconds_count", (device, model)] == 1
    assert found["atelier_job_run_seconds_sum", (device, model)] > 0
    assert found["atelier_batch_pictures_sum", (device,)] == 2
    assert found["atelier_batch_pictures_bucket", (device, ("le", "1.0"))] == 0
    assert found["atelier_batch_pictures_bucket", (device, ("le", "2.0"))] == 1
    assert found["atelier_engine_crashes_total", (device,)] == 0


def test_the_line_is_told_by_model_with_its_age_and_the_room_there_is(house: House) -> None:
    house.service.parts.library.room.count_again()  # what it knew of its bytes may be ten seconds old
    found = samples(house)
    assert found["atelier_jobs_waiting", (("model", "pocket"),)] == 1
    assert found["atelier_queue_oldest_seconds", ()] > 0
    assert (found["atelier_queue_paused", ()], found["atelier_services", ()]) == (1, 1)
    assert found["atelier_library_bytes", ()] > 0
    assert found["atelier_disk_free_bytes", ()] > 0


def test_dashboard_alerts_and_guide_name_metrics_that_there_are(house: House) -> None:
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", house.client.get("/metrics").text, re.MULTILINE))
    there = set(kinds)
    for name, kind in kinds.items():
        there |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else set()
    for file in ASKING:
        asked = set(NAME.findall(file.read_text("utf-8"))) - NO_METRIC
        assert asked
        assert asked - there == set(), file.name
    guide = ASKING[-1].read_text("utf-8")
    missing = {name for name in kinds if name.startswith("atelier_") and name not in guide}
    assert {name for name in missing if not name.endswith("_created")} <= {"atelier_device_memory_total_bytes"}
    assert set(re.findall(r"alert: (\w+)", ALERTS.read_text("utf-8"))) == set(re.findall(r"`(Atelier\w+)`", guide))


TRIED = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'up{job="atelier", instance="a"}', values: "1x10 0x10" }
      - { series: 'atelier_services{instance="b"}', values: "2x10 1x20" }
      - { series: 'atelier_queue_oldest_seconds{instance="b"}', values: "0+60x40" }
      - { series: 'atelier_queue_paused{instance="b"}', values: "0x40" }
      - { series: 'atelier_job_run_seconds_count{instance="b", model="m", device="d"}', values: "0+1x10 10x30" }
      - { series: 'atelier_engine_crashes_total{instance="b", device="d"}', values: "0x10 0+1x30" }
      - { series: 'atelier_disk_free_bytes{instance="b"}', values: "9e9x30 1e9x10" }
    alert_rule_test:
      - { eval_time: 5m, alertname: AtelierServiceDown, exp_alerts: [] }
      - eval_time: 14m
        alertname: AtelierServiceDown
        exp_alerts:
          - exp_labels: { severity: critical, job: atelier, instance: a }
            exp_annotations: { summary: "The image service a does not answer" }
      - eval_time: 18m
        alertname: AtelierServiceVanished
        exp_alerts:
          - exp_labels: { severity: warning }
            exp_annotations: { summary: "1 services work on the table; there were more" }
      - { eval_time: 12m, alertname: AtelierNothingIsMade, exp_alerts: [] }
      - eval_time: 30m
        alertname: AtelierNothingIsMade
        exp_alerts:
          - exp_labels: { severity: critical }
            exp_annotations: { summary: "Jobs wait, the oldest for 30m 0s, and none was made for ten minutes" }
      - { eval_time: 9m, alertname: AtelierEnginesCrash, exp_alerts: [] }
      - { eval_time: 20m, alertname: AtelierDiskAlmostFull, exp_alerts: [] }
"""


def test_the_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool: Debian's prometheus is not installed")
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(ALERTS.with_name("prometheus.yml"), tmp_path)
    (tmp_path / "tried.yml").write_text(TRIED)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "tried.yml"]):
        done = subprocess.run([tool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
