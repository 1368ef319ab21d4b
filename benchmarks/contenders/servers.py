"""Two servers that somebody would write in an afternoon, in this very process: what theirs costs against ours.

One is a lock around one pipeline. The other does what the server among diffusers' examples does
(`examples/server-async`): for each request a thread and a shallow copy of the pipeline with a scheduler of its own; the
picture is written as a file and fetched with a second request; garbage is collected after each. Its lock around
tokenizers costs nothing where requests come one by one, and is left out.
"""

import copy
import gc
import io
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import uvicorn
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from flask import Flask, Response
from werkzeug.serving import make_server

from benchmarks.contenders.names import FLASK, FLOAT32
from benchmarks.contenders.plain import arguments, pipeline
from tests.running import free_port
from tests.system.victim import wait_until

REQUEST_S = 3600
START_S = 60.0


@contextmanager
def server(name: str, folder: Path, work: Path, size: int, steps: int) -> Iterator[Callable[[], object]]:
    """While it runs: draws one picture through the server, to the bytes of its PNG."""
    pipe = pipeline(FLOAT32, folder, work)
    with _flask(pipe, size, steps) if name == FLASK else _scoped(pipe, work, size, steps) as draw:
        yield draw


@contextmanager
def _flask(pipe: Any, size: int, steps: int) -> Iterator[Callable[[], object]]:
    app, lock, port = Flask(__name__), threading.Lock(), free_port()

    @app.post("/generate")
    def generate() -> Response:
        with lock:
            picture = pipe(**arguments(size, steps)).images[0]
        file = io.BytesIO()
        picture.save(file, "PNG")
        return Response(file.getvalue(), mimetype="image/png")

    running = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield lambda: _asked("POST", f"http://127.0.0.1:{port}/generate").content
    finally:
        running.shutdown()
        thread.join()


@contextmanager
def _scoped(pipe: Any, work: Path, size: int, steps: int) -> Iterator[Callable[[], object]]:
    app, port = FastAPI(), free_port()
    folder = work / "scoped"
    folder.mkdir(exist_ok=True)

    def make() -> Any:
        own = copy.copy(pipe)
        own.scheduler = pipe.scheduler.from_config(pipe.scheduler.config)
        return own(**arguments(size, steps)).images[0]

    async def inference() -> dict[str, str]:
        picture = await run_in_threadpool(make)
        name = f"{uuid.uuid4().hex}.png"
        picture.save(folder / name)
        gc.collect()
        return {"name": name}

    async def image(name: str) -> FileResponse:
        return FileResponse(folder / Path(name).name, media_type="image/png")

    app.add_api_route("/inference", inference, methods=["POST"])
    app.add_api_route("/images/{name}", image, response_class=FileResponse)
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    wait_until("the server is ready", lambda: running.started, START_S)

    def draw() -> bytes:
        name = _asked("POST", f"http://127.0.0.1:{port}/inference").json()["name"]
        found = _asked("GET", f"http://127.0.0.1:{port}/images/{name}").content
        (folder / name).unlink()
        return found

    try:
        yield draw
    finally:
        running.handle_exit(signal.SIGTERM, None)
        thread.join(START_S)


def _asked(method: str, url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, timeout=REQUEST_S)
    answer.raise_for_status()
    return answer
