"""Mutation testing: `python -m benchmarks.mutants [GROUP…] [--sample 40] [--minutes 30] [--json FILE]`.

Changes one place of a module at a time in a temporary copy and runs those tests of that module (targets.toml) that were
seen to run the changed line; all of them where none was, for what other processes run is not seen. A change that no
test notices has survived; it is printed as a diff. `--sample` takes so many of each group's changes by chance, those
first that were not tried yet. `--near` runs only the nearest tests, `--again FILE` all tests, for those
that survived in an earlier run, `--fixed` those of fixed.toml, which each once went unnoticed. `--page FILE…` adds such
JSON files to what is kept and writes docs/mutations.md. Status 1 if a change of fixed.toml survives.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutants.changes import changes
from benchmarks.mutants.place import ROOT, Place
from benchmarks.mutants.reach import Reach
from benchmarks.mutants.results import PAGE, TRIED, Result, keep, load, page, read_earlier, save
from benchmarks.mutants.targets import Group, Part, read_fixed, read_groups

PATIENCE, SLACK_S = 3.0, 150.0  # a run may take so many times as long as the undisturbed one, and so many seconds
SHORT_S = 1200  # for the undisturbed one


@dataclass(frozen=True)
class Wanted:
    """One change to make: a file's whole source before and after, and which tests are to notice, one after the other.

    The source is that of the beginning: whoever works on while this runs does not disturb it.
    """

    part: Part
    file: str
    line: int
    kind: str
    unchanged: bytes
    source: bytes
    tests: tuple[tuple[str, ...], ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; the exit status."""
    options = _options(arguments)
    if options.page:
        changes = {group.name: len(list(_all(group))) for group in read_groups()}
        PAGE.write_text(page(keep(options.page), changes, read_earlier()), "utf-8")
        return 0
    end = time.monotonic() + options.minutes * 60
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name, Place(Path(name)) as place:
        groups = [group for group in read_groups() if not options.groups or group.name in options.groups]
        for left, group in zip(range(len(groups), 0, -1), groups, strict=True):
            until = time.monotonic() + (end - time.monotonic()) / left  # each has its share of what is left
            if options.fixed:
                wanted = list(_fixed(group))
            elif options.again:
                wanted = list(_survived(group, load(options.again)))
            else:
                wanted = _sampled(group, options.sample, options.seed)
            for result in _run_group(place, group, wanted, until, near=options.near, whole=bool(options.again)):
                results.append(result)
                _tell(result)
                save(results, options.json)
    noticed = sum(result.noticed for result in results)
    print(f"{noticed} of {len(results)} changes were noticed")
    return int(options.fixed and noticed < len(results))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(group.name for group in read_groups())}")
    parser.add_argument("--sample", type=int, default=0, help="changes of each group; 0 = all")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="no change is begun after that; each group has its share"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--json", type=Path, default=Path("mutants.json"))
    parser.add_argument("--near", action="store_true", help="only the tests to begin with; `--again` runs the others")
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--again", type=Path, metavar="FILE", help="what survived there")
    parser.add_argument("--page", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - {group.name for group in read_groups()}:
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    return options


def _all(group: Group) -> Iterator[Wanted]:
    for part in group.parts:
        for file in part.files:
            source = (ROOT / file).read_bytes()
            for change in changes(source):
                tests = (part.near, part.far) if part.far else (part.near,)
                yield Wanted(part, file, change.line, change.kind, source, change.applied(source), tests)


def _sampled(group: Group, sample: int, seed: int) -> list[Wanted]:
    """So many by chance, those that were never tried first; in an order of chance, for time may be short."""
    found = list(_all(group))
    if not sample:
        return found
    random.Random(f"{seed} {group.name}").shuffle(found)
    known = {(result.file, result.kind, result.change) for result in (load(TRIED) if TRIED.exists() else [])}
    found.sort(key=lambda wanted: (wanted.file, wanted.kind, _result(group, wanted, "").change) in known)
    return found[:sample]


def _survived(group: Group, before: list[Result]) -> Iterator[Wanted]:
    """Those whose lines are still there; a line of which there are several is tried at each place."""
    survivors = {(result.file, result.kind, result.change) for result in before if not result.noticed}
    for wanted in _all(group):
        if (wanted.file, wanted.kind, _result(group, wanted, "passed").change) in survivors:
            yield wanted


def _fixed(group: Group) -> Iterator[Wanted]:
    for fixed in read_fixed():
        if fixed.group == group.name:
            source = (ROOT / fixed.file).read_text("utf-8")
            line = source[: source.index(fixed.find)].count("\n") + 1
            changed = source.replace(fixed.find, fixed.put).encode()
            yield Wanted(group.parts[0], fixed.file, line, fixed.what, source.encode(), changed, (fixed.tests,))


def _run_group(
    place: Place, group: Group, wanted: list[Wanted], end: float, *, near: bool, whole: bool
) -> Iterator[Result]:
    reached: dict[tuple[str, ...], Reach] = {}
    for change in wanted:
        if time.monotonic() > end:
            print(f"out of time in {group.name}")
            return
        outcome, by, seconds = "passed", "", 0.0
        place.warm(change.part.heavy)
        for tests in change.tests[:1] if near else change.tests:
            if tests not in reached:
                place.write(change.file, change.unchanged)
                outcome, by, _ = place.run(tests, SHORT_S, group.files)
                if outcome != "passed":
                    raise SystemExit(f"{group.name}: the tests fail without any change: {by or outcome}")
                reached[tests] = place.reach()
            place.write(change.file, change.source)
            chosen, usual_s = reached[tests].choose(tests, change.file, 0 if whole else change.line)
            outcome, by, seconds = place.run(chosen, PATIENCE * usual_s + SLACK_S)
            if outcome != "passed":
                break
        place.write(change.file, change.unchanged)
        yield _result(group, change, outcome, by, round(seconds, 1))


def _result(group: Group, change: Wanted, outcome: str, by: str = "", seconds: float = 0.0) -> Result:
    sources = change.unchanged, change.source
    return Result.of(group.name, change.file, change.line, change.kind, *sources, outcome, by, seconds)


def _tell(result: Result) -> None:
    print(f"{'noticed ' if result.noticed else 'SURVIVED'} {result.seconds:6.1f} s  {result.file}:{result.line}  "
          f"{result.kind}  {result.by}", flush=True)  # fmt: skip
    if not result.noticed:
        print(result.diff, flush=True)


if __name__ == "__main__":
    sys.exit(main())
