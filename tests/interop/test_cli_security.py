"""Security profiles on the command line, as a user runs them: processes, exit codes, one line."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from interop.test_cli import LIMIT_S, free_port, one_line, run
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms.pki_folder import write_pki
from ocpp_fast.ids import Ids

PROGRAM = (sys.executable, "-u", "-m", "ocpp_fast.cli")
PASSWORD = "0123456789abcdef"


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
            output, errors = process.communicate(timeout=LIMIT_S)
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
    ways: list[tuple[int, tuple[str | Path, ...], tuple[str | Path, ...], dict[str, str]]] = [
        (profile, *[("--pki", pki, "--security-profile", str(profile))] * 2, {})
        for profile in range(4)
    ]
    ways += [
        (1, ("--password", PASSWORD), (), {"OCPP_FAST_PASSWORD": PASSWORD}),
        (2, (*pairs, "--password-file", word), ("--tls-ca", roots, "--password-file", word), {}),
        (3, (*pairs, "--tls-client-ca", roots),
         ("--tls-ca", roots, "--tls-cert", chain, "--tls-key", key), {}),
        (3, ("--pki", pki), ("--tls-certificates", pki / "station", "--security-profile", "3"), {}),
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
    import ssl

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
        (3, [], r"\(slot\).*root certificate"),
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
    folder = tmp_path / "it is mine"
    done = run("pki", str(folder), "--id", "CS 9")
    assert done.returncode == 0, done.stderr
    _, two, three = done.stdout.splitlines()
    assert "--security-profile 2" in two
    assert stat.S_IMODE((folder / "station.password").stat().st_mode) == 0o600
    port = free_port()
    line = three.replace("csms ", f"csms --port {port} ")
    line = line.replace("station ", f"station --url wss://localhost:{port} --seconds 2 --evses 1 ")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert "1 transactions delivered" in ran.stdout, ran.stdout + ran.stderr
    assert "CS 9 connected" in ran.stdout
    assert run("pki", str(folder)).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("station --id CS1", "--url"),
        ("station --url ws://localhost:1", "--id"),
        ("station --id CS1 --url ws://localhost:1 --security-profile 3", "needs a wss"),
        ("station --id CS1 --url ws://localhost:1 --pki NONE", "station.password|wss"),
        ("station --pki NONE --security-profile 3", "NONE"),
        ("station --id CS1 --url wss://localhost:1 --tls-cert NONE", "--tls-key"),
        ("station --id CS1 --url wss://localhost:1 --tls-ca NONE", "--tls-ca: "),
        ("station --id CS1 --url wss://localhost:1 --pki P --tls-ca NONE", "--pki: "),
        ("station --id CS1 --url wss://localhost:1 --tls-certificates P --tls-ca A", "--tls-ca: "),
        ("station --id CS1 --url ws://localhost:1 --password-file NONE", "--password-file: "),
        ("csms --password-file NONE", "--password-file: "),
        ("csms --pki NONE", r"csms-root\.pem"),
        ("csms --pki NONE --tls-cert A", "--pki: "),
        ("csms --tls-cert A", "--tls-key"),
        ("csms --tls-cert A --tls-key B", "profile 2 needs passwords"),
        ("csms --tls-cert A --tls-key B --password 1", "A with B"),
        ("csms --security-profile 1", "--password"),
        ("csms --security-profile 2", "--tls-cert"),
        ("csms --security-profile 3", "--tls-client-ca"),
        ("csms --tls-client-ca A", "certificate of the server"),
        ("pki NEW --id a:b", "no colon"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_2_and_one_line(arguments: str, why: str, tmp_path: Path) -> None:
    folder = os.getcwd()
    os.chdir(tmp_path)
    try:
        done = run(*arguments.split())
    finally:
        os.chdir(folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(why, one_line(done)), done.stderr


def test_profile_4_is_wrong_usage() -> None:
    assert run("demo", "--security-profile", "4").returncode == 2
