"""Once a model is complete nothing asks the network, whether it is switched off or only slow."""

import json
import os
import subprocess
import sys
from pathlib import Path

from diffusers import StableDiffusionPipeline

from app.hub.child import Wanted
from app.hub.fetch import fetch
from tests.hub_server import Hub
from tests.running import ROOT
from tests.single_files import save_single_file

WITHOUT_NETWORK = """
import json, socket, sys

opened = []

def no_network(*args, **more):
    opened.append(repr(args))
    raise OSError("the network was asked")

class NoSocket(socket.socket):
    connect = connect_ex = sendto = sendmsg = no_network

socket.socket = NoSocket
socket.create_connection = socket.getaddrinfo = no_network

from app import DiffusionService

service = DiffusionService(sys.argv[1], device="cpu", models_folder=sys.argv[2])
told = []
for name in sys.argv[3:]:
    ok, message = service.load_model(name)
    made = service.generate_image("a dog", seed=1, width=64, height=64, num_inference_steps=1) if ok else {}
    told.append([ok, message, made.get("success")])
print(json.dumps([told, opened]))
"""


def test_a_complete_model_is_loaded_and_draws_without_one_connection(
    hub: Hub, wanted: Wanted, tiny_repository: Path, tmp_path: Path
) -> None:
    fetch(wanted)
    models = tmp_path / "models"
    models.mkdir()
    save_single_file(StableDiffusionPipeline.from_pretrained(tiny_repository), models / "single.safetensors")
    (models / "base").symlink_to(fetch(wanted))
    (models / "catalog.toml").write_text(
        '[single]\ntitle = "S"\npath = "single.safetensors"\nconfig = "base"\n', encoding="utf-8"
    )
    hub.calls.clear()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK, str(tmp_path / "out"), str(models), wanted.repository, "single"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told, opened = json.loads(done.stdout.splitlines()[-1])
    assert [(ok, drawn) for ok, _, drawn in told] == [(True, True), (True, True)], told
    assert opened == []
    assert hub.calls == []
