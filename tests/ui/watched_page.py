"""`python -m tests.ui.watched_page FILE …`: the page, which writes down each path it opens and each address it calls.

It takes strangers on this machine for strangers on the internet: Gradio would call those and not these.
"""

import os
import sys
from typing import Any

import safehttpx

from app.ui.__main__ import main

WATCHED = {"open", "os.listdir", "os.scandir", "socket.connect", "socket.getaddrinfo"}


def watch(file: str) -> None:
    """Write a line to `file` for each."""
    told = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WATCHED:
            os.write(told, f"{event} {arguments}\n".encode("utf-8", "replace"))

    sys.addaudithook(note)


if __name__ == "__main__":
    watch(sys.argv[1])
    safehttpx.is_public_ip = lambda _address: True
    sys.exit(main(sys.argv[2:]))
