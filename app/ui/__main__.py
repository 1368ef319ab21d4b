"""`python -m app.ui`, behind `python -m app ui`: serve the page, or add a person to its login file."""

import argparse
import getpass
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import app.ui.quick_gradio  # noqa: F401 - before everything that imports Gradio

# isort: split
from app.core.errors import AtelierError
from app.core.logs import configure_logs
from app.core.settings import Settings
from app.ui.accounts import add_user
from app.ui.roles import Role
from app.ui.server import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; the exit status: 0 = stopped as asked, 1 = refused."""
    parser = argparse.ArgumentParser(prog="python -m app ui", description="The web page of Atelier.")
    parser.add_argument("--host", help="address to listen on; beyond loopback a login file is needed")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--auth-file", type=Path, help="login file: `name:argon2-hash:role` a line")
    parser.add_argument("--add-user", metavar="NAME", help="ask for a password, add it to the login file, and end")
    parser.add_argument("--role", type=Role, choices=list(Role), default=Role.ADMIN, help="what that person may do")
    chosen = parser.parse_args(arguments)
    given = {"ui_host": chosen.host, "ui_port": chosen.port, "ui_auth_file": chosen.auth_file}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
        configure_logs(settings.log_level)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # the page itself says when the service is away
        if chosen.add_user:
            if settings.ui_auth_file is None:
                parser.error("--add-user needs --auth-file")
            add_user(settings.ui_auth_file, chosen.add_user, _asked_password(), chosen.role)
        else:
            run(settings)
    except AtelierError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _asked_password() -> str:
    """From the terminal without showing it, or a line of standard input for scripts."""
    return getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
