"""Close codes (RFC 6455, section 7.4)."""

import pytest

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.transport.base import check_close_code, is_close_code

GOOD = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_which_codes_a_close_frame_may_bear() -> None:
    assert {code for code in range(-10, 70_000) if is_close_code(code)} == GOOD


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1015, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_named(code: int) -> None:
    with pytest.raises(ConfigurationError, match=f"close code {code}"):
        check_close_code(code)
