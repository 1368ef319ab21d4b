"""The page's functions, called as its script calls them."""

import json
import re
from typing import Any

import requests


def functions_of(http: requests.Session, url: str) -> list[dict[str, Any]]:
    """Every function that can be called, as the page tells the browser: `id`, `inputs`, `outputs`."""
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", http.get(url + "/").text, re.DOTALL)
    assert found is not None
    dependencies: list[dict[str, Any]] = json.loads(found[1])["dependencies"]
    return dependencies
