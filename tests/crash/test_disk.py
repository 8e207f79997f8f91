"""The disk that loses what was not synced, without a disk."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from crash.disk import SECTOR, Disk, Fate, found, write
from crash.recording import Did, Kind, Op

FATES = tuple(Fate)


def disk(*ops: Op) -> Disk:
    made = Disk()
    for op in ops:
        made.apply(op)
    return made


def create(path: str, file: int) -> Op:
    return Op(Kind.OPEN, path, file=file, did=Did.CREATED)


def data(file: int, content: bytes, offset: int = 0) -> Op:
    return Op(Kind.WRITE, "?", content, offset, file)


def sync(file: int) -> Op:
    return Op(Kind.SYNC, "?", file=file)


FOLDER = Op(Kind.SYNC_FOLDER, "")


def outcomes(made: Disk, fate: Fate) -> set[tuple[tuple[str, bytes | None], ...]]:
    return {tuple(sorted(made.image(fate, Random(seed)).items())) for seed in range(400)}


def test_what_was_synced_stays() -> None:
    made = disk(create("a", 1), data(1, b"old"), sync(1), FOLDER)
    for fate in FATES:
        assert outcomes(made, fate) == {(("a", b"old"),)}
    assert made.is_settled()


def test_a_name_lasts_from_the_sync_of_its_folder() -> None:
    made = disk(create("a", 1), data(1, b"old"), sync(1))
    assert not made.is_settled()
    assert outcomes(made, Fate.KEPT) == {(("a", b"old"),)}
    assert outcomes(made, Fate.DROPPED) == {()}
    assert outcomes(made, Fate.REORDERED) == {(), (("a", b"old"),)}


def test_content_lasts_from_the_sync_of_its_file() -> None:
    made = disk(create("a", 1), FOLDER, data(1, b"new"))
    assert outcomes(made, Fate.DROPPED) == {(("a", b""),)}
    # The size without the bytes, the bytes without the size, both, none.
    assert outcomes(made, Fate.REORDERED) == {
        (("a", b""),),
        (("a", b"\0\0\0"),),
        (("a", b"new"),),
    }
    made.apply(sync(1))
    assert outcomes(made, Fate.DROPPED) == {(("a", b"new"),)}


def test_writes_are_reordered_as_wholes_and_torn_at_sectors() -> None:
    old, first, second = b"0" * 3 * SECTOR, b"1" * 2 * SECTOR, b"2" * SECTOR
    base = (create("a", 1), data(1, old), sync(1), FOLDER)
    made = disk(*base, data(1, first), data(1, second, 2 * SECTOR))

    def sectors(fate: Fate) -> set[str]:
        return {(content or b"")[::SECTOR].decode() for ((_, content),) in outcomes(made, fate)}

    assert sectors(Fate.KEPT) == {"112"}
    assert sectors(Fate.DROPPED) == {"000"}
    assert sectors(Fate.REORDERED) == {"000", "110", "002", "112"}
    assert sectors(Fate.TORN) == {f"{a}{b}{c}" for a in "01" for b in "01" for c in "02"}


def test_a_sector_is_written_with_all_that_was_done_to_it() -> None:
    """The later write of the two has reached the disk only with the earlier one."""
    base = (create("a", 1), data(1, b"......"), sync(1), FOLDER)
    made = disk(*base, data(1, b"ab"), data(1, b"cd", 4))
    for fate in (Fate.REORDERED, Fate.TORN):
        assert outcomes(made, fate) == {
            (("a", text),) for text in (b"......", b"ab....", b"ab..cd")
        }


def test_a_truncation_is_pending_too() -> None:
    made = disk(
        create("a", 1), data(1, b"abcdef"), sync(1), FOLDER, Op(Kind.TRUNCATE, "", b"", 2, 1)
    )
    assert outcomes(made, Fate.KEPT) == {(("a", b"ab"),)}
    assert outcomes(made, Fate.DROPPED) == {(("a", b"abcdef"),)}
    assert (("a", b"ab"),) in outcomes(made, Fate.TORN)
    made.apply(data(1, b"z", 4))
    assert outcomes(made, Fate.KEPT) == {(("a", b"ab\0\0z"),)}
    made.apply(sync(1))
    assert outcomes(made, Fate.DROPPED) == {(("a", b"ab\0\0z"),)}
    made.apply(Op(Kind.OPEN, "a", file=1, did=Did.TRUNCATED))
    assert outcomes(made, Fate.KEPT) == {(("a", b""),)}


def test_a_rename_is_one_change() -> None:
    made = disk(
        create("a", 1), data(1, b"old"), sync(1), FOLDER,
        create(".a", 2), data(2, b"new"), sync(2), Op(Kind.RENAME, ".a", to="a"),
    )  # fmt: skip
    old, left, new = (("a", b"old"),), ((".a", b"new"), ("a", b"old")), (("a", b"new"),)
    assert outcomes(made, Fate.DROPPED) == {old}
    assert outcomes(made, Fate.KEPT) == {new}
    assert outcomes(made, Fate.REORDERED) == {old, left, new}
    made.apply(FOLDER)
    assert outcomes(made, Fate.DROPPED) == {new}


def test_a_rename_of_what_was_not_synced_leaves_an_empty_file() -> None:
    made = disk(
        create("a", 1), data(1, b"old"), sync(1), FOLDER,
        create(".a", 2), data(2, b"new"), Op(Kind.RENAME, ".a", to="a"), FOLDER,
    )  # fmt: skip
    assert outcomes(made, Fate.DROPPED) == {(("a", b""),)}


def test_a_removed_file_comes_back() -> None:
    made = disk(create("a", 1), data(1, b"old"), sync(1), FOLDER, Op(Kind.UNLINK, "a"))
    assert outcomes(made, Fate.DROPPED) == {(("a", b"old"),)}
    assert outcomes(made, Fate.KEPT) == {()}
    # Another file in its place does not bring back the content of the first.
    made.apply(create("a", 1))
    made.apply(FOLDER)
    assert outcomes(made, Fate.DROPPED) == {(("a", b""),)}


def test_a_file_is_lost_with_its_folder() -> None:
    made = disk(
        Op(Kind.MKDIR, "f"), create("f/a", 1), data(1, b"x"), sync(1), Op(Kind.SYNC_FOLDER, "f")
    )
    assert outcomes(made, Fate.DROPPED) == {()}
    assert outcomes(made, Fate.REORDERED) == {(), (("f", None), ("f/a", b"x"))}
    made.apply(FOLDER)
    assert outcomes(made, Fate.DROPPED) == {(("f", None), ("f/a", b"x"))}
    assert made.image(Fate.DROPPED, Random(0), "f") == {"a": b"x"}


def test_what_has_settled_lasts() -> None:
    made = disk(create("a", 1), data(1, b"x"), create("b", 2))
    made.settle()
    for fate in FATES:
        assert outcomes(made, fate) == {(("a", b"x"), ("b", b""))}


@pytest.mark.parametrize("fate", FATES)
def test_the_same_seed_leaves_the_same(fate: Fate) -> None:
    made = disk(create("a", 1), FOLDER, *(data(1, bytes([n]) * 700, 300 * n) for n in range(20)))
    assert made.image(fate, Random(7)) == made.image(fate, Random(7))


def test_an_image_becomes_a_folder(tmp_path: Path) -> None:
    image = {"a": b"x", "f": None, "f/b": b"y"}
    write(image, tmp_path / "new")
    assert found(tmp_path / "new") == image
