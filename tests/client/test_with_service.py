"""The client against the real service: every address it knows is there and says what it expects."""

import hashlib
from collections.abc import Iterator

import pytest

from app.client import Event, ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import JobState
from tests.inputs.conftest import picture
from tests.running import RunningService


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def client(running: RunningService) -> Iterator[ImageServiceClient]:
    with ImageServiceClient(running.url, origin="cli") as client:
        yield client


def test_an_uploaded_picture_is_there(client: ImageServiceClient) -> None:
    kept = client.upload(picture(1))
    assert (client.upload(picture(1)), client.input(kept.sha256)) == (kept, kept)
    assert hashlib.sha256(client.input_bytes(kept.sha256)).hexdigest() == kept.sha256


def test_a_prompt_becomes_a_picture_that_can_be_found_marked_and_deleted(client: ImageServiceClient) -> None:
    events: list[Event] = []
    job = client.generate(
        {"prompt": "a red apple", "seed": 7, "num_images": 2, "width": 64, "height": 64}, events.append
    )
    assert (job.state, job.origin) == (JobState.SUCCEEDED, "cli")
    assert [image.seed for image in job.images] == [7, 8]
    assert events[0].kind == "queued"
    assert events[-1].kind == "succeeded"
    assert [event.seq for event in events if event.seq is not None] == [1, 2, 3, 4]

    first = job.images[0]
    saved = client.image(first.id)
    data = client.image_bytes(first.id)
    assert (saved.seed, len(data)) == (7, saved.bytes)
    assert client.thumbnail(first.id, 256)[8:12] == b"WEBP"
    assert (client.inspect(data).recipe or {})["request"]["prompt"] == "a red apple"
    assert client.set_favourite(first.id, True).favourite
    found, _ = client.images(q="apple", favourite=True)
    assert [image.id for image in found] == [first.id]
    groups, _ = client.groups(q="apple")
    assert (groups[0].job_id, len(groups[0].images)) == (job.id, 2)
    jobs, _ = client.jobs("succeeded")
    assert job.id in [item.id for item in jobs]

    client.delete_image(first.id)
    client.delete_image(first.id)
    with pytest.raises(ServiceError) as caught:
        client.image(first.id)
    assert caught.value.http_status == 404


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(client: ImageServiceClient) -> None:
    request = {"prompt": "twice", "width": 64, "height": 64}
    first = client.submit(request, idempotency_key="k1")
    assert client.submit(request, idempotency_key="k1").id == first.id
    with pytest.raises(ServiceError) as caught:
        client.submit(request | {"prompt": "other"}, idempotency_key="k1")
    assert caught.value.code == "idempotency_conflict"
    client.wait(first.id)
    assert client.cancel(first.id).state is JobState.SUCCEEDED


def test_a_wrong_field_is_named_with_what_is_allowed(client: ImageServiceClient) -> None:
    with pytest.raises(ServiceError, match="width") as caught:
        client.submit({"prompt": "x", "width": 7})
    assert caught.value.errors[0]["field"] == "width"


def test_models_and_status_are_told(client: ImageServiceClient) -> None:
    assert client.health()["status"] == "ok"
    assert client.ready()
    assert "pocket" in [model.key for model in client.models()]
    assert client.load_model("pocket").key == "pocket"
    assert client.model("pocket").state in ("loading", "loaded")
    assert client.status().devices


def test_waiting_lasts_through_a_restart_of_the_service(running: RunningService, client: ImageServiceClient) -> None:
    job = client.submit({"prompt": "a blue bird", "num_inference_steps": 100, "width": 64, "height": 64})
    kinds: list[str] = []

    def restart_once(event: Event) -> None:
        if not kinds:
            running.stop()
            running.start()
        kinds.append(event.kind)

    assert client.wait(job.id, restart_once).state is JobState.SUCCEEDED
    assert kinds[-1] == "succeeded"
