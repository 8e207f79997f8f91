"""A station's TLS client whose key is in a TPM, as a process of its own: OpenSSL reads OPENSSL_CONF
once, when a process starts. Writes one line for each handshake."""

import socket
import ssl
import sys
from pathlib import Path

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.security.tpm import TpmKeys


def main() -> None:
    folder, key_id, roots, chain, port = sys.argv[1:]
    keys = TpmKeys(Path(folder))
    try:
        keys.check()
    except ConfigurationError as error:
        sys.stdout.write(f"{error}\n")
        return
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=roots)
        context.load_cert_chain(chain, keys.tls_file(key_id))
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", int(port)), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            sys.stdout.write(link.recv(200).decode() + "\n")


main()
