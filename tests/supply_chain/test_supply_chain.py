"""The lock files are whole and current, the bill of materials and the list of licences say what they hold."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.supply_chain.licences import LICENCES, licence_of, licences_page
from tests.supply_chain.locks import CUDA, PAGE, ROOT, SERVICE, SOURCES, is_cuda_only, read_lock, wanted_by
from tests.supply_chain.sbom import SBOM

MAKE = "run: python -m tests.supply_chain (docs/supply-chain.md)"
# The lowest versions without the holes that programs of this kind were attacked through.
FLOORS = {"gradio": "6.31", "werkzeug": "3.1.6", "gunicorn": "22", "pillow": "12.3", "brotli": "1.2.1", "torch": "2.10",
          "diffusers": "0.38"}  # fmt: skip


@pytest.mark.parametrize("lock", [PAGE, SERVICE])
def test_a_lock_has_what_its_requirement_file_names_in_the_same_version(lock: str) -> None:
    pins = {pin.name: pin.version for pin in read_lock(lock)}
    for wanted in wanted_by(SOURCES[lock]):
        name = canonicalize_name(wanted.name)
        assert name in pins, f"{name}: {MAKE}"
        assert str(wanted.specifier) == f"=={pins[name]}", f"{name}: {MAKE}"


@pytest.mark.parametrize("lock", [PAGE, SERVICE])
def test_a_lock_has_all_that_its_packages_need_here(lock: str) -> None:
    pins = {pin.name for pin in read_lock(CUDA if lock == SERVICE else lock)}
    todo = [requirement for file in [SOURCES[lock]] for requirement in wanted_by(file)]
    seen = set()
    while todo:
        needed = todo.pop()
        key = (canonicalize_name(needed.name), frozenset(needed.extras))
        if key not in seen:
            seen.add(key)
            assert key[0] in pins, f"{key[0]}: {MAKE}"
            todo += _needs(needed)


def _needs(package: Requirement) -> Iterator[Requirement]:
    """What an installed package needs on this machine, with the extras that are asked for."""
    try:
        lines = requires(package.name) or []
    except PackageNotFoundError:
        return
    for line in lines:
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *package.extras}):
            yield needed


def test_both_environments_agree_and_are_what_is_installed_here() -> None:
    page, service = ({pin.name: pin for pin in read_lock(lock)} for lock in (PAGE, SERVICE))
    assert {name for name in page.keys() & service.keys() if page[name].version != service[name].version} == set()
    other = []
    for pin in (page | service).values():
        try:
            installed = version(pin.name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if installed != pin.version:
            other.append(f"{pin.name} {installed} is installed, {pin.version} is locked")
    # A package that is not named in a requirement file may be newer or older where only those were installed.
    named = {canonicalize_name(item.name) for source in SOURCES.values() for item in wanted_by(source)}
    assert [line for line in other if line.partition(" ")[0] in named] == []


def test_no_lock_names_a_place_to_fetch_from() -> None:
    for lock in (PAGE, SERVICE, CUDA):
        text = (ROOT / lock).read_text("utf-8")
        assert not re.search(r"://|--index|--find-links|--extra", text), lock


def test_the_two_locks_of_the_service_differ_in_torch_and_the_cuda_libraries_alone() -> None:
    service, cuda = ({(pin.name, pin.version): pin for pin in read_lock(lock)} for lock in (SERVICE, CUDA))
    assert [name for name, _ in service if is_cuda_only(name)] == []
    assert len([name for name, _ in cuda if is_cuda_only(name)]) > 10
    assert {name for name, _ in service} == {name for name, _ in cuda if not is_cuda_only(name)}
    other = {key for key in cuda if not is_cuda_only(key[0]) and cuda[key] != service.get(key)}
    assert {name for name, _ in other} == {"torch"}


@pytest.mark.parametrize(("system", "build"), [("linux", "+cpu"), ("darwin", ""), ("win32", "")])
def test_on_each_system_the_services_lock_takes_one_torch_and_never_the_one_that_wants_cuda(
    system: str, build: str
) -> None:
    torches = [pin for pin in read_lock(SERVICE) if pin.name == "torch"]
    [taken] = [pin for pin in torches if pin.marker is not None and pin.marker.evaluate({"sys_platform": system})]
    assert taken.version.endswith("+cpu") == bool(build)
    # What pip would take on this system: a build of PyPI is none of `==2.13.0+cpu`.
    assert Requirement(f"torch=={taken.version}").specifier.contains("2.13.0") == (not build)


def test_nothing_below_the_version_in_which_a_known_hole_was_closed_is_locked() -> None:
    pins = {pin.name: pin.version for lock in (PAGE, SERVICE) for pin in read_lock(lock)}
    for name, floor in FLOORS.items():
        assert Requirement(f"{name}>={floor}").specifier.contains(pins[name]), f"{name} {pins[name]} is below {floor}"


def test_the_list_of_licences_is_current_and_has_no_gpl() -> None:
    written = LICENCES.read_text("utf-8")
    table = [line for line in written.splitlines() if line.startswith("| ")]
    now = [line for line in licences_page().splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[:2] for line in table] == [line.split(" | ")[:2] for line in now], MAKE
    assert [line for line in now if re.search(r"\bA?GPL|Affero|unknown", line)] == []


def test_the_tests_own_licence_reader_sees_a_gpl() -> None:
    assert licence_of("no-such-package") is None
    assert re.search(r"\bA?GPL", "| x | 1 | page | GPL-3.0-or-later |")
    assert not re.search(r"\bA?GPL", "| x | 1 | page | LGPL-3.0-only |")


def test_the_bill_of_materials_has_every_locked_package() -> None:
    bill = json.loads(SBOM.read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["specVersion"] == "1.6"
    listed = {(canonicalize_name(part["name"]), part["version"]) for part in bill["components"]}
    assert listed == {(pin.name, pin.version) for lock in (PAGE, CUDA) for pin in read_lock(lock)}, MAKE
