"""Jobs that crash, hang or fail, and a stop in the middle of the work: each ends as it must and harms no other."""

from pathlib import Path

from app.core.schema import Job, JobState
from app.engine.makers.testing import draw
from tests.system.history import Promises, check_answers, check_files, check_table
from tests.system.test_kill_loop import some_requests
from tests.system.victim import Victim


def finished(victim: Victim, prompts: list[str]) -> dict[str, Job]:
    """Submit a job for each prompt, all at once; the finished jobs."""
    ids = {prompt: victim.client.submit({"prompt": prompt, "num_inference_steps": 4}).id for prompt in prompts}
    return {prompt: victim.client.wait(job_id) for prompt, job_id in ids.items()}


def test_a_job_that_crashes_hangs_or_fails_harms_no_other(tmp_path: Path, models_folder: Path) -> None:
    settings = {"MODELS_FOLDER": str(models_folder), "DEFAULT_MODEL": "one", "DENOISE_TIMEOUT_S": "0.5"}
    codes = {
        "apple !crash": "worker_crashed",
        "apple !hang": "worker_crashed",
        "apple !oom": "out_of_memory",
        "apple !error": "generation_failed",
    }
    good = [f"apple {number}" for number in range(5)]
    with Victim(tmp_path / "service", **settings) as victim:
        jobs = finished(victim, [good[0], *(prompt for pair in zip(codes, good[1:], strict=True) for prompt in pair)])
        assert {prompt: jobs[prompt].error.code for prompt in codes if jobs[prompt].error} == codes
        assert jobs["apple !crash"].attempt == 3
        assert all(jobs[prompt].state is JobState.SUCCEEDED for prompt in good)


def test_a_stop_under_load_loses_nothing_and_fails_nothing(tmp_path: Path, models_folder: Path) -> None:
    settings = {"MODELS_FOLDER": str(models_folder), "DEFAULT_MODEL": "one", "DRAIN_TIMEOUT_S": "0.05"}
    promises = Promises()
    with Victim(tmp_path / "service", **settings) as victim:
        for number, request in enumerate(some_requests(10, seed=3)):
            key = f"key-{number}"
            slow = request.model_copy(update={"prompt": f"{request.prompt} !slow", "num_inference_steps": 5})
            promises.requests[key] = slow
            promises.note(key, victim.client.submit(slow, idempotency_key=key))
        assert victim.stop() == 0
        victim.start()
        for job_id in promises.ids.values():
            victim.client.wait(job_id)
        check_answers(victim.client, promises, draw)
        assert victim.stop() == 0
        check_table(victim.database_url, promises)
        check_files(victim.database_url, victim.output_folder, tmp_path / "thumbnails")
