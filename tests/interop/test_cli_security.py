"""Security profiles on the command line, as a user runs them: processes, exit codes, one line."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from interop.test_cli import LIMIT_S, free_port, run
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms.pki_folder import write_pki
from ocpp_fast.ids import Ids

pytestmark = pytest.mark.timeout(240)
PROGRAM = (sys.executable, "-u", "-m", "ocpp_fast.cli")
PASSWORD = "0123456789abcdef"
Way: TypeAlias = tuple[int, Sequence[str | Path], Sequence[str | Path], dict[str, str]]
"""A profile, options of the CSMS, options of the station, environment of the station."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    write_pki(folder, identity="CS001", clock=SystemClock(), ids=Ids())
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, of nobody known."""
    folder = tmp_path_factory.mktemp("foreign")
    write_pki(folder, identity="CS001", clock=SystemClock(), ids=Ids())
    return folder


@contextmanager
def csms(*options: str | Path, **environment: str) -> Generator[tuple[str, list[str]]]:
    """The address of a CSMS, and what it has printed once it has ended."""
    lines: list[str] = []
    with subprocess.Popen(
        [*PROGRAM, "csms", "--port", "0", *map(str, options)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        found = re.search(r"(wss?)://127\.0\.0\.1(:\d+)", first)
        assert found is not None, first + process.stderr.read()
        try:
            # By name, since that is what certificates are about.
            yield f"{found[1]}://localhost{found[2]}", lines
        finally:
            process.send_signal(signal.SIGINT)
            try:
                output, errors = process.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:  # Who has started us may have SIGINT ignored.
                process.kill()
                raise
            lines += [first, *output.splitlines(), *errors.splitlines()]


def station(url: str, *options: str | Path, **environment: str) -> subprocess.Popen[str]:
    arguments = ("--url", url, "--id", "CS001", "--evses", "1", "--seconds", "2")
    return subprocess.Popen(
        [*PROGRAM, "station", *arguments, *map(str, options)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_every_profile_charges_in_every_way_to_say_so(pki: Path, tmp_path: Path) -> None:
    """A00.FR.201-207, A00.FR.301-324, A00.FR.401-425: all at once, since each takes seconds."""
    word = tmp_path / "password"
    word.write_text(f"{PASSWORD}\n")
    server = [pki / "csms" / f"server-{kind}" for kind in ("ec", "rsa")]
    pairs = [
        each
        for name in server
        for each in ("--tls-cert", f"{name}.pem", "--tls-key", f"{name}.key")
    ]
    roots = pki / "csms/client-roots.pem"
    (chain,) = (pki / "station/leaves/charging_station").iterdir()
    key = key_of(pki, chain)
    ways: list[Way] = [
        (0, (), (), {}),
        (1, ("--password", PASSWORD), (), {"OCPP_FAST_PASSWORD": PASSWORD}),
        (2, (*pairs, "--password-file", word), ("--tls-ca", roots, "--password-file", word), {}),
        (3, (*pairs, "--tls-client-ca", roots),
         ("--tls-ca", roots, "--tls-cert", chain, "--tls-key", key), {}),
    ]  # fmt: skip
    with ExitStack() as running:
        servers = [running.enter_context(csms(*options)) for _, options, _, _ in ways]
        stations = [
            running.enter_context(station(url, *options, **environment))
            for (url, _), (_, _, options, environment) in zip(servers, ways, strict=True)
        ]
        for each, (profile, *_) in zip(stations, ways, strict=True):
            output, errors = each.communicate(timeout=LIMIT_S)
            assert each.returncode == 0, f"{profile}: {output}{errors}"
            assert errors == ""
            assert "1 transactions delivered" in output
    for (_, lines), (profile, *_) in zip(servers, ways, strict=True):
        assert f"security profile {profile};" in lines[0]
        assert any("TransactionEvent  Ended" in line for line in lines)
        assert not any("refused" in line for line in lines)
        assert not any(PASSWORD in line for line in lines)


def key_of(pki: Path, chain: Path) -> Path:
    """The store keeps keys by their public keys; here the one that fits is needed."""
    for key in (pki / "station/keys").iterdir():
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(chain, key)
        except ssl.SSLError:
            continue
        return key
    raise AssertionError("no key fits")


@pytest.fixture(scope="module")
def servers(pki: Path) -> Generator[dict[int, tuple[str, list[str]]]]:
    """CSMSs with profiles 1, 2 and 3."""
    with ExitStack() as running:
        yield {
            profile: running.enter_context(csms("--pki", pki, "--security-profile", str(profile)))
            for profile in (1, 2, 3)
        }


WRONG = "a wrong password, but long"


@pytest.mark.parametrize(
    ("profile", "options", "why"),
    [
        (1, ["--pki", "{pki}", "--security-profile", "1", "--password", WRONG],
         "refuses the password.*401"),
        (1, [], "refuses the password.*401"),
        (2, ["--pki", "{pki}", "--security-profile", "2", "--password", WRONG],
         "refuses the password.*401"),
        (2, ["--pki", "{pki}", "--security-profile", "2", "--id", "CS404"],
         "does not know this station.*404"),
        (2, ["--pki", "{foreign}", "--security-profile", "2"], r"\(certificate\)"),
        (3, ["--pki", "{foreign}"], r"\(certificate\)"),
        (3, ["--pki", "{pki}", "--id", "CS404"], "refuses this station.*403"),
        (3, ["--pki", "{pki}", "--security-profile", "2"], r"\(client certificate\)"),
        (3, ["--tls-ca", "{pki}/csms/client-roots.pem", "--tls-cert", "{foreign}/contract.pem",
             "--tls-key", "{foreign}/contract.key"], r"\(client certificate\)"),
        (3, [], r"\(certificate\).*no.*root"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_at_once(
    profile: int,
    options: list[str],
    why: str,
    pki: Path,
    foreign: Path,
    servers: dict[int, tuple[str, list[str]]],
) -> None:
    """A00.FR.002, A00.FR.207, A00.FR.308, A00.FR.324, A00.FR.403, A00.FR.405: exit code 3."""
    url, _ = servers[profile]
    given = [each.format(pki=pki, foreign=foreign) for each in options]
    with station(url, *given) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3, output + errors
    (line,) = errors.splitlines()
    assert line.startswith(f"ocpp-fast: {url}/CS")
    assert re.search(why, line), line
    assert WRONG not in output + errors
    assert (pki / "station.password").read_text().strip() not in output + errors


def test_the_lines_that_pki_prints(tmp_path: Path) -> None:
    """Profiles 2 and 3, each in one line."""
    folder = tmp_path / "it is mine"
    done = run("pki", str(folder), "--id", "CS 9")
    assert done.returncode == 0, done.stderr
    _, *lines = done.stdout.splitlines()
    assert [line.count(f"--security-profile {n}") for n, line in zip((2, 3), lines, strict=True)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with ExitStack() as running:
        shells: list[subprocess.Popen[str]] = []
        for line in lines:
            port = free_port()
            command = line.replace("csms ", f"csms --port {port} ").replace(
                "station ", f"station --url wss://localhost:{port} --seconds 2 --evses 1 "
            )
            shell = subprocess.Popen(
                ["/bin/bash", "-c", command],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "PATH": path},
            )  # fmt: skip
            shells.append(running.enter_context(shell))
        for shell in shells:
            output, errors = shell.communicate(timeout=LIMIT_S)
            assert "1 transactions delivered" in output, output + errors
            assert "CS 9 connected" in output
