"""Writes the generated files; `make generate` runs it."""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Final

from ocpp_codegen.generate import generate
from ocpp_codegen.schemas import SchemaError

ROOT: Final = Path(__file__).parents[2]


def main() -> None:
    """Runs the generator."""
    parser = argparse.ArgumentParser(prog="python -m ocpp_codegen", description=__doc__)
    parser.add_argument("--schemas", type=Path, help="folder to read instead of the package ocpp")
    parser.add_argument("--into", type=Path, default=ROOT, help="checkout to write to")
    arguments = parser.parse_args()
    try:
        files = generate(arguments.schemas or package_folder())
    except SchemaError as error:
        sys.exit(str(error))
    for path, text in files.items():
        target: Path = arguments.into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")


def package_folder() -> Path:
    """Where the package `ocpp`, which ships the official schemas, is installed."""
    spec = importlib.util.find_spec("ocpp")
    if spec is None or spec.origin is None:
        sys.exit("The package ocpp is missing; install it with: pip install ocpp==2.1.0")
    return Path(spec.origin).parent


if __name__ == "__main__":
    main()
