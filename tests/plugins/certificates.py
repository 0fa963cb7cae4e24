"""Certificates of a hospital's own authority, made by openssl."""

import ssl
import subprocess
from pathlib import Path


def openssl(*arguments: str | Path) -> None:
    """Run openssl; it must succeed."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A certificate authority of a hospital."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", self._key, "-out", self.certificate),
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key for a program on this machine."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate = self.folder / f"{name}.pem"
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", request),
        )
        openssl(
            *("x509", "-req", "-days", "2", "-in", request, "-CA", self.certificate),
            *(
                "-CAkey",
                self._key,
                "-CAcreateserial",
                "-copy_extensions",
                "copy",
                "-out",
                certificate,
            ),
        )
        return certificate, key

    def context(self, certificate: Path, key: Path, *, listening: bool) -> ssl.SSLContext:
        """TLS as somebody with this certificate speaks it, trusting whom this authority signed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if listening else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self.certificate)
        return context
