"""Certificates for servers of tests."""

import shutil
import ssl
import subprocess
from pathlib import Path

from support.required_tools import require

Certificate = tuple[ssl.SSLContext, ssl.SSLContext]


def loopback_certificate(folder: Path) -> Certificate:
    """The TLS contexts of a server with a certificate for 127.0.0.1, and of a client that trusts it."""
    openssl = shutil.which("openssl")
    require(openssl is not None, "no openssl on this machine")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    subprocess.run(
        [str(openssl), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(cert, key)
    return server_context, ssl.create_default_context(cafile=cert)
