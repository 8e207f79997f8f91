"""ocpp_fast: the cache in Rust between the decoder and the encoder, as a station uses it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.device_model.models import Model, Paging
from bench.payloads import VERSIONS, Version
from ocpp_fast._core import Codec, DeviceModelCache

NAME: Final = "ocpp_fast"

FULL_INVENTORY: Final = 1


def load(model: Model) -> DeviceModelCache:
    """The model from its component files."""
    cache = load_files(model.files(), model.connectors)
    if cache.variable_count != len(model.places):
        raise ValueError(f"{cache.variable_count} variables of {len(model.places)}")
    return cache


def running(model: Model) -> DeviceModelCache:
    """The model with the readings of a running station."""
    cache = load(model)
    write_readings(cache, model)
    return cache


def write_readings(cache: DeviceModelCache, model: Model) -> None:
    """Writes what a station writes."""
    for place, value in model.readings():
        component, variable, evse = place.component, place.variable, place.component["evse"]
        number = cache.find(
            component["name"],
            component.get("instance"),
            evse["id"],
            evse.get("connectorId"),
            variable["name"],
            variable.get("instance"),
        )
        cache.write(number, 0, value, "internal")


def load_files(files: Sequence[tuple[str, bytes]], connectors: Sequence[int]) -> DeviceModelCache:
    """Raises `ValueError` with the first problems."""
    cache, problems = DeviceModelCache.load(files, connectors, VERSIONS)
    if cache is None:
        raise ValueError("\n".join(": ".join(problem) for problem in problems[:20]))
    return cache


def get_variables(cache: DeviceModelCache, version: Version) -> Callable[[bytes], bytes]:
    """A function from the frame of a GetVariables to that of its answer, both checked."""
    codec = Codec(version)
    decode, read, encode = codec.decode, cache.get_variables, codec.encode_result

    def serve(frame: bytes) -> bytes:
        call: Any = decode(frame)
        return encode(call.message_id, read(call.payload))

    return serve


def report(cache: DeviceModelCache, version: Version) -> Callable[[Paging], list[bytes]]:
    """A function that gives all pages of a full inventory, each the frame of a NotifyReport."""

    def pages(paging: Paging) -> list[bytes]:
        message_ids, request_id, generated_at, max_items, max_bytes = paging
        how = request_id, generated_at, max_items, max_bytes
        found: list[bytes] = []
        selection, ids = cache.base_report(FULL_INVENTORY), iter(message_ids)
        while (page := selection.page(version, next(ids), *how)) is not None:
            found.append(page)
        return found

    return pages
