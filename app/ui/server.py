"""The page as a process: Gradio inside an app of our own, behind the doorkeeper, on one port."""

import os
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI

from app.client import ImageServiceClient
from app.core.errors import AtelierError
from app.core.settings import Settings
from app.ui.accounts import Accounts
from app.ui.addresses import ADDRESSES, TOOL_ADDRESSES
from app.ui.begun import begin_routes
from app.ui.gradio_files import gradio_routes
from app.ui.installable import STATIC, installable_routes
from app.ui.link import ServiceLink
from app.ui.login import login_routes
from app.ui.lost import lost_page
from app.ui.page import create_page
from app.ui.page_head import PageHead, head_of
from app.ui.pictures import picture_routes
from app.ui.ports import refuse_taken_port
from app.ui.roles import RoleClient
from app.ui.security import Doorkeeper, LoginGate, Sessions, binds_beyond_loopback, host_names
from app.ui.sketches import sketch_routes
from app.ui.strings import Strings
from app.ui.studio import Studio
from app.ui.theme import create_theme
from app.ui.thumbnails import ThumbnailCache
from app.ui.tool_pictures import contents
from app.ui.tools import add_tools
from app.ui.uploads import Uploads, upload_routes
from app.ui.word_lists import word_routes

STYLE, SCRIPTS = "style.css", ("coach", "paint", "memory", "page", "lightbox", "prompts", "notice", "sketch", "splash")
CACHE_FOLDER = "ui-cache"
MAX_SESSIONS = 50  # pages whose changed ranges Gradio keeps in memory; an older one gets the widest ranges
ACT_TIMEOUT_S, LOOK_TIMEOUT_S = 15.0, 3.0


class LoginNeeded(AtelierError):
    """Other machines could reach the page, so it needs a login: `--auth-file FILE`, made with `--add-user NAME`."""

    code = "login_needed"


class ToolsMissing(AtelierError):
    """ATELIER_UI_MCP needs a further package: pip install "mcp>=1.21,<2"."""

    code = "tools_missing"


def run(settings: Settings) -> None:
    """Serve the page until it is stopped. Raises LoginNeeded, BadAuthFile or PortTaken before it listens.

    The service may be away: the page says so and goes on when it is there.
    """
    refuse_taken_port(settings.ui_host, settings.ui_port)
    app = build_app(settings)
    uvicorn.run(
        app,
        host=settings.ui_host,
        port=settings.ui_port,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.ui_proxies),
        forwarded_allow_ips=list(settings.ui_proxies),
    )


def build_app(settings: Settings) -> FastAPI:
    """The whole ASGI app. Empties the cache folder of the page that ran before."""
    accounts = None if settings.ui_auth_file is None else Accounts(settings.ui_auth_file)
    if accounts is None and binds_beyond_loopback(settings):
        raise LoginNeeded()
    cache = settings.data_folder / CACHE_FOLDER
    shutil.rmtree(cache, ignore_errors=True)
    _keep_gradio_to_itself(cache / "uploads")

    key = settings.api_key.get_secret_value() if settings.api_key else None
    kind = ImageServiceClient if accounts is None else RoleClient
    client = kind(settings.service_url, key, timeout_s=ACT_TIMEOUT_S, origin="ui")
    watcher = kind(settings.service_url, key, timeout_s=LOOK_TIMEOUT_S, origin="ui", retries=0)
    strings = Strings()
    uploads = Uploads()
    studio = Studio(settings, ServiceLink(client, watcher), strings, strings.for_gradio(), uploads)
    blocks = create_page(studio)
    if settings.ui_mcp:
        if find_spec("mcp") is None:
            raise ToolsMissing()
        add_tools(blocks, client)
    blocks.state_session_capacity = MAX_SESSIONS

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(picture_routes(studio.link, ThumbnailCache(cache / "thumbnails", settings.ui_cache_bytes)))
    app.include_router(upload_routes(uploads))
    app.include_router(sketch_routes(studio))
    app.include_router(begin_routes(studio))
    app.include_router(word_routes(settings.models_folder))
    app.include_router(installable_routes(strings))
    app.include_router(gradio_routes())
    if accounts is not None:
        sessions = Sessions()
        app.include_router(login_routes(accounts, sessions, strings))
        app.add_middleware(LoginGate, sessions=sessions, role_of=accounts.role)
    app.add_middleware(PageHead, head=head_of(STATIC, STYLE, SCRIPTS), strings=strings)
    app.add_middleware(
        Doorkeeper,
        names=host_names(settings),
        open_to_others=binds_beyond_loopback(settings),
        addresses=(*ADDRESSES, *(TOOL_ADDRESSES if settings.ui_mcp else ())),
        lost=partial(lost_page, strings=strings),
    )  # added last = asked first
    mounted = _mounted(app, blocks, studio.texts, settings)
    if blocks.mcp_server_obj is not None:
        blocks.mcp_server_obj.postprocess_output_data = contents
    return mounted


def _mounted(app: FastAPI, blocks: gr.Blocks, texts: gr.I18n, settings: Settings) -> FastAPI:
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=settings.ui_host,
        server_port=settings.ui_port,
        footer_links=[],
        run_history=False,
        app_kwargs={"openapi_url": None, "docs_url": None, "redoc_url": None},
        allowed_paths=[],
        blocked_paths=[str(settings.data_folder), str(settings.models_folder)],
        favicon_path=str(STATIC / "icon.png"),
        show_error=False,
        max_file_size=0,  # no upload of Gradio's is open
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        i18n=texts,
        mcp_server=settings.ui_mcp,
        theme=create_theme(),
    )
    return mounted


def _keep_gradio_to_itself(uploads: Path) -> None:
    """Gradio reads these from the environment only: where uploads lie, and that nothing is told to anybody."""
    uploads.mkdir(parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
