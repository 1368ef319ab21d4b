"""The page's functions, called as its script calls them."""

import json
import re
from typing import Any

import requests


def functions_of(http: requests.Session, url: str) -> list[dict[str, Any]]:
    """Every function that can be called, as the page tells the browser: `id`, `inputs`, `outputs`."""
    dependencies: list[dict[str, Any]] = _config(http, url)["dependencies"]
    return dependencies


def call_of(http: requests.Session, url: str, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The body that calls the function of that name; `values` by the ids of their elements, the rest as it stands."""
    config = _config(http, url)
    [function] = [each for each in config["dependencies"] if each["api_name"] == name]
    parts = {each["id"]: each["props"] for each in config["components"]}
    inputs = [parts[number] for number in function["inputs"]]
    data = [values.get(part.get("elem_id") or "", part.get("value")) for part in inputs]
    return {"data": data, "fn_index": function["id"]}


def _config(http: requests.Session, url: str) -> dict[str, Any]:
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", http.get(url + "/").text, re.DOTALL)
    assert found is not None
    config: dict[str, Any] = json.loads(found[1])
    return config
