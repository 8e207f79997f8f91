"""How the Rust core makes an enumeration when it is first touched."""

from enum import StrEnum
from typing import cast

__all__ = ["make_enum"]


def make_enum(module: str, name: str, members: list[tuple[str, str]]) -> type[StrEnum]:
    """The enumeration `name` of `module` from pairs of member name and wire value.

    The functional API takes 15 ms for the 198 enumerations of both versions together.
    """
    return cast("type[StrEnum]", StrEnum(name, members, module=module))
