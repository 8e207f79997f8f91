"""Runs the unsafe module under valgrind: every type built, kept, shared and freed.

    python tests/sanitizer/run.py

Without valgrind it says so and ends well. The cases are made here, at full speed, and handed to
`under_valgrind.py` as JSON, because valgrind makes Python some forty times slower.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import orjson

HERE: Final = Path(__file__).parent
sys.path.append(str(HERE.parent))

from vectors import subject  # noqa: E402 - needs the path above
from vectors.frames import ALL_BAD, BOTH, raw  # noqa: E402
from vectors.mutations import Mutator  # noqa: E402
from vectors.payloads import FULL, RANDOM, PayloadMaker  # noqa: E402
from vectors.schemas import SchemaFile, all_files  # noqa: E402

SEED: Final = 2_718_281
EVERY: Final = 61
"""One mutation in so many, beside the first of each kind in every third schema."""
MAX_FRAME_BYTES: Final = 20_000
"""Longer frames teach valgrind nothing more."""
TIMEOUT_S: Final = 240
FAILED: Final = 99
"""What valgrind exits with when it found an error."""


def cases() -> list[dict[str, Any]]:
    """What to do: version, name, good payloads and refused frames, as JSON can hold them."""
    made = [_case(file, number) for number, file in enumerate(all_files())]
    for version in BOTH:
        odd = [_text(raw(bad.frame)) for bad in ALL_BAD if len(raw(bad.frame)) <= MAX_FRAME_BYTES]
        made.append({"version": version, "name": None, "good": [], "bad": odd})
    return made


def _case(file: SchemaFile, number: int) -> dict[str, Any]:
    maker = PayloadMaker(file, SEED)
    full = maker.make(FULL)
    kinds: set[str] = set()
    bad: list[str] = []
    for count, mutation in enumerate(Mutator(file, full).mutations()):
        is_new = mutation.kind not in kinds and number % 3 == 0
        kinds.add(mutation.kind)
        if is_new or count % EVERY == 0:
            frame = subject.frame(file, mutation.text)
            if len(frame) <= MAX_FRAME_BYTES:
                bad.append(_text(frame))
    return {
        "version": file.version,
        "name": file.name,
        "action": file.action,
        "id": subject.MESSAGE_ID,
        "good": [orjson.dumps(payload).decode() for payload in (full, maker.make(RANDOM))],
        "frame": _text(subject.frame(file, orjson.dumps(full))),
        "bad": bad,
    }


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def main() -> int:
    """Prepares, runs, reports."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("sanitizer: skipped, valgrind is not installed (apt install valgrind)")
        return 0
    prepared = cases()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cases.json"
        file.write_text(json.dumps(prepared), encoding="utf-8")
        command = [
            valgrind,
            "--quiet",
            f"--error-exitcode={FAILED}",
            "--leak-check=full",
            "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite",
            "--num-callers=25",
            f"--suppressions={HERE / 'python.supp'}",
            sys.executable,
            str(HERE / "under_valgrind.py"),
            str(file),
        ]
        # Python's own allocator would hide what is done to freed memory.
        environment = {**os.environ, "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
        start = time.monotonic()
        try:
            status = subprocess.run(
                command, env=environment, timeout=TIMEOUT_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"sanitizer: not done within {TIMEOUT_S} s")
            return 1
    frames = sum(len(case["bad"]) for case in prepared)
    print(
        f"sanitizer: {'clean' if status == 0 else f'FAILED ({status})'}, {len(prepared)} schemas, "
        f"{frames} refused frames, {time.monotonic() - start:.0f} s"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
