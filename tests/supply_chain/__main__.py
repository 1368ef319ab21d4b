"""`python -m tests.supply_chain`: make the lock files, the SBOM and the list of licences again.

Needs the network (pip's own index) and the tools of requirements-upkeep.txt, in an environment of their own:
`python -m venv T && T/bin/pip install -r requirements-upkeep.txt && PATH=T/bin:$PATH python -m tests.supply_chain`.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from tests.supply_chain.licences import LICENCES, licences_page
from tests.supply_chain.locks import CUDA, PAGE, ROOT, SERVICE, SOURCES, is_cuda_only
from tests.supply_chain.sbom import SBOM, with_licences

# torch's build without CUDA for Linux is offered by its own index and by some mirrors, never by PyPI, so the compiler
# cannot know it. This is the file for Python 3.11; whoever uses another one adds its hash.
CPU_TORCH = "sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
HEAD = "# Made by `python -m tests.supply_chain` from {source}; see docs/supply-chain.md.\n"


def main() -> None:
    """Write all files."""
    with tempfile.TemporaryDirectory() as name:
        agreed = Path(name) / "agreed.txt"  # both environments may be one: what the first lock has, the other has too
        agreed.touch()
        for lock, source in SOURCES.items():
            compiled = _compiled(source, Path(name) / lock, agreed)
            agreed.write_text(re.sub(r" \\\n(    --hash=\S+( \\)?\n?)+", "\n", compiled), "utf-8")
            pins = re.findall(r"^\S.*?(?=^\S|\Z)", compiled, re.MULTILINE | re.DOTALL)
            cuda = [pin for pin in pins if is_cuda_only(re.match(r"[\w.-]+", pin)[0])]
            rest = [without_cuda(pin) for pin in pins if pin not in cuda]
            (ROOT / lock).write_text(HEAD.format(source=source) + "".join(rest), "utf-8")
            if lock == SERVICE:
                (ROOT / CUDA).write_text(HEAD.format(source=source) + "".join(pins), "utf-8")
        merged = Path(name) / "all.txt"
        merged.write_text("\n".join((ROOT / lock).read_text("utf-8") for lock in (PAGE, CUDA)), "utf-8")
        command = ["cyclonedx-py", "requirements", str(merged), "--output-reproducible", "--sv", "1.6"]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
    SBOM.write_text(json.dumps(with_licences(json.loads(made.stdout)), indent=1, sort_keys=True) + "\n", "utf-8")
    LICENCES.write_text(licences_page(), "utf-8")


def _compiled(source: str, lock: Path, agreed: Path) -> str:
    command = ["uv", "pip", "compile", source, "--universal", "--python-version", "3.11", "--generate-hashes",
               "--no-header", "--no-annotate", "--quiet", "-c", str(agreed), "-o", str(lock)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    return lock.read_text("utf-8")


def without_cuda(pin: str) -> str:
    """The lines of a package; of torch those that take the processor's build alone where PyPI's wants CUDA.

    They differ in their version, so that pip cannot prefer the other one.
    """
    found = re.match(r"torch==(\S+) ", pin)
    if found is None:
        return pin
    own = f"torch=={found[1]}+cpu ; sys_platform == 'linux' \\\n    --hash={CPU_TORCH}\n"
    return own + pin.replace(found[0], f"torch=={found[1]} ; sys_platform != 'linux' ", 1)


if __name__ == "__main__":
    main()
