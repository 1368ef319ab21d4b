"""docs/sbom.cdx.json: the bill of materials in CycloneDX form, with each package's licence."""

from typing import Any

from tests.supply_chain.licences import licence_of
from tests.supply_chain.locks import ROOT

SBOM = ROOT / "docs" / "sbom.cdx.json"


def with_licences(bill: dict[str, Any]) -> dict[str, Any]:
    """The bill with the licences that the installed packages name, and without the places they could come from."""
    seen: dict[str, dict[str, Any]] = {}
    for part in (*bill["components"], *bill["metadata"].get("tools", {}).get("components", ())):
        part.pop("externalReferences", None)
    for component in bill["components"]:
        component.pop("description", None)
        component["bom-ref"] = component["purl"]
        licence = licence_of(component["name"])
        if licence:
            component["licenses"] = [{"license": {"name": licence}}]
        seen[component["purl"]] = component
    bill["components"] = [seen[purl] for purl in sorted(seen)]
    bill["dependencies"] = [{"ref": purl} for purl in sorted(seen)]
    bill["metadata"].pop("timestamp", None)
    bill["metadata"]["component"] = {"type": "application", "name": "atelier", "bom-ref": "atelier"}
    bill.pop("serialNumber", None)
    return bill
