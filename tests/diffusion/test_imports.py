"""The diffusion room needs neither the page nor the HTTP service nor a database, and runs without a network."""

import subprocess
import sys
from pathlib import Path

from app.core.settings import PROJECT_FOLDER

BLOCKED_IMPORTS = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"flask", "gradio", "sqlalchemy", "alembic", "gunicorn"}:
            raise ImportError(f"the diffusion room must not import {name}")
sys.meta_path.insert(0, Blocked())
import app.diffusion, app.diffusion.generate, app.diffusion.cache
import diffusers.utils.constants
assert diffusers.utils.constants.DIFFUSERS_DISABLE_REMOTE_CODE
"""

NO_NETWORK = """
import sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError(f"network used: {event} {args}")
sys.addaudithook(refuse)
from app.diffusion import DiffusionService
service = DiffusionService(sys.argv[2], device="cpu")
print(service.load_model(sys.argv[1]))
print(service.generate_image("a cat", num_inference_steps=1, width=32*2, height=64)["message"])
print(service.load_model("someone/not-here"))
"""


def python(*arguments: str) -> str:
    command = [sys.executable, "-c", *arguments]
    done = subprocess.run(command, cwd=PROJECT_FOLDER, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_imports_without_flask_gradio_and_sqlalchemy() -> None:
    python(BLOCKED_IMPORTS)


def test_a_local_model_loads_and_draws_without_touching_the_network(tiny_folder: Path, tmp_path: Path) -> None:
    said = python(NO_NETWORK, str(tiny_folder), str(tmp_path))
    assert "1 picture in" in said
    assert "nothing is downloaded unasked" in said
