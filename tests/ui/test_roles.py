"""What a person may do who got in, and what a page may do with the key it has: as much as that key at the service."""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, expect

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.ui.accounts import add_user
from app.ui.addresses import EVENTS_PATH, MANIFEST_PATH
from app.ui.roles import CURRENT_ROLE, Role, RoleClient
from tests.running import RunningPage, RunningService
from tests.ui.browser import context, visit
from tests.ui.calls import call_of
from tests.ui.steps import generate

KEYS = {role: f"key-of-{role}" for role in Role}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that asks for a key, as one on another machine does."""
    folder = tmp_path_factory.mktemp("keyed")
    file = folder / "keys"
    file.write_text("".join(f"{role}:{hashlib.sha256(key.encode()).hexdigest()}\n" for role, key in KEYS.items()))
    file.chmod(0o600)
    with RunningService(folder / "service", API_KEYS_FILE=str(file)) as running:
        yield running


def test_a_role_may_do_on_the_page_what_a_key_of_its_scope_may_do_at_the_service(keyed: RunningService) -> None:
    calls: dict[str, Callable[[ImageServiceClient], object]] = {
        "status": lambda client: client.status(),
        "models": lambda client: client.models(),
        "model": lambda client: client.model("pocket"),
        "job": lambda client: client.job("none"),
        "jobs": lambda client: client.jobs(),
        "images": lambda client: client.images(width=64),
        "image_count": lambda client: client.image_count(),
        "groups": lambda client: client.groups(),
        "image": lambda client: client.image("none"),
        "image_bytes": lambda client: client.image_bytes("none"),
        "thumbnail": lambda client: client.thumbnail("none"),
        "inspect": lambda client: client.inspect(b"no picture"),
        "submit": lambda client: client.submit({"prompt": "a cat", "model": "none"}),
        "cancel": lambda client: client.cancel("none"),
        "grids": lambda client: client.grids(),
        "submit_grid": lambda client: client.submit_grid({"request": {"prompt": ""}, "x": {"name": "", "values": ""}}),
        "cancel_grid": lambda client: client.cancel_grid("none"),
        "set_paused": lambda client: client.set_paused(False),
        "set_favourite": lambda client: client.set_favourite("none", True),
        "load_model": lambda client: client.load_model("none"),
        "unload_model": lambda client: client.unload_model("none"),
        "download_model": lambda client: client.download_model("none"),
        "cancel_download": lambda client: client.cancel_download("none"),
        "clean_model": lambda client: client.clean_model("none"),
        "delete_image": lambda client: client.delete_image("none"),
        "trash": lambda client: client.trash(),
        "trash_thumbnail": lambda client: client.trash_thumbnail("none"),
        "restore_image": lambda client: client.restore_image("none"),
    }
    seen: dict[str, set[str]] = {}
    page = RoleClient(keyed.url, KEYS[Role.ADMIN])
    for role, key in KEYS.items():
        direct = ImageServiceClient(keyed.url, key)
        token = CURRENT_ROLE.set(role)
        for name, call in calls.items():
            by_page, by_service = refused(call, page), refused(call, direct)
            assert (by_page == "role_not_allowed") == (by_service == "not_allowed"), (
                role,
                name,
                by_page,
                by_service,
            )
            if by_page == "role_not_allowed":
                seen.setdefault(role, set()).add(name)
        CURRENT_ROLE.reset(token)
    assert refused(calls["submit"], page) == "role_not_allowed"  # whom no login let pass may only look
    assert len(seen[Role.READ]) == 15
    assert len(seen[Role.GENERATE]) == 10
    assert Role.ADMIN not in seen


def refused(call: Callable[[ImageServiceClient], object], client: ImageServiceClient) -> str | None:
    """The code of the refusal."""
    try:
        call(client)
    except ServiceError as error:
        return error.code
    return None


@pytest.mark.browser
def test_a_page_with_a_key_works_and_one_without_says_what_is_missing(
    browser: Browser, tmp_path: Path, keyed: RunningService
) -> None:
    with (
        RunningPage(tmp_path / "with", keyed.url, API_KEY=KEYS[Role.GENERATE]) as allowed,
        visit(browser, allowed.url) as page,
    ):
        generate(page, "a red apple")
        expect(page.locator("#at-stage img").first).to_be_visible()
    with RunningPage(tmp_path / "without", keyed.url) as stranger, context(browser) as visitor:
        page = visitor.new_page()
        page.goto(stranger.url)
        expect(page.locator("#at-header")).to_contain_text("key")


def test_a_person_who_may_only_look_makes_nothing_on_the_page(tmp_path: Path, service: RunningService) -> None:
    people = tmp_path / "people"
    add_user(people, "eve", "x", Role.READ)
    add_user(people, "ada", "x", Role.GENERATE)
    with RunningPage(tmp_path / "page", service.url, "--auth-file", str(people)) as page:
        assert "may not do this" in generated(page, "eve")
        assert "may not do this" not in generated(page, "ada")
        with requests.Session() as stranger:  # a browser asks for an app's parts without saying who it is for
            stranger.trust_env = False
            for icon in stranger.get(page.url + MANIFEST_PATH).json()["icons"]:
                with Image.open(io.BytesIO(stranger.get(page.url + icon["src"]).content)) as drawn:
                    assert f"{drawn.width}x{drawn.height}" == icon["sizes"]


def generated(page: RunningPage, name: str) -> str:
    """What the page answers when this person presses Generate."""
    with requests.Session() as http:
        http.trust_env = False
        http.post(page.url + "/login", data={"name": name, "password": "x"})
        sizes = {"at-width": 128, "at-height": 128, "at-num_inference_steps": 2, "at-guidance_scale": 1.5}
        values = {"at-memory": {}, "at-model": "pocket", "at-prompt": "a cat"} | sizes
        return http.post(page.url + EVENTS_PATH, json=call_of(http, page.url, "generate", values)).text
