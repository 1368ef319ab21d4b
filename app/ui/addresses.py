"""The addresses that the page answers, and nothing else.

Gradio serves dozens more: a proxy to any server, the folders it writes to, an editor for its own source. Every release
brings new ones. So what is not listed here is closed, whoever asks, until somebody lists it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LOGIN_PATH = "/login"
LOGOUT_PATH = "/logout"
HEALTH_PATH = "/atelier/health"
UPLOAD_PATH = "/atelier/upload"
MANIFEST_PATH = "/manifest.json"
# Of the installed app: name → its address and its pixels on a side.
ICONS = {
    "small": ("/atelier/icon/small.png", 192),
    "large": ("/atelier/icon/large.png", 512),
    "whole": ("/atelier/icon/whole.png", 512),
}
SKETCH_PATH = "/atelier/sketch"
BEGIN_PATH, BEGUN_PATH = "/atelier/begin", "/atelier/begun"
EVENTS_PATH = "/gradio_api/run/predict"
MAX_JSON_BYTES = 2 * 2**20
MAX_DRAFT_BYTES = 256 * 2**10
MAX_TOOL_BYTES = 8 * 2**20  # a picture of 6 MB that an assistant hands in
MAX_FORM_BYTES = 16 * 2**10
MAX_UPLOAD_BYTES = 32 * 2**20
GET = ("GET", "HEAD")
POST = ("POST",)


@dataclass(frozen=True)
class Address:
    """A path, its methods, and the most bytes that may be sent there. The whole path must fit `pattern`.

    `linked`: a link on somebody else's page may lead here. Such an address must do nothing but show itself.
    """

    pattern: str
    methods: tuple[str, ...] = GET
    max_body: int = 0
    linked: bool = False


ADDRESSES = (
    Address("/", linked=True),
    Address(LOGIN_PATH, linked=True),
    Address(LOGIN_PATH, POST, MAX_FORM_BYTES),
    Address(LOGOUT_PATH, POST, MAX_FORM_BYTES),
    Address(HEALTH_PATH),
    Address(re.escape(MANIFEST_PATH)),
    *(Address(re.escape(path)) for path, _ in ICONS.values()),
    Address(r"/atelier/picture/[A-Za-z0-9-]{1,64}\.png"),
    Address(r"/atelier/grid/[A-Za-z0-9-]{1,64}\.png"),
    Address(r"/atelier/input/[0-9a-f]{64}\.png"),
    Address(r"/atelier/seen/[a-z]{1,16}/[0-9a-f]{64}\.png"),
    Address(r"/atelier/thumbnail/[A-Za-z0-9-]{1,64}\.webp"),
    Address(r"/atelier/trash/[A-Za-z0-9-]{1,64}\.webp"),
    Address(r"/atelier/sample/[a-z]{1,20}\.webp"),
    Address(r"/atelier/words/[^/]{1,200}\.json"),
    Address(r"/atelier/pictures\.zip"),
    Address(UPLOAD_PATH, POST, MAX_UPLOAD_BYTES),
    Address(SKETCH_PATH, POST, MAX_DRAFT_BYTES),
    Address(BEGIN_PATH, POST, MAX_DRAFT_BYTES),
    Address(BEGUN_PATH + r"/[A-Za-z0-9-]{1,64}"),
    # Gradio's own: its scripts and styles, the one address that all events of the page go to, and the one that a page
    # which lost its line asks until there is an answer.
    Address(r"/assets/[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}"),
    Address(r"/static/js/iframeResizer\.contentWindow\.min\.js"),
    Address(r"/(theme\.css|favicon\.ico|robots\.txt)"),
    Address("/gradio_api/app_id"),
    Address(EVENTS_PATH, POST, MAX_JSON_BYTES),
)
# Only when the owner offers the tools to assistants. Gradio runs a tool by calling itself: it asks what there is, joins
# its own queue and reads the answer.
TOOL_ADDRESSES = (
    Address(r"/gradio_api/mcp(/[A-Za-z0-9_/-]{0,100})?", (*GET, *POST, "DELETE"), MAX_TOOL_BYTES),
    Address("/gradio_api/info"),
    Address("/gradio_api/queue/join", POST, MAX_JSON_BYTES),
    Address("/gradio_api/queue/data"),
)


class AddressBook:
    """Looks an address up."""

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._addresses = [(re.compile(address.pattern), address) for address in addresses]

    def find(self, path: str, method: str) -> tuple[int, Address | None]:
        """200 and the address; or 404, or 405 where the path is known and the method is not."""
        known = [address for pattern, address in self._addresses if pattern.fullmatch(path)]
        fitting = next((address for address in known if method in address.methods), None)
        if fitting is not None:
            return 200, fitting
        return (405 if known else 404), None
