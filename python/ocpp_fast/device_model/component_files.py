"""Device models made of component files, for one station or for thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ocpp_fast.device_model import files
from ocpp_fast.device_model.facts import configure
from ocpp_fast.device_model.model import DeviceModel
from ocpp_fast.storage.base import ComponentRow

if TYPE_CHECKING:
    from ocpp_fast._core import DeviceModelCache
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.messages import OcppVersion
    from ocpp_fast.storage.base import Storage

__all__ = ["ComponentFiles"]

_MAX_LOADED: Final = 16

_Key: TypeAlias = (
    "tuple[str | None, tuple[int, ...] | None, tuple[OcppVersion, ...], tuple[int, bool]]"
)


class _Loaded(NamedTuple):
    """What one set of files has given; all stations made of it share this."""

    cache: DeviceModelCache
    components: tuple[ComponentRow, ...]
    connectors: dict[int, int]


class ComponentFiles:
    """Reads and checks each set of component files once, for all stations that it is given to.

    Stations made of the same files share what the files say. A file that changes meanwhile is not
    seen: make another `ComponentFiles`, as a restart does.
    """

    def __init__(self) -> None:
        # The oldest goes when there are too many.
        self._loaded: dict[_Key, _Loaded] = {}

    def device_model(
        self, config: StationConfig, storage: Storage, *, clock: Clock, networks: bool = False
    ) -> DeviceModel:
        """The device model of a station, with what `config` says of it; `networks`: somebody can
        set up the mobile networks and VPNs of slots, see `files.packaged_files`.

        Raises `ConfigurationError`, `files.ComponentFilesInvalid` for what is wrong in the files.
        """
        loaded = self._load(config, networks=networks)
        cache = loaded.cache.copy()
        configure(cache, config)
        return DeviceModel(
            cache,
            storage,
            clock=clock,
            overrides=config.variables,
            components=loaded.components,
        )

    def connectors(self, config: StationConfig) -> dict[int, int]:
        """How many connectors each EVSE of a station has; raises like `device_model`."""
        return self._load(config).connectors

    def _load(self, config: StationConfig, *, networks: bool = False) -> _Loaded:
        folder = config.component_config
        # What concerns the packaged files alone.
        slots = max(len(config.slots) + 1, files.PACKAGED_SLOTS), networks
        own = slots if folder is None else (0, False)
        key: _Key = (folder, config.connectors, config.versions, own)
        loaded = self._loaded.get(key)
        if loaded is None:
            if folder is None:
                found = files.packaged_files(slots[0], networks=networks)
            else:
                found = files.read_folder(folder)
            cache = files.load(found, config.connectors, config.versions)
            if len(self._loaded) >= _MAX_LOADED:
                del self._loaded[next(iter(self._loaded))]
            rows = tuple(ComponentRow(*row) for row in cache.components())
            cache.forget_definitions()
            loaded = self._loaded[key] = _Loaded(cache, rows, cache.connectors())
        return loaded
