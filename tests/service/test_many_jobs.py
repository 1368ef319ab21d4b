"""Ten thousand jobs in line and two hundred clients who ask about theirs again and again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from sqlalchemy import text

from app.database import open_database, writing
from app.jobs.table import JobTable
from app.migrations import upgrade
from tests.jobs.things import a_request
from tests.running import RunningService

CLIENTS, ASKED = 200, 3
COLUMNS = (
    "fingerprint, origin, state, priority, model, batch_key, request, num_images, megapixel_steps, attempt, crashes,"
    " cancel_requested, created_at"
)


def test_each_of_200_clients_is_told_its_place_among_10_000_jobs_and_a_submit_still_gets_in(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'atelier.db'}")
    upgrade(database)
    first = JobTable(database, boot_id="before").submit(a_request(), origin="api")[0]
    with writing(database) as connection:
        copies = f"""INSERT INTO jobs (id, turn, {COLUMNS})
        WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 9999)
        SELECT 'job-' || n, n, {COLUMNS} FROM jobs, counted WHERE id = :first"""
        connection.execute(text(copies), {"first": first.id})
    database.dispose()
    settings = {"MAX_QUEUE": "10001", "START_PAUSED": "true", "PRELOAD": "false"}
    with RunningService(tmp_path, **settings) as service, ThreadPoolExecutor(CLIENTS) as pool:

        def poll(number: int) -> list[int]:
            with requests.Session() as session:
                answers = [session.get(f"{service.url}/api/jobs/job-{number}", timeout=120) for _ in range(ASKED)]
            return [answer.json()["position"] for answer in answers]

        asked = pool.map(poll, range(1, 10_000, 10_000 // CLIENTS))
        wanted = {"prompt": "x", "width": 64, "height": 64}
        last = requests.post(f"{service.url}/api/jobs", json=wanted, timeout=120)
        assert list(asked) == [[number + 1] * ASKED for number in range(1, 10_000, 10_000 // CLIENTS)]
        assert last.status_code == 202
        assert last.json()["position"] == 10_001
        full = requests.post(f"{service.url}/api/jobs", json=wanted, timeout=120)
        assert full.status_code == 429
        assert int(full.headers["Retry-After"]) > 0
