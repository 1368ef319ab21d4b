"""The machine-readable "made by AI" label: one XMP packet with IPTC's and China's TC260 properties.

IPTC Photo Metadata 2025.1: https://iptc.org/std/photometadata/specification/ (DigitalSourceType, AISystemUsed,
AISystemVersionUsed, AIPromptInformation). TC260: GB 45438-2025 and its practice guide for images, element
`TC260:AIGC` holding plain JSON. The packet is never compressed: verifiers call a compressed one inconclusive.
"""

import json
import re
from datetime import datetime
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

KEYWORD = "XML:com.adobe.xmp"
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# Of a picture that was made from one that no machine is known to have made.
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PRODUCER = "Atelier"
MAX_PACKET_CHARS = 2**20
MAX_DEPTH = 64  # elements inside elements

_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_ATELIER = "urn:atelier:"  # ours: the recipe, in files that have no other place for it
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_NAMES = (  # XMP property, name in `read_labels`
    (_IPTC + "DigitalSourceType", "digital_source_type"),
    (_IPTC + "AISystemUsed", "ai_system"),
    (_IPTC + "AISystemVersionUsed", "ai_system_version"),
    (_IPTC + "AIPromptInformation", "ai_prompt"),
    (_XMP + "CreatorTool", "creator_tool"),
    (_XMP + "CreateDate", "created"),
    (_EXIF + "UserComment", "user_comment"),
    (_TC260 + "AIGC", "aigc"),
)
# What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{iptc}" xmlns:xmp="{xmp}" xmlns:TC260="{tc260}">
{properties}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def xmp_packet(
    *,
    system: str,
    version: str,
    revision: str,
    created: datetime,
    image_id: str,
    prompt: str = "",
    composite: bool = False,
) -> str:
    """The XMP packet of one picture; `composite` if it was made from one that need not be a machine's.

    `system` is the model and `revision` its version (`AISystemUsed`, `AISystemVersionUsed`), `version` is Atelier's
    own (`CreatorTool`), `image_id` is TC260's `ProduceID`. Empty values are left out. A character that XML cannot
    hold is written as U+FFFD; the exact prompt is in the recipe.
    """
    aigc = {
        "Label": "1",  # 1 = is made by AI
        "ContentProducer": PRODUCER,
        "ProduceID": image_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    properties = {
        "Iptc4xmpExt:DigitalSourceType": COMPOSITE if composite else TRAINED_ALGORITHMIC_MEDIA,
        "Iptc4xmpExt:AISystemUsed": system,
        "Iptc4xmpExt:AISystemVersionUsed": revision,
        "Iptc4xmpExt:AIPromptInformation": prompt,
        "xmp:CreatorTool": f"{PRODUCER} {version}",
        "xmp:CreateDate": created.isoformat(timespec="seconds"),
        "TC260:AIGC": json.dumps(aigc, ensure_ascii=False, separators=(",", ":")),
    }
    lines = (f"<{name}>{_xml(value)}</{name}>" for name, value in properties.items() if value)
    return _PACKET.format(rdf=_RDF, iptc=_IPTC, xmp=_XMP, tc260=_TC260, properties="\n".join(lines))


def with_recipe(packet: str, text: str) -> str:
    """The packet with a recipe in it, for files that have no texts of their own."""
    if not packet or not text:
        return packet
    # The recipe is JSON, which has its own way to write what XML cannot hold.
    json_text = _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    written = f'<atelier:Recipe xmlns:atelier="{_ATELIER}">{_xml(json_text)}</atelier:Recipe>\n'
    return packet.replace("</rdf:Description>", f"{written}</rdf:Description>", 1)


def read_recipe(xmp: str) -> str:
    """The recipe that `with_recipe` wrote, "" if there is none."""
    if len(xmp) > MAX_PACKET_CHARS:
        return ""
    return _properties(xmp, {_ATELIER + "Recipe"}).get(_ATELIER + "Recipe", "")


def read_labels(xmp: str) -> dict[str, Any]:
    """What a packet, ours or another program's, says about how the picture was made.

    Keys that are there: `digital_source_type`, `ai_system`, `ai_system_version`, `ai_prompt`, `creator_tool`,
    `created`, `user_comment`, `aigc` (a dict), and always `ai_generated`. A packet that is no XML, has a document
    type (entities could be bombs), is nested more than 64 deep or is over 1 MiB gives `{}`.
    """
    if len(xmp) > MAX_PACKET_CHARS:
        return {}
    properties = _properties(xmp, {key for key, _ in _NAMES})
    labels: dict[str, Any] = {name: properties[key].strip() for key, name in _NAMES if properties.get(key, "").strip()}
    if not labels:
        return {}
    if "aigc" in labels:
        labels["aigc"] = _aigc(labels["aigc"])
    by_ai = labels.get("digital_source_type", "").lower().endswith("trainedalgorithmicmedia")
    return labels | {"ai_generated": by_ai or labels.get("aigc", {}).get("Label") == "1"}


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _aigc(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _properties(xmp: str, wanted: set[str]) -> dict[str, str]:
    """Simple properties by full name, whether written as elements or as attributes of a description."""
    found: dict[str, list[str]] = {}
    open_names: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_names) == MAX_DEPTH:
            raise expat.ExpatError(f"more than {MAX_DEPTH} elements inside each other")
        open_names.append(name)
        if name == _RDF + "Description":
            found.update({key: [value] for key, value in attributes.items() if key in wanted})

    def end(_name: str) -> None:
        open_names.pop()

    def text(data: str) -> None:
        # The innermost wanted element: exif:UserComment keeps its text in rdf:Alt/rdf:li.
        inside = next((name for name in reversed(open_names) if name in wanted), None)
        if inside:
            found.setdefault(inside, []).append(data)

    def refuse(*_: object) -> None:
        raise expat.ExpatError("a document type is not allowed here")

    parser = expat.ParserCreate(namespace_separator="")
    parser.buffer_text = True  # a text of a hundred thousand escapes comes in large pieces
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xmp.strip("\x00 \r\n\t").encode("utf-8", "replace"), True)
    except expat.ExpatError:
        return {}
    return {key: "".join(pieces) for key, pieces in found.items()}
