"""The power is cut, or the disk fails, at every single step of every change of the store.

A disk that forgets is simulated: at the cut, what was never forced to it is gone (half a file is
left of data, a renaming or a removal is undone), or else it is all there.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import hash_data, parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.keys import key_id_of
from ocpp_fast.security.store import CertificateStore, LeafUse, Removal, RootUse
from unit.security.kit import CA, NOW, PKI, StandingClock, certificate

CLOCK = StandingClock()
AUTHORITY = CertificateAuthority(PKI.csms_ca, CLOCK, v2g=PKI.v2g_ca)
SUBJECT = Subject(common_name="CS001", organization="Org")
STATION, V2G = LeafUse.CHARGING_STATION, LeafUse.V2G
R0, K0 = certificate("R0", extensions=(CA,))
R1, K1 = certificate("R1", (R0, K0), extensions=(CA,))
R2, _ = certificate("R2", (R1, K1), extensions=(CA,))


class PowerCut(BaseException):
    """Nothing in the program runs after it."""


@dataclass
class Disk:
    """Counts the steps that change the disk, and ends them at one of them."""

    stop_at: int
    forgets: bool = False
    error: OSError | None = None
    """Instead of a power cut: this step fails, the next ones work."""
    steps: int = 0
    _paths: dict[int, Path] = field(default_factory=dict[int, Path])
    _undo: dict[Path, list[Callable[[], object]]] = field(
        default_factory=dict[Path, list[Callable[[], object]]]
    )
    _unsynced: set[Path] = field(default_factory=set[Path])

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("open", "write", "fsync", "replace", "unlink", "mkdir"):
            patch.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))

    def cut(self) -> None:
        """What is on the disk afterwards."""
        for path in self._unsynced:
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        if self.forgets:
            for undone in self._undo.values():
                for undo in reversed(undone):
                    undo()

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.stop_at:
            if self.error is not None:
                raise self.error
            raise PowerCut

    def _later(self, path: Path, undo: Callable[[], object]) -> None:
        self._undo.setdefault(path.parent, []).append(undo)

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            creates = bool(flags & os.O_CREAT)
            if creates:
                self._step()
            handle = real(path, flags, *rest, **named)
            self._paths[handle] = Path(path)
            if creates:
                self._unsynced.add(Path(path))
                self._later(Path(path), lambda: Path(path).unlink(missing_ok=True))
            return handle

        return opening

    def _write(self, real: Callable[..., int]) -> Callable[..., int]:
        def writing(handle: int, data: bytes) -> int:
            self._step()
            # In two goes, since a disk may take a part only.
            return real(handle, data[: len(data) // 2 or 1])

        return writing

    def _fsync(self, real: Callable[..., None]) -> Callable[..., None]:
        def syncing(handle: int) -> None:
            self._step()
            real(handle)
            path = self._paths[handle]
            self._unsynced.discard(path)
            self._undo.pop(path, None)

        return syncing

    def _replace(self, real: Callable[..., None]) -> Callable[..., None]:
        def replacing(source: Any, target: Any) -> None:
            self._step()
            source, target = Path(source), Path(target)
            before = target.read_bytes() if target.exists() else None
            content = source.read_bytes()
            real(source, target)

            def undo() -> None:
                if before is None:
                    target.unlink()
                else:
                    restore(target, before)
                restore(source, content)

            self._later(target, undo)
            if source in self._unsynced:
                self._unsynced.add(target)

        return replacing

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def unlinking(path: Any, **named: Any) -> None:
            if not Path(path).exists():
                real(path, **named)
            self._step()
            content = Path(path).read_bytes()
            real(path, **named)
            self._later(Path(path), lambda: restore(Path(path), content))

        return unlinking

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def making(path: Any, *rest: Any, **named: Any) -> None:
            self._step()
            real(path, *rest, **named)
            self._later(Path(path), lambda: shutil.rmtree(path))

        return making


def restore(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real disk need not take part, only the order of the steps counts."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


State = tuple[Any, ...]


def state(store: CertificateStore) -> State:
    """All that the store promises, without what may be left over."""
    chains = tuple(
        tuple((each.id, each.new) for each in store.chains(use)) for use in (STATION, V2G)
    )
    return (
        frozenset(store.roots(RootUse.CSMS)),
        frozenset(store.fallback_roots()),
        frozenset(store.roots(RootUse.V2G)),
        *chains,
    )


def whole(folder: Path) -> None:
    """Every key that is there can be read, by its owner alone, and has its right name."""
    for path in folder.rglob("*.key"):
        if not path.name.startswith("."):
            assert key_id_of(path.read_bytes()) == path.stem
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for chain_file in folder.glob("leaves/*/*.pem"):
        assert chain_file.read_text().rstrip().endswith("-----END CERTIFICATE-----")


Act = Callable[[CertificateStore], object]


@dataclass(frozen=True)
class Change:
    """A change of the store; `between` says whether a state that is neither old nor new is fine."""

    act: Act
    prepare: Act = lambda store: None
    between: Callable[[State, State, State], bool] = lambda old, new, now: False


REQUESTS: dict[str, Any] = {}


def sign(store: CertificateStore, use: LeafUse = STATION) -> Any:
    return parse_chain(AUTHORITY.sign(store.begin_key(use, SUBJECT).csr, use.value))


def proved(store: CertificateStore) -> None:
    store.settle(STATION, store.accept_signed(STATION, sign(store)).id)


def old_and_new(store: CertificateStore) -> None:
    proved(store)
    store.accept_signed(STATION, sign(store))


def waiting(store: CertificateStore) -> None:
    old_and_new(store)
    REQUESTS["chain"] = sign(store)


def waiting_v2g(store: CertificateStore) -> None:
    store.install_root(RootUse.V2G, PKI.v2g_root.certificate)
    store.accept_signed(V2G, sign(store, V2G))
    REQUESTS["chain"] = sign(store, V2G)


def succeeded(store: CertificateStore) -> None:
    store.install_root(RootUse.CSMS, R0)
    store.install_root(RootUse.CSMS, R1, additional_check=True)


def settle(store: CertificateStore, *, old: bool) -> None:
    kept = store.client_chain(old=old) or store.client_chain()
    assert kept is not None
    store.settle(STATION, kept.id)


def bundle(store: CertificateStore) -> None:
    store.install_root(RootUse.CSMS, R0)
    (file,) = Path(store.folder or "").glob("csms/*.pem")
    file.write_text(file.read_text() + PKI.csms_root.pem)


def same_leaf_kept(place: int) -> Callable[[State, State, State], bool]:
    """Both old chains and new ones may be there, as long as the newest is used."""
    return lambda old, new, now: (
        set(now[place]) <= set(old[place]) | set(new[place])
        and set(new[place]) & set(now[place]) != set()
    )


CHANGES: dict[str, Change] = {
    "first root": Change(lambda store: store.install_root(RootUse.CSMS, R0)),
    "another root": Change(
        lambda store: store.install_root(RootUse.CSMS, PKI.csms_root.certificate),
        lambda store: store.install_root(RootUse.CSMS, R0),
    ),
    "successor": Change(
        lambda store: store.install_root(RootUse.CSMS, R1, additional_check=True),
        lambda store: store.install_root(RootUse.CSMS, R0),
    ),
    "second successor": Change(
        lambda store: store.install_root(RootUse.CSMS, R2, additional_check=True),
        succeeded,
        # R1, which never worked, may still be a second fallback.
        lambda old, new, now: now[0] == new[0] and R0 in now[1],
    ),
    "settled roots": Change(
        CertificateStore.settle_roots,
        succeeded,
    ),
    "one of a bundle deleted": Change(lambda store: store.remove(hash_data(R0)), bundle),
    "new key": Change(lambda store: store.begin_key(STATION, SUBJECT), proved),
    "signed": Change(
        lambda store: store.accept_signed(STATION, REQUESTS["chain"]),
        waiting,
        # Of two that are not proved the earlier goes; the proved one is there in any case.
        lambda old, new, now: len(now[3]) == 3 and set(now[3]) >= set(new[3]),
    ),
    "signed for V2G": Change(
        lambda store: store.accept_signed(V2G, REQUESTS["chain"]), waiting_v2g, same_leaf_kept(4)
    ),
    "settled, new": Change(
        lambda store: settle(store, old=False),
        old_and_new,
        # The old one is gone, the name does not say yet that it is over.
        lambda old, new, now: [each[0] for each in now[3]] == [each[0] for each in new[3]],
    ),
    "settled, old": Change(lambda store: settle(store, old=True), old_and_new),
    "root and chain deleted": Change(
        lambda store: store.remove(hash_data(PKI.v2g_root.certificate)),
        waiting_v2g,
        lambda old, new, now: now[2] == old[2] and now[4] == (),
    ),
}


def prepared(base: Path, change: Change) -> tuple[State, State]:
    """The old state, in `base`, and the new one."""
    store = CertificateStore(base / "old", CLOCK)
    change.prepare(store)
    (base / "old").mkdir(exist_ok=True)
    shutil.copytree(base / "old", base / "new")
    after = CertificateStore(base / "new", CLOCK)
    change.act(after)
    return state(store), state(after)


@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
@pytest.mark.parametrize("name", list(CHANGES))
def test_a_power_cut_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, forgets: bool
) -> None:
    """M05.FR.02, M05.FR.12, A02.FR.08, A02.FR.10: and the change can be made again."""
    change = CHANGES[name]
    old, new = prepared(tmp_path, change)
    seen: set[bool] = set()
    step, disk = 0, Disk(0)
    for step in range(1, 200):
        folder = tmp_path / f"{step}"
        shutil.copytree(tmp_path / "old", folder)
        disk = Disk(step, forgets=forgets)
        with monkeypatch.context() as patch:
            disk.install(patch)
            try:
                change.act(CertificateStore(folder, CLOCK))
            except PowerCut:
                pass
            else:
                break
        disk.cut()
        whole(folder)
        survivor = CertificateStore(folder, CLOCK)
        now = state(survivor)
        assert now in {old, new} or change.between(old, new, now), (step, now)
        seen.add(now == old)
        change.act(survivor)
        assert state(survivor) == new, step
        shutil.rmtree(folder)
    assert step > 3
    assert disk.steps == step - 1
    # What was forced to the disk last is what makes the change.
    assert forgets or old == new or seen == {False, True}


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_disk_that_fails_once_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """M05.FR.03: the same store goes on with what is on the disk."""
    change = CHANGES[name]
    old, new = prepared(tmp_path, change)
    step = 0
    for step in range(1, 200):
        folder = tmp_path / f"{step}"
        shutil.copytree(tmp_path / "old", folder)
        store = CertificateStore(folder, CLOCK)
        disk = Disk(step, error=OSError(errno.ENOSPC, "No space left on device"))
        with monkeypatch.context() as patch:
            disk.install(patch)
            try:
                done = change.act(store)
            except StorageError as error:
                assert "No space left" in str(error)
            else:
                # A removal is no exception, and what is left over does not count.
                if disk.steps < step:
                    break
                assert done in {Removal.FAILED, Removal.ACCEPTED} or state(store) == new
        whole(folder)
        now = state(store)
        assert now == state(CertificateStore(folder, CLOCK))
        assert now in {old, new} or change.between(old, new, now), (step, now)
        change.act(store)
        assert state(store) == new, step
        shutil.rmtree(folder)
    assert step > 3
    assert CLOCK.now() == NOW
