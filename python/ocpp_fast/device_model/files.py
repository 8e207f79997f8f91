"""Component files: where they lie, reading them, and what is wrong with them.

A folder of component files has `standardized/` and `custom/`, with one JSON file for each
component; `docs/device-model.md` describes them. The Rust part reads and checks their content, all
files at once; what it finds becomes one `ComponentFilesInvalid`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ocpp_fast._core import DeviceModelCache
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.resources.abc import Traversable
    from os import PathLike

__all__ = [
    "PACKAGED_SLOTS",
    "ComponentFilesInvalid",
    "Problem",
    "load",
    "packaged_files",
    "packaged_folder",
    "read_folder",
    "sample_files",
]

STANDARDIZED: Final = "standardized"
CUSTOM: Final = "custom"
TEMPLATES: Final = "templates"

PACKAGED_SLOTS: Final = 2
"""Network configuration slots in the package."""
_SLOT: Final = f"{STANDARDIZED}/NetworkConfiguration_"
_PRIORITY: Final = f"{STANDARDIZED}/OCPPCommCtrlr"

File = tuple[str, bytes]
"""Path within its folder, with `/`, and content."""


class Problem(NamedTuple):
    """One thing that is wrong with a component file."""

    file: str
    """Path within the folder; empty for what concerns all files together."""
    pointer: str
    """JSON pointer into the file; empty for the whole."""
    variable: str
    """As people write it, `EVSE[1].Power`; empty when it is about none."""
    message: str

    def __str__(self) -> str:
        where = (self.file, self.pointer, self.variable)
        return ": ".join((*filter(None, where), self.message))


class ComponentFilesInvalid(ConfigurationError):
    """Component files do not make a device model; nothing of them was taken."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        """All of them, in the order of the files and of the places in a file."""
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def packaged_folder() -> Traversable:
    """What the package brings: `component_config/` with the sample, and `templates/`."""
    from importlib.resources import files  # slow to import, and not every program needs it

    return files("ocpp_fast") / "component_files"


def packaged_files(slots: int = PACKAGED_SLOTS, *, networks: bool = False) -> list[File]:
    """The standardized components of the package, and templates for any number of EVSEs.

    With so many network configuration slots, but not less than there are in the package
    (B09.FR.06). `networks`: somebody can set up mobile networks and VPNs, so that ApnEnabled and
    VpnEnabled may be written (B09.FR.13).
    """
    folder = packaged_folder()
    standardized = _json_files(folder / "component_config" / STANDARDIZED, STANDARDIZED)
    if slots > PACKAGED_SLOTS or networks:
        standardized = _with_slots(standardized, slots, networks=networks)
    return [*standardized, *_json_files(folder / TEMPLATES, TEMPLATES)]


def _with_slots(files: Iterable[File], slots: int, *, networks: bool) -> list[File]:
    """The packaged components with more slots, or with slots that can have networks of their
    own."""
    import orjson  # only for the few stations that need it

    found: list[File] = []
    for path, content in files:
        if not path.startswith((_SLOT, _PRIORITY)):
            found.append((path, content))
            continue
        component = orjson.loads(content)
        properties = component["properties"]
        if path.startswith(_SLOT):
            for name in ("ApnEnabled", "VpnEnabled") if networks else ():
                properties[name]["attributes"][0] |= {"mutability": "ReadWrite", "persistent": True}
            found.append((path, orjson.dumps(component)))
            if component["instance"] == str(PACKAGED_SLOTS):
                for slot in range(PACKAGED_SLOTS + 1, slots + 1):
                    more = orjson.dumps(component | {"instance": str(slot)})
                    found.append((f"{_SLOT}{slot}.json", more))
        else:
            listed = ",".join(map(str, range(1, max(slots, PACKAGED_SLOTS) + 1)))
            limits = properties["NetworkConfigurationPriority"]["characteristics"]
            limits |= {"valuesList": listed, "maxLimit": max(limits["maxLimit"], len(listed))}
            found.append((path, orjson.dumps(component)))
    return found


def sample_files(evses: int | None = None, connectors: int = 1) -> list[File]:
    """A folder of component files to start from.

    With as many EVSEs as asked for and as many connectors at each, described once for all of them
    under `templates/`; else with two EVSEs of one connector, each described by itself.
    """
    sample = packaged_folder() / "component_config"
    files = _json_files(sample / STANDARDIZED, STANDARDIZED)
    if evses is None:
        return _json_files(sample / CUSTOM, CUSTOM) + files
    for path, content in _json_files(packaged_folder() / TEMPLATES, TEMPLATES):
        numbered = content.replace(b'"evse_id": "*"', b'"evse_id": ' + _numbers(evses))
        numbered = numbered.replace(
            b'"connector_id": "*"', b'"connector_id": ' + _numbers(connectors)
        )
        files.append((path, numbered))
    return files


def _numbers(last: int) -> bytes:
    """1 to `last`, as in a component file."""
    return b"1" if last == 1 else b'"1-%d"' % last


def read_folder(path: str | PathLike[str]) -> list[File]:
    """The component files in a folder: `custom/`, `standardized/` and, if it has one, `templates/`.

    In the order of their names; what does not end in `.json` is left aside. Raises
    `ConfigurationError` for a folder that cannot be read or has no component file.
    """
    folder = Path(path)
    if not folder.is_dir():
        missing = "is not a folder" if folder.exists() else "there is no such folder"
        raise ConfigurationError(f"{path}: {missing}")
    found: list[File] = []
    for part in (CUSTOM, STANDARDIZED, TEMPLATES):
        if (folder / part).is_dir():
            found += _json_files(folder / part, part)
    if not found:
        raise ConfigurationError(
            f"{path}: has no component file, {STANDARDIZED}/*.json or {CUSTOM}/*.json"
        )
    return found


def load(
    files: Sequence[File],
    connectors: Sequence[int] | None = None,
    versions: Iterable[OcppVersion] = tuple(OcppVersion),
) -> DeviceModelCache:
    """The device model that the files describe.

    `connectors` is the number of connectors of EVSE 1, EVSE 2 and so on, which the files have to
    match and templates are expanded to; None for what the files say. What the standard requires of
    a model is checked for `versions`. Raises `ComponentFilesInvalid`.
    """
    names = [version.value for version in versions]
    cache, problems = DeviceModelCache.load(files, connectors, names)
    if cache is None:
        raise ComponentFilesInvalid(Problem(*problem) for problem in problems)
    return cache


def _json_files(folder: Traversable, name: str) -> list[File]:
    """All JSON files right in a folder, by name; raises `ConfigurationError`."""
    found: list[File] = []
    at = str(folder)
    try:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".json"):
                at = str(entry)
                found.append((f"{name}/{entry.name}", entry.read_bytes()))
    except OSError as error:
        raise ConfigurationError(f"{at}: {error.strerror}") from error
    return found
