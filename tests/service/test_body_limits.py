"""How finely a JSON body may be divided, before anybody looks at its fields."""

import json

import pytest
from flask import Flask

from app.core.schema import MAX_PROMPT_CHARS
from app.service.http.body_limits import MAX_PARTS, StrictJson


def test_two_prompts_of_commas_are_read_and_a_body_of_countless_fields_is_not() -> None:
    reader = StrictJson(Flask(__name__))
    commas = {"prompt": "," * MAX_PROMPT_CHARS, "negative_prompt": ":" * MAX_PROMPT_CHARS}
    assert reader.loads(json.dumps(commas)) == commas
    fields = ",".join(f'"{number}":1' for number in range(MAX_PARTS // 2 + 1))
    for body in (f"{{{fields}}}", f"{{{fields}}}".encode(), "[" + "0," * MAX_PARTS + "0,0]"):
        with pytest.raises(ValueError, match="more than 50000 parts"):
            reader.loads(body)
