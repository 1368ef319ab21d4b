"""Whatever bytes lie in the models folder or in the hub's cache: every door answers, and only that entry is refused."""

import contextlib
import json
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog import Catalog
from app.core.settings import Settings
from app.service import create_app
from image_generation_service import build_service
from tests.service.conftest import CATALOG, House

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def safetensors(header: bytes, tensors: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + tensors


def tensor(shape: str = "[1]", offsets: str = "[0,4]", dtype: str = '"F32"', name: str = '"a.lora_up.weight"') -> bytes:
    return safetensors(f'{{{name}:{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}'.encode(), bytes(4))


HEADERS = {
    "nothing": b"",
    "a length of 2^64": b"\xff" * 8,
    "a length alone": struct.pack("<Q", 8),
    "a pickle": b"\x80\x04\x95" + bytes(100),
    "a huge side": tensor(shape=f"[{10**400},1.5]"),
    "a side that is a list": tensor(shape="[[1],200000000]"),
    "a side that is a text": tensor(shape='["a",200000000]'),
    "a side that is true": tensor(shape="[true]"),
    "many large sides": tensor(shape="[" + ",".join(["9" * 4200] * 400) + "]"),
    "a number of 5,000 digits": tensor(shape="[" + "9" * 5000 + "]"),
    "a side below zero": tensor(shape="[-1,-1]"),
    "infinite": tensor(shape="[Infinity]", offsets="[0,NaN]"),
    "offsets of texts": tensor(offsets='["0","4"]'),
    "three offsets": tensor(offsets="[0,4,4]"),
    "no type": tensor(dtype="[]"),
    "a deep header": safetensors(b'{"a":' * 100_000),
    "a wide header": safetensors(b'{"a":[' + b"[]," * 2_000_000 + b"0]}"),
    "a header of 9 MiB": safetensors(b'{"a":"' + b"x" * (9 * 2**20) + b'"}'),
    "a header that is a list": safetensors(b"[1,2]"),
    "bytes that are not UTF-8": safetensors(b'{"\xff\xfe":{}}'),
    "a stray surrogate": tensor(shape="[2]", name='"\\ud800.lora_up.weight"'),
    "a long name": tensor(shape="[2]", name='"' + "x" * 100_000 + '"'),
    "insides of Python": tensor(name='"unet.__class__.__init__.lora_up.weight"'),
}
INDEXES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "deep": b'{"a":' * 200_000,
    "no class": b"{}",
    "a class that is a list": b'{"_class_name":["a"]}',
    "a stray surrogate": b'{"_class_name":"\\ud800"}',
    "a class of no pipeline": b'{"_class_name":"os.system"}',
    "a long class": b'{"_class_name":"' + b"A" * 100_000 + b'"}',
    "bytes that are not UTF-8": b'{"_class_name":"\xff"}',
    "two megabytes": b'{"a":"' + b"x" * 2**21 + b'"}',
}
TABLES = {
    "a value": "hostile = 3",
    "a table in a table": "[hostile.inner]\ntitle = 1",
    "no title": "[hostile]",
    "a wrong type": '[hostile]\ntitle = "x"\nwidth = "wide"',
    "an unknown field": '[hostile]\ntitle = "x"\nwhat = 1',
    "a path that leads out": '[hostile]\ntitle = "x"\npath = "../../.."',
    "a path from the root": '[hostile]\ntitle = "x"\npath = "/etc"',
    "a path of another system": '[hostile]\ntitle = "x"\npath = "..\\\\..\\\\x"',
    "a configuration that leads out": '[hostile]\ntitle = "x"\npath = "x"\nconfig = "a/../../b"',
    "a transformer that leads out": '[hostile]\ntitle = "x"\npath = "x"\ntransformer = "/dev/zero"',
    "a NUL": '[hostile]\ntitle = "x"\npath = "a\\u0000b"',
    "a class that is none": '[hostile]\ntitle = "x"\npath = "x"\npipeline = "os.system"',
}


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def models(house: House) -> Iterator[Path]:
    """The models folder of the house, as it was again afterwards."""
    folder = house.service.parts.catalog.folder
    yield folder
    for path in folder.iterdir():
        if path.name not in ("pocket", "catalog.toml", "generated_images_service"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / "catalog.toml").write_text(CATALOG)


def listed(house: House) -> dict[str, Any]:
    return {model["key"]: model for model in house.client.get("/api/models").get_json()["items"]}


def addresses(house: House) -> list[str]:
    """Every address that is asked without a word about what."""
    rules = house.client.application.url_map.iter_rules()
    return sorted({str(rule) for rule in rules if "GET" in (rule.methods or ()) and not rule.arguments})


def assert_every_door_answers(house: House) -> None:
    for address in addresses(house):
        answer = house.client.get(address)
        assert answer.status_code < 500, f"{address}: {answer.text[:500]}"
    assert house.client.post("/api/jobs", json={"prompt": "a cat", "model": "pocket"}).status_code == 202
    assert house.client.post("/api/jobs", json={"prompt": "a cat <lora:hostile:1>"}).status_code == 422


def assert_refused(house: House, key: str = "hostile") -> None:
    model = listed(house)[key]
    assert model["refused"], model
    assert (model["state"], model["error"]["message"]) == ("failed", model["refused"])
    for call in ("jobs", f"models/{key}/load"):
        answer = house.client.post(f"/api/{call}", json={"prompt": "a cat", "model": key} if call == "jobs" else None)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "model_refused")


def test_every_hostile_file_is_an_entry_that_says_refused(house: House, models: Path) -> None:
    (models / "loras").mkdir()
    for name, data in HEADERS.items():
        (models / f"{name}.safetensors").write_bytes(data)
        (models / "loras" / f"{name}.safetensors").write_bytes(data)
    assert_every_door_answers(house)
    for name in HEADERS:
        assert_refused(house, name)
    loras = house.client.get("/sdapi/v1/loras").get_json()
    assert {(lora["name"], lora["path"]) for lora in loras} == {(name, f"loras/{name}.safetensors") for name in HEADERS}
    assert all(lora["refused"] for lora in loras)


def test_every_hostile_folder_is_an_entry_that_says_refused(house: House, models: Path) -> None:
    for name, data in INDEXES.items():
        (models / name / "unet").mkdir(parents=True)
        (models / name / "model_index.json").write_bytes(data)
        (models / name / "unet" / "gone.safetensors").symlink_to("nowhere")
    assert_every_door_answers(house)
    for name in INDEXES:
        assert_refused(house, name)


def test_every_hostile_entry_of_the_catalog_says_refused_and_the_others_are_there(house: House, models: Path) -> None:
    tables = [text.replace("hostile", f"hostile{number}") for number, text in enumerate(TABLES.values())]
    (models / "catalog.toml").write_text("\n".join([*tables, CATALOG]))
    assert_every_door_answers(house)
    assert {"pocket", "other"} <= set(listed(house))
    for number in range(len(TABLES)):
        assert_refused(house, f"hostile{number}")


def test_names_that_no_door_can_write_are_skipped_and_told(house: House, models: Path) -> None:
    for name in (
        b"\xff\xfe.safetensors",
        b"\x1b[2J.safetensors",
        "\u202egnp.safetensors".encode(),
        b"a\nb.safetensors",
    ):
        Path(os.fsdecode(os.fsencode(models) + b"/" + name)).write_bytes(b"x")
    skipped = house.client.get("/api/models").get_json()["skipped"]
    assert len(skipped) == 4
    assert {"\\udcff\\udcfe.safetensors", "\\u001b[2J.safetensors"} < {item["name"] for item in skipped}
    assert_every_door_answers(house)


def test_links_that_lead_nowhere_in_circles_or_to_devices_are_no_models(house: House, models: Path) -> None:
    (models / "a.safetensors").symlink_to("a.safetensors")
    (models / "b.safetensors").symlink_to("nowhere")
    (models / "c.safetensors").symlink_to("/dev/zero")
    os.mkfifo(models / "d.safetensors")
    (models / "e").symlink_to("..")
    assert set(listed(house)) == {"pocket", "other"}
    assert_every_door_answers(house)


def test_a_folder_that_may_not_be_read_is_skipped_and_told() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are its user's alone
    try:
        folder.chmod(0o755)
        (folder / "lost+found").mkdir()
        (folder / "mine.safetensors").write_bytes(b"x")
        (folder / "lost+found").chmod(0)
        catalog = Catalog(Settings(models_folder=folder))
        as_root = os.geteuid() == 0
        if as_root:  # who may read everything
            os.seteuid(65534)
        try:
            entries, skipped = catalog.look()
            names = {entry.key for entry in entries if entry.path}
        finally:
            if as_root:
                os.seteuid(0)
        assert names == {"mine"}
        assert [(item.name, item.reason) for item in skipped] == [
            ("lost+found", "it cannot be read: Permission denied")
        ]
    finally:
        (folder / "lost+found").chmod(0o700)
        shutil.rmtree(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
HEADER = st.dictionaries(
    st.sampled_from(["a", "__metadata__", "x.lora_up.weight", "first_stage_model.decoder.conv_in.weight"]),
    st.fixed_dictionaries({"dtype": JSON | st.just("F32"), "shape": JSON, "data_offsets": JSON}) | JSON,
)
HUB_FILES = ("atelier-download.json", "refs/main", f"snapshots/{COMMIT}/model_index.json")


@given(
    raw=st.binary(max_size=64),
    header=HEADER,
    value=JSON,
    plan=st.dictionaries(st.sampled_from(["asked", "commit", "variant", "files", "bare"]), JSON),
    parts=st.dictionaries(st.sampled_from(["_class_name", "unet", "../../..", "/etc", "vae"]), JSON),
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_anywhere_close_a_door(
    house: House, models: Path, hub_cache: Path, raw: bytes, header: Any, value: Any, plan: Any, parts: Any
) -> None:
    contents = [
        raw,
        safetensors(json.dumps(header).encode(), raw),
        json.dumps(value).encode(),
        json.dumps(plan).encode(),
    ]
    contents.append(json.dumps(parts).encode())
    (models / "loras").mkdir(exist_ok=True)
    for number, data in enumerate(contents):
        (models / f"hostile{number}.safetensors").write_bytes(data)
        (models / "loras" / f"hostile{number}.safetensors").write_bytes(data)
        (models / f"folder{number}").mkdir(exist_ok=True)
        (models / f"folder{number}" / "model_index.json").write_bytes(data)
        storage = hub_cache / f"models--some--body{number}"
        for name in HUB_FILES:
            (storage / name).parent.mkdir(parents=True, exist_ok=True)
            (storage / name).write_bytes(COMMIT.encode() if name == "refs/main" and number % 2 else data)
    answer = house.client.get("/api/models")
    assert answer.status_code == 200
    known = {model["key"]: model for model in answer.get_json()["items"]}
    assert "pocket" in known
    assert all(known[f"hostile{number}"]["refused"] for number in range(len(contents)))
    for address in ("/v1/models", "/sdapi/v1/sd-models", "/sdapi/v1/loras"):
        assert house.client.get(address).status_code == 200
    job = {"prompt": "a cat <lora:hostile1:1>", "model": "pocket"}
    assert house.client.post("/api/jobs", json=job).status_code == 422


@given(text=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_as_the_catalog_close_a_door(house: House, models: Path, text: bytes) -> None:
    assert "pocket" in listed(house)
    (models / "catalog.toml").write_bytes(text)
    assert house.client.get("/api/models").status_code == 200
    assert house.client.get("/api/status").status_code == 200
    answer = house.client.post("/api/jobs", json={"prompt": "a cat"})
    assert answer.status_code in (202, 422, 503)
    (models / "catalog.toml").write_text(CATALOG)


# The catalog's file is broken for a while.


@pytest.mark.parametrize("text", ["", "[pocket", "# nothing yet\n", "\x00", None])
def test_a_broken_catalog_keeps_its_last_version_and_says_so(house: House, models: Path, text: str | None) -> None:
    assert {"pocket", "other"} <= set(listed(house))
    (models / "catalog.toml").unlink() if text is None else (models / "catalog.toml").write_text(text)
    assert {"pocket", "other"} <= set(listed(house))
    assert house.finished(house.submit("a cat")["id"])["state"] == "succeeded"
    [problem] = house.client.get("/api/status").get_json()["problems"]
    assert problem["code"] == "catalog_unreadable"
    assert "its last version is used" in problem["message"]
    assert house.client.get("/api/models").get_json()["problem"] == problem
    (models / "catalog.toml").write_text(CATALOG)
    assert house.client.get("/api/status").get_json()["problems"] == []
    assert house.client.get("/api/models").get_json()["problem"] is None


def test_a_catalog_that_is_broken_at_the_start_stops_no_job_that_knows_its_model_and_the_others_wait(
    make_settings: Callable[..., Settings],
) -> None:
    chosen = make_settings(start_paused=True)
    chosen.data_folder.mkdir(parents=True)
    first = build_service(chosen)
    first.start()
    before = House(first, _client(first))
    known, waits = before.submit("a cat")["id"], before.submit("a bird")["id"]
    first.stop(drain_s=0)
    with contextlib.closing(sqlite3.connect(chosen.data_folder / "atelier.db")) as database, database:
        database.execute("UPDATE jobs SET entry = NULL WHERE id = ?", [waits])  # as versions left it that kept none
    (chosen.models_folder / "catalog.toml").write_text("[pocket")
    second = build_service(chosen.model_copy(update={"start_paused": False}))
    second.start()
    try:
        after = House(second, _client(second))
        assert after.client.get("/api/status").get_json()["problems"][0]["code"] == "catalog_unreadable"
        after.client.post("/api/queue/resume")  # a pause outlives a restart
        assert after.finished(known, 60)["state"] == "succeeded"
        assert after.client.get(f"/api/jobs/{waits}").get_json()["state"] in ("queued", "running")
        answer = after.client.post("/api/jobs", json={"prompt": "a dog"})
        assert (answer.status_code, answer.get_json()["code"]) == (503, "catalog_unreadable")
        (chosen.models_folder / "catalog.toml").write_text(CATALOG)
        assert after.finished(waits, 60)["state"] == "succeeded"
        assert after.client.get("/api/status").get_json()["problems"] == []
    finally:
        second.stop(drain_s=0)


def _client(service: Any) -> Any:
    return create_app(service.parts, None).test_client()
