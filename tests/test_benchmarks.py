"""The benchmarks of speed, run as small as they go: that they work, not what they measure."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.__main__ import PARTS, main
from benchmarks.contenders.__main__ import contender
from benchmarks.contenders.names import FLASK, FLOAT32, SCOPED
from benchmarks.figures import Figure, in_pairs, ratio
from tests.pipelines import make_tiny_sd

PNG = b"\x89PNG"


def test_parts_add_their_figures_to_one_file_and_the_page_is_made_from_it(tmp_path: Path) -> None:
    for part in ("saving", "library"):
        assert main([part, "--tiny", "--work", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    assert set(found["parts"]) == {"saving", "library"}
    assert all(part["figures"] and len(part["load_before"]) == 3 for part in found["parts"].values())
    (tmp_path / "docs" / "images").mkdir(parents=True)
    page = tmp_path / report.PAGE
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.document(tmp_path / "figures.json", tmp_path)
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith(f"{report.END}\nafter\n")
    assert "old" not in written
    assert "| 20 groups by prompt, 1000 pictures |" in written
    assert ElementTree.parse(tmp_path / report.PLOT).getroot().tag.endswith("svg")
    with pytest.raises(SystemExit):
        main(["nothing", "--work", str(tmp_path)])


def test_figures_are_compared_in_pairs_and_held_to_what_is_asked() -> None:
    order: list[str] = []

    def run(name: str, took: float) -> float:
        order.append(name)
        return took

    pairs = in_pairs(lambda: run("a", 2.0), lambda: run("b", 1.0), 4)
    assert "".join(order) == "abbaabba"
    figure = ratio("b ÷ a", pairs, most=0.5)
    assert (figure.value, figure.low, figure.high, figure.holds) == (0.5, 0.5, 0.5, True)
    assert Figure("x", 3, most=2).holds is False
    assert Figure("x", 3, least=4).holds is False
    assert Figure("x", 3).holds is None


def test_the_page_knows_every_part() -> None:
    page = (Path(__file__).parents[1] / report.PAGE).read_text()
    assert [part for part in PARTS if f"| `{part}` |" not in page] == []
    assert page.index(report.BEGIN) < page.index(report.END)


@pytest.mark.parametrize("name", [FLASK, SCOPED])
def test_a_server_that_is_compared_draws_a_picture(name: str, tmp_path: Path) -> None:
    folder = make_tiny_sd(tmp_path / "tiny")
    with contender(name, folder, tmp_path, 64, 1) as draw:
        assert draw().startswith(PNG)


def test_plain_diffusers_is_a_contender(tmp_path: Path) -> None:
    with contender(FLOAT32, make_tiny_sd(tmp_path / "tiny"), tmp_path, 64, 1) as draw:
        assert draw().images
