"""The "made by AI" label: what is in the packet, and what is read from other programs' packets."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.picture import labels

CREATED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def a_packet(**values: Any) -> str:
    defaults = {"system": "pocket", "version": "0.1.0", "revision": "r1", "created": CREATED, "image_id": "id-1"}
    return labels.xmp_packet(**defaults | values)


def test_the_packet_says_what_it_was_given() -> None:
    assert labels.read_labels(a_packet(prompt="a\nb")) == {
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "ai_system": "pocket",
        "ai_system_version": "r1",
        "ai_prompt": "a\nb",
        "creator_tool": "Atelier 0.1.0",
        "created": "2026-11-20T12:00:00+00:00",
        "aigc": {
            "Label": "1",
            "ContentProducer": "Atelier",
            "ProduceID": "id-1",
            "ReservedCode1": "",
            "ContentPropagator": "",
            "PropagateID": "",
            "ReservedCode2": "",
        },
        "ai_generated": True,
    }


def test_the_aigc_element_is_plain_json_with_its_seven_keys_in_order() -> None:
    packet = a_packet()
    element = ElementTree.fromstring(packet.encode()).find(".//{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC")
    assert list(json.loads(element.text)) == [
        "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2",
    ]  # fmt: skip
    assert '<TC260:AIGC>{"Label":"1",' in packet
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="w"?>')


def test_empty_values_are_left_out() -> None:
    said = labels.read_labels(a_packet(revision="", prompt=""))
    assert "ai_system_version" not in said
    assert "ai_prompt" not in said


def test_the_time_keeps_its_zone() -> None:
    east = datetime(2026, 11, 20, 20, 0, tzinfo=timezone(timedelta(hours=8)))
    assert labels.read_labels(a_packet(created=east))["created"] == "2026-11-20T20:00:00+08:00"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_prompt_and_model_make_a_valid_packet(prompt: str, system: str) -> None:
    packet = a_packet(prompt=prompt, system=system)
    ElementTree.fromstring(packet.encode())
    said = labels.read_labels(packet)
    legal = "".join("\ufffd" if labels._NOT_XML.match(char) else char for char in prompt)
    assert said.get("ai_prompt", "") == legal.strip()
    assert said["ai_generated"]


def test_a_packet_of_another_program_with_attributes_is_read() -> None:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType='
        '"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
    )
    assert labels.read_labels(packet)["ai_generated"]
    assert not labels.read_labels(packet.replace("compositeWithTrainedAlgorithmicMedia", "digitalCapture"))[
        "ai_generated"
    ]


BOMB = '<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx">' + "".join(
    f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 9)
) + "]><a>&b8;</a>"  # fmt: skip
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize(
    "packet", ["", "no xml", "<a>", "<a/>", BOMB, OUTSIDE, "\0" * 100, "<a>" * 100_000, "x" * 2**21]
)
def test_a_packet_that_is_none_says_nothing_in_a_moment(packet: str) -> None:
    start = time.process_time()
    assert labels.read_labels(packet) == {}
    assert time.process_time() - start < 1


@pytest.mark.parametrize("value", ["", "{", "[]", "[" * 50_000, '{"Label": 5}'])
def test_an_aigc_element_that_is_no_json_object_is_no_reason_to_fail(value: str) -> None:
    packet = f'<t:AIGC xmlns:t="http://www.tc260.org.cn/ns/AIGC/1.0/">{value}</t:AIGC>'
    assert not labels.read_labels(packet).get("ai_generated")
