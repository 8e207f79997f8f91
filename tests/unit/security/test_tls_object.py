"""The cipher suites that may be used."""

import ssl

import pytest

from ocpp_fast.security.tls_object import CIPHERS, CheckedContext, make_safe, usable_ciphers


@pytest.mark.parametrize("name", CIPHERS)
def test_ours_are_usable(name: str) -> None:
    """A00.FR.319, A00.FR.422"""
    assert usable_ciphers([name]) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "HIGH",
        "ALL",
        "DEFAULT",
        "@SECLEVEL=0",
        "ALL:@SECLEVEL=0",
        "!AES128-GCM-SHA256",
        "NULL-SHA256",
        "ECDHE-ECDSA-NULL-SHA",
        "ADH-AES128-GCM-SHA256",
        "AECDH-AES128-SHA",
        "AES128-SHA",
        "DES-CBC3-SHA",
        "RC4-MD5",
        "TLS_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_RC4_128_MD5",
        "no such suite",
        "bücher",
    ],
)
def test_unfit_ones_are_left_out(name: str) -> None:
    """A00.FR.320, A00.FR.423"""
    assert usable_ciphers([name]) == []


def test_names_of_the_specification() -> None:
    """A00.FR.319: as the specification writes them."""
    names = [" TLS_RSA_WITH_AES_128_GCM_SHA256 ", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
    wanted = ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
    assert usable_ciphers([*names, "AES128-GCM-SHA256"]) == wanted


def suites(context: ssl.SSLContext) -> list[str]:
    return [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]


def test_contexts() -> None:
    """A00.FR.313, A00.FR.320, A00.FR.321, A00.FR.416, A00.FR.423, A00.FR.424"""
    context = CheckedContext(ssl.PROTOCOL_TLS_CLIENT)
    make_safe(context)
    assert suites(context) == list(CIPHERS)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    make_safe(context, ["AES128-GCM-SHA256", "RC4-MD5"])
    assert suites(context) == ["AES128-GCM-SHA256"]
    make_safe(context, ["RC4-MD5"])  # nothing is left of the wish
    assert suites(context) == list(CIPHERS)
