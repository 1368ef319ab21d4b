"""docs/licences.md: what each package that Atelier installs may be used under, as its own metadata say."""

from importlib.metadata import PackageNotFoundError, metadata

from tests.supply_chain.locks import CUDA, PAGE, ROOT, SERVICE, is_cuda_only, read_lock

LICENCES = ROOT / "docs" / "licences.md"
HEAD = """# Licences

What Atelier installs, and the licence that each package names in its own metadata. Made by
`python -m tests.supply_chain`; a test fails when it is not current, and for any package under the GPL or AGPL.

| package | version | used by | licence |
|---|---|---|---|
"""
TAIL = """
Not in the table, for they are not installed where it was made: packages of other systems or Python versions
({others}), and the libraries that torch's build for NVIDIA cards brings along, which come under NVIDIA's own terms
(triton: MIT): {cuda}.
"""
# Their metadata say only "see the file"; read from the LICENSE file of the package.
_READ_BY_HAND: dict[str, str] = {}


def licence_of(name: str) -> str | None:
    """In one line; None if the package is not installed here."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return None
    classified = [line.split(" :: ")[-1] for line in found.get_all("Classifier", []) if line.startswith("License ::")]
    plain = (found.get("License") or "").strip().splitlines()
    said = found.get("License-Expression") or "; ".join(classified) or (plain[0] if plain else "")
    return _READ_BY_HAND.get(name, said or "unknown")


def licences_page() -> str:
    """The whole page as Markdown."""
    users: dict[str, dict[str, None]] = {}
    versions: dict[str, str] = {}
    for lock, user in ((PAGE, "page"), (SERVICE, "service")):
        for pin in read_lock(lock):
            users.setdefault(pin.name, {})[user] = None
            versions[pin.name] = pin.version
    rows, others = [], []
    for name in sorted(users):
        licence = licence_of(name)
        if licence is None:
            others.append(name)
        else:
            rows.append(f"| {name} | {versions[name]} | {', '.join(users[name])} | {licence} |\n")
    cuda = ", ".join(pin.name for pin in read_lock(CUDA) if is_cuda_only(pin.name))
    return HEAD + "".join(rows) + TAIL.format(others=", ".join(others) or "none", cuda=cuda)
