"""What became of each change: as JSON, and as docs/mutations.md."""

import difflib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from benchmarks.mutants.place import ROOT

PAGE = ROOT / "docs" / "mutations.md"
EXPLAINED, EARLIER, TRIED = (Path(__file__).parent / name for name in ("explained.toml", "earlier.toml", "tried.json"))
HEAD = """# Mutations

`python -m benchmarks.mutants` changes one place of a module at a time (a comparison, a condition, a constant, a return
value, a statement) and runs those tests of the module that run the changed line. A change that no test notices has
survived; here each survivor is listed, with why it does not matter or that a test is still missing. Texts, log lines,
annotations and the numbers that tune (sizes, pauses) are not changed. This page is made by `python -m
benchmarks.mutants --page FILE…`.

`changes` are all that can be made; of these samples by chance were tried, and what each came to is kept in
`benchmarks/mutants/tried.json`. The whole of a group is tried by naming it without `--sample`.
"""


@dataclass(frozen=True)
class Result:
    """One change and its fate: `passed` means that no test noticed it."""

    group: str
    file: str
    line: int
    kind: str
    diff: str
    outcome: str
    by: str
    seconds: float

    @classmethod
    def of(
        cls, group: str, file: str, line: int, kind: str, before: bytes, after: bytes, outcome: str, by: str,
        seconds: float,
    ) -> Self:  # fmt: skip
        """The result with the difference of the two sources."""
        old, new = (source.decode().splitlines() for source in (before, after))
        diff = "\n".join(difflib.unified_diff(old, new, file, file, n=0, lineterm=""))
        return cls(group, file, line, kind, diff, outcome, by, seconds)

    @property
    def noticed(self) -> bool:
        """True if a test failed or hung by it."""
        return self.outcome != "passed"

    @property
    def change(self) -> tuple[str, str]:
        """The lines before and after, which name the change whatever its line number is."""
        lines = self.diff.splitlines()[2:]
        return tuple(" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")  # type: ignore[return-value]


def save(results: Iterable[Result], file: Path) -> None:
    """Write all results as JSON."""
    file.write_text(json.dumps([asdict(result) for result in results], indent=1, ensure_ascii=False), "utf-8")


def load(file: Path) -> list[Result]:
    """The results of a JSON file."""
    return [Result(**result) for result in json.loads(file.read_text("utf-8"))]


def keep(files: Iterable[Path]) -> list[Result]:
    """Everything that was ever tried: `tried.json`, with the results of these files added or put in place of older."""
    found = [result for file in (TRIED, *files) if file.exists() for result in load(file)]
    latest = {(result.file, result.kind, result.change): result for result in found}
    save(latest.values(), TRIED)
    return list(latest.values())


def page(results: Iterable[Result], changes: Mapping[str, int], earlier: Mapping[str, Mapping[str, int]]) -> str:
    """The page as Markdown; `changes` is how many can be made in each group, `earlier` counts of others by group."""
    reasons = {(row["file"], row["before"], row["after"]): row for row in read_explained()}
    counts = {group: Counter(earlier.get(group, {})) for group in changes}
    listed = dict.fromkeys(reasons)
    for result in results:
        place = (result.file, *result.change)
        counts[result.group].update(["tried", "noticed" if result.noticed else _fate(reasons.get(place, {}))])
        if not result.noticed:
            listed[place] = None
    lines = [
        HEAD,
        "\n| modules | changes | tried | noticed | since then | harmless | missing | share |\n" + "|---" * 8 + "|\n",
    ]
    for group, count in counts.items():
        real, seen = count["tried"] - count["harmless"], count["noticed"] + count["since"]
        share = f"{seen / real:.0%}" if real else "–"
        numbers = [
            changes[group],
            *(count[word] for word in ("tried", "noticed", "since", "harmless", "missing")),
            share,
        ]
        lines.append(f"| {group} | {' | '.join(map(str, numbers))} |\n")
    lines.append(
        "\n*Since then*: survived, and is noticed by a test that was written for it. The share is of the changes that "
        "are not harmless.\n\n## Survivors\n\n| where | change | why, or the test |\n|---|---|---|\n"
    )
    for place in listed:
        reason = reasons.get(place, {})
        told = reason.get("why") or reason.get("test", "").rpartition("::")[2].replace("_", " ")
        before, after = (text.replace("|", "\\|").replace("`", "'") for text in place[1:])
        lines.append(f"| {place[0]} | `{before}` → `{after}` | {told or '**a test is missing**'} |\n")
    return "".join(lines)


def _fate(reason: Mapping[str, str]) -> str:
    return "since" if "test" in reason else "harmless" if "why" in reason else "missing"


def read_earlier() -> dict[str, dict[str, int]]:
    """Counts of samples whose single changes were not kept, by group."""
    return tomllib.loads(EARLIER.read_text("utf-8"))


def read_explained() -> list[dict[str, str]]:
    """Survivors by file and the line before and after: `why` it is harmless, or the `test` that notices it now."""
    return tomllib.loads(EXPLAINED.read_text("utf-8")).get("row", []) if EXPLAINED.exists() else []
