"""Writes the message tables, stubs and names of OCPP 2.0.1 and 2.1 from their JSON schemas.

    schemas, *.csv  ->  model (schemas.py)  ->  Rust tables (rust.py), Python stubs (stubs.py)

The schemas come from the PyPI package `ocpp` of the version pinned in `pyproject.toml`. Only their
facts (names, types, limits, enumerations) enter the output; their descriptions never do.
Run it with `make generate`. It is not part of the wheel.
"""
