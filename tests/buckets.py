"""A real S3 server for tests: rclone serves a folder as buckets, a folder below it each."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import requests

from tests.running import free_port

RCLONE = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
BUCKET = "studio"
KEY, SECRET = "a-key-of-the-tests", "a-secret-of-the-tests"
START_S, PAUSE_S = 20, 0.3
UNFINISHED = ".rclone_temp_put_"  # how the files begin that a killed server had not finished


class S3Server:
    """Buckets in `folder`, and one of them made. Use as a context manager; it may be ended and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program needs to use it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running server."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Begin, and wait until it answers."""
        (self.folder / BUCKET).mkdir(parents=True, exist_ok=True)
        command = [RCLONE, "serve", "s3", str(self.folder), "--addr", f"127.0.0.1:{self.port}", "--config", "/dev/null"]
        command += ["--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off", "--dir-cache-time", "0s", "-q"]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + START_S
        while True:
            try:
                requests.get(f"http://127.0.0.1:{self.port}/", timeout=5)
                return
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.process.kill()
        self.process.wait(timeout=10)

    def interrupt(self) -> None:
        """End it while it holds what was being sent, and start it again a little later."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE_S)
        self.kill()
        time.sleep(PAUSE_S)
        self.start()

    def __enter__(self) -> "S3Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
