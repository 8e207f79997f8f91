"""Writes the seeds of the fuzz targets from the test suite's payloads and odd frames, and
from the component files of the package.

    python rust/fuzz/make_corpus.py

Deterministic and small; needed only when the messages or the table of odd frames change.
"""

import sys
from pathlib import Path
from typing import Any, Final

import orjson

from ocpp_fast.device_model.files import packaged_files

HERE: Final = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "tests"))

from vectors.frames import ALL_BAD, GOOD_CALLS, raw  # noqa: E402
from vectors.payloads import FULL, MINIMAL, RANDOM, PayloadMaker  # noqa: E402
from vectors.schemas import SchemaFile, all_files  # noqa: E402

SEED: Final = 1
EVERY: Final = 5
"""One in so many schemas gives seeds."""
MAX_BYTES: Final = 4_000
"""Longer seeds slow a fuzzer down."""
PROPERTIES: Final = 6
"""Variables of a component file in one seed."""
STYLES: Final = (FULL, MINIMAL, RANDOM)


def main() -> None:
    """Writes all folders anew."""
    for target in ("frame", "schema", "component"):
        (HERE / "corpus" / target).mkdir(exist_ok=True)
        for old in (HERE / "corpus" / target).glob("*"):
            old.unlink()
    for number, file in enumerate(all_files()):
        if number % EVERY == 0:
            payload = orjson.dumps(PayloadMaker(file, SEED).make(STYLES[number // EVERY % 3]))
            name = f"{file.version}_{file.name}"
            write("schema", name, f"{file.version} {file.name}\n".encode() + payload)
            write("frame", name, framed(file, payload))
    for number, case in enumerate(GOOD_CALLS.values()):
        write("frame", f"good_{number:03d}", (case if isinstance(case, str) else case[0]).encode())
    for number, bad in enumerate(ALL_BAD):
        if number % EVERY == 0:
            write("frame", f"bad_{number:03d}", raw(bad.frame))
    for path, content in packaged_files():
        pieces(Path(path).stem, orjson.loads(content))


def pieces(name: str, component: dict[str, Any]) -> None:
    """A component file with a few of its properties at a time, as a fuzzer likes them short."""
    properties = [*component.pop("properties").items()]
    for start in range(0, len(properties), PROPERTIES):
        part = {**component, "properties": dict(properties[start : start + PROPERTIES])}
        part.pop("required", None)
        write("component", f"{name}_{start:03d}", orjson.dumps(part))


def framed(file: SchemaFile, payload: bytes) -> bytes:
    """A frame; the id of an answer is its action, which tells the target which CALL is open."""
    if file.message_type == 3:
        return f'[3,"{file.action}",'.encode() + payload + b"]"
    return f'[{file.message_type},"19223201","{file.action}",'.encode() + payload + b"]"


def write(target: str, name: str, seed: bytes) -> None:
    """One file, unless it is too long."""
    if len(seed) <= MAX_BYTES:
        (HERE / "corpus" / target / name).write_bytes(seed)


if __name__ == "__main__":
    main()
