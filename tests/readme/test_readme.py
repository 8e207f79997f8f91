"""What README.md and the other pages show is run, and what they point to exists.

- Every `python` block runs as a program of its own. A `text` block right below it is its output.
- Every `sh` block marked `runnable` runs; a line `make ...` names a target of the Makefile.
- Links inside the repository lead to something.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "bench/README.md",
    "config/README.md",
    "docs/boot.md",
    "docs/credentials.md",
    "docs/device-model.md",
    "docs/errors.md",
    "docs/network.md",
    "docs/power-loss.md",
    "docs/queue.md",
    "docs/security.md",
    "docs/storage.md",
    "docs/tpm.md",
)
TIME_LIMIT_S = 100
pytestmark = pytest.mark.timeout(150)

# A fence, the block, and directly below it the output it promises.
BLOCK = re.compile(
    r"^```(?P<kind>python|sh)(?P<marks>[^\n]*)\n(?P<body>.*?)^```\n"
    r"(?:\n?```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block of a page."""

    where: str
    kind: str
    runnable: bool
    body: str
    output: str | None


def blocks() -> list[Block]:
    found: list[Block] = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            runnable = match["kind"] == "python" or "runnable" in match["marks"].split()
            found.append(
                Block(f"{page}:{line}", match["kind"], runnable, match["body"], match["output"])
            )
    return found


def run(command: list[str], folder: Path) -> str:
    """Output of a program that must end well, in time and without a warning."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT_S,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "block", [block for block in blocks() if block.runnable], ids=lambda block: block.where
)
def test_block_runs(block: Block, tmp_path: Path) -> None:
    """In a folder of its own: examples do not read the checkout."""
    if block.kind == "python":
        program = tmp_path / "example.py"
        program.write_text(block.body, encoding="utf-8")
        output = run([sys.executable, str(program)], tmp_path)
    else:
        output = run(["bash", "-euo", "pipefail", "-c", block.body], tmp_path)
    if block.output is not None:
        assert output == block.output


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named: set[str] = set()
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        named |= set(re.findall(r"`make ([a-z-]+)", text))
    for block in blocks():
        for line in block.body.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["make"] and len(words) > 1:
                named.add(words[1])
    assert {"demo", "test"} <= named
    assert named <= targets, named - targets


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_first_screen_says_how_to_begin() -> None:
    screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:45]
    text = "\n".join(screen)
    for needed in ("OCPP 2.0.1", "2.1", "make demo", "make test", "```python"):
        assert needed in text
