"""JSON that was made to be dear for whoever reads it."""

import json
from collections.abc import Callable, Iterable, Mapping

from benchmarks.costs.body import Body, Make

SMALL = {"model": "pocket", "num_inference_steps": 1, "steps": 1, "width": 64, "height": 64}
MAX_PROMPT_CHARS = 20_000
Text = Callable[[int], str]


def _list(item: str) -> Text:
    return lambda size: "[" + ",".join([item] * (size // (len(item) + 1))) + "]"


def _object(value: str) -> Text:
    """Another name each time."""
    return lambda size: "{" + ",".join(f'"{number:x}":{value}' for number in range(size // (9 + len(value)))) + "}"


def _string(part: str, length: int) -> Text:
    return lambda size: '"' + part * (size // length) + '"'


def _in(field: str, value: Text) -> Text:
    """A request that would be fine without this field."""
    return lambda size: json.dumps(SMALL | {"prompt": "a cat"})[:-1] + f', "{field}": {value(size)}}}'


_TEXTS: Mapping[str, Text] = {
    "deep lists": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "deep objects": lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    "objects 30 deep": _in("extra", _list('{"a":' * 30 + "1" + "}" * 30)),
    "many lists": _in("extra", _list("[]")),
    "many objects": _in("extra", _list("{}")),
    "many numbers": _in("extra", _list("1")),
    "many floats": _in("extra", _list("1e9")),
    "many keys": _object("1"),
    "many keys in a field": _in("extra", _object("1")),
    "many settings": _in("override_settings", _object("1")),
    "many scripts": _in("alwayson_scripts", _object('{"args":[1]}')),
    "many loras": _in("loras", _list('{"name":"a","weight":1}')),
    "one key again and again": lambda size: "{" + '"prompt":"a",' * (size // 13) + '"prompt":"a"}',
    "long number": _in("seed", lambda size: "9" * size),
    "many long numbers": _in("extra", _list("9" * 4300)),
    "long fraction": _in("guidance_scale", lambda size: "0." + "1" * size),
    "long text": _in("prompt", _string("a", 1)),
    "long text of escapes": _in("prompt", _string("\\u00e9", 6)),
    "long text of half characters": _in("prompt", _string("\\ud83d", 6)),
    "long text of wide characters": _in("prompt", _string("\U0001f34e", 4)),
    "long field name": lambda size: '{"' + "a" * size + '": 1}',
    "spaces": lambda size: " " * size + "{}",
    "broken at the end": lambda size: "[" + "1," * (size // 2),
}
_PROMPTS = {
    "brackets": "((", "weights": "(a:1.1)", "alternations": "[a|b", "loras": "<lora:a:1>", "breaks": " BREAK ",
    "escapes": "\\(", "infotext": "Steps: 1, Seed: 2\n", "words": "苹果 ", "marks": "e\u0301\u0301", "commas": ", ",
}  # fmt: skip


def _written(name: str, text: Text) -> Make:
    return lambda size: Body(name, text(size).encode())


def _prompt(name: str, part: str) -> Make:
    """As long as a prompt may be, both."""

    def make(size: int) -> Body:
        text = (part * size)[: min(size, MAX_PROMPT_CHARS)]
        return Body(f"prompt of {name}", json.dumps(SMALL | {"prompt": text, "negative_prompt": text}).encode())

    return make


def json_bodies() -> Iterable[Make]:
    """All of them."""
    return [
        *(_written(name, text) for name, text in _TEXTS.items()),
        *(_prompt(name, part) for name, part in _PROMPTS.items()),
    ]
