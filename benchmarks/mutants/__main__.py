"""Mutation testing: `python -m benchmarks.mutants [GROUP…] [--sample 40] [--minutes 30] [--json FILE]`.

Changes one place of a module at a time in a temporary copy and runs the tests of that module (targets.toml). A change
that no test notices has survived; it is printed as a diff. `--fixed` makes the changes of fixed.toml instead, which
each once went unnoticed. `--page FILE…` writes docs/mutations.md from such JSON files. Status 1 if a change of
fixed.toml survives.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.mutants.changes import changes
from benchmarks.mutants.place import ROOT, Place
from benchmarks.mutants.results import PAGE, Result, load, page, save
from benchmarks.mutants.targets import Group, read_fixed, read_groups

PATIENCE = 5.0  # a run may take so many times as long as the undisturbed one, and a quarter of a minute


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; the exit status."""
    options = _options(arguments)
    if options.page:
        PAGE.write_text(page([result for file in options.page for result in load(file)]), "utf-8")
        return 0
    end = time.monotonic() + options.minutes * 60
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name, Place(Path(name)) as place:
        for group in [group for group in read_groups() if not options.groups or group.name in options.groups]:
            wanted = _fixed(group) if options.fixed else _sampled(group, options.sample, options.seed)
            for result in _run_group(place, group, list(wanted), end):
                results.append(result)
                _tell(result)
                save(results, options.json)
    noticed = sum(result.noticed for result in results)
    print(f"{noticed} of {len(results)} changes were noticed")
    return int(options.fixed and noticed < len(results))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(group.name for group in read_groups())}")
    parser.add_argument("--sample", type=int, default=0, help="changes of each module; 0 = all")
    parser.add_argument("--minutes", type=float, default=60.0, help="no change is begun after that")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--json", type=Path, default=Path("mutants.json"))
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--page", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - {group.name for group in read_groups()}:
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    return options


def _sampled(group: Group, sample: int, seed: int) -> Iterator[tuple[str, int, str, bytes, tuple[str, ...]]]:
    """File, line, kind, the changed source and the tests to begin with, of each change to try."""
    for file in group.files:
        source = (ROOT / file).read_bytes()
        found = changes(source)
        if sample and len(found) > sample:
            found = sorted(random.Random(f"{seed} {file}").sample(found, sample), key=lambda change: change.start)
        for change in found:
            yield file, change.line, change.kind, change.applied(source), group.near


def _fixed(group: Group) -> Iterator[tuple[str, int, str, bytes, tuple[str, ...]]]:
    for fixed in read_fixed():
        if fixed.group == group.name:
            source = (ROOT / fixed.file).read_text("utf-8")
            line = source[: source.index(fixed.find)].count("\n") + 1
            yield fixed.file, line, fixed.what, source.replace(fixed.find, fixed.put).encode(), fixed.tests


def _run_group(
    place: Place, group: Group, wanted: list[tuple[str, int, str, bytes, tuple[str, ...]]], end: float
) -> Iterator[Result]:
    usual: dict[tuple[str, ...], float] = {}
    for file, line, kind, changed, near in wanted:
        if time.monotonic() > end:
            print(f"out of time in {group.name}")
            return
        source = (ROOT / file).read_bytes()
        outcome, by, seconds = "passed", "", 0.0
        for tests in [near] if not group.far or near is not group.near else [near, group.far]:
            if tests not in usual:
                place.write(file, source)
                outcome, by, usual[tests] = place.run(tests, 1200)
                if outcome != "passed":
                    raise SystemExit(f"{group.name}: the tests fail without any change: {by or outcome}")
            place.write(file, changed)
            outcome, by, seconds = place.run(tests, PATIENCE * usual[tests] + 15)
            if outcome != "passed":
                break
        place.write(file, source)
        yield Result.of(group.name, file, line, kind, source, changed, outcome, by, round(seconds, 1))


def _tell(result: Result) -> None:
    print(f"{'noticed ' if result.noticed else 'SURVIVED'} {result.seconds:6.1f} s  {result.file}:{result.line}  "
          f"{result.kind}  {result.by}", flush=True)  # fmt: skip
    if not result.noticed:
        print(result.diff, flush=True)


if __name__ == "__main__":
    sys.exit(main())
