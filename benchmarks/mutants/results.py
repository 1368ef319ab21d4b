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
from benchmarks.mutants.targets import read_groups

PAGE = ROOT / "docs" / "mutations.md"
EXPLAINED = Path(__file__).parent / "explained.toml"
HEAD = """# Mutations

`python -m benchmarks.mutants` changes one place of a module at a time (a comparison, a condition, a constant, a return
value, a statement) and runs the module's tests. A change that no test notices has survived; here each survivor is
listed, with why it does not matter or that a test is still missing. Texts, log lines, annotations and the numbers that
tune (sizes, pauses) are not changed. This page is made by `python -m benchmarks.mutants --page FILE…`.

`changes` are all that can be made; of these a sample by chance was tried, each as likely as any other. The whole of a
group is tried by naming it without `--sample`.
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


def page(results: list[Result], changes: Mapping[str, int]) -> str:
    """The page as Markdown; `changes` is how many can be made in each group."""
    reasons = {(row["file"], row["before"], row["after"]): row for row in read_explained()}
    survivors = [(result, reasons.get((result.file, *result.change), {})) for result in results if not result.noticed]
    tried, noticed = Counter(result.group for result in results), Counter(r.group for r in results if r.noticed)
    since = Counter(result.group for result, reason in survivors if "test" in reason)
    harmless = Counter(result.group for result, reason in survivors if "why" in reason)
    lines = [
        HEAD,
        "\n| modules | changes | tried | noticed | since then | harmless | missing | share |\n"
        "|---|---|---|---|---|---|---|---|\n",
    ]
    for group, count in tried.items():
        real, seen = count - harmless[group], noticed[group] + since[group]
        share = f"{seen / real:.0%}" if real else "–"
        lines.append(
            f"| {group} | {changes[group]} | {count} | {noticed[group]} | {since[group]} | {harmless[group]} "
            f"| {real - seen} | {share} |\n"
        )
    lines += [
        f"| {group.name} | {changes[group.name]} | none yet | – | – | – | – | – |\n"
        for group in read_groups()
        if group.name not in tried
    ]
    lines.append(
        "\n*Since then*: survived, and is noticed by a test that was written for it. The share is of the changes that "
        "are not harmless.\n\n## Survivors\n\n| where | change | why, or the test |\n|---|---|---|\n"
    )
    for result, reason in survivors:
        told = reason.get("why") or reason.get("test", "").rpartition("::")[2].replace("_", " ")
        before, after = (text.replace("|", "\\|").replace("`", "'") for text in result.change)
        lines.append(f"| {result.file} | `{before}` → `{after}` | {told or '**a test is missing**'} |\n")
    return "".join(lines)


def read_explained() -> list[dict[str, str]]:
    """Survivors by file and the line before and after: `why` it is harmless, or the `test` that notices it now."""
    return tomllib.loads(EXPLAINED.read_text("utf-8")).get("row", []) if EXPLAINED.exists() else []
