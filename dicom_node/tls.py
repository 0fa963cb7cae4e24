"""TLS as PS3.15 B.12 has it (BCP 195: RFC 8996 and 9325): TLS 1.2 with ECDHE and AEAD, TLS 1.3.

Both sides show certificates; the peer's must be signed by the given authority. Whom a certificate
names is not compared with host names: hospitals call their modalities by address.
"""

import ssl
from pathlib import Path

from dicom_node.errors import DicomNodeError
from pacs.settings import Settings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, as OpenSSL writes it."""


class TlsUnusable(DicomNodeError):
    """A certificate, key or authority that cannot be used; names the setting and the file."""


def listening_context(settings: Settings) -> ssl.SSLContext:
    """For the TLS port. Raises TlsUnusable."""
    return _context(ssl.PROTOCOL_TLS_SERVER, settings)


def calling_context(settings: Settings) -> ssl.SSLContext:
    """For associations that we ask for. Raises TlsUnusable."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, settings)


def _context(protocol: int, settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    certificate = _file(settings.dicom_tls_certificate, "dicom_tls_certificate")
    key = _file(settings.dicom_tls_key, "dicom_tls_key")
    authority = _file(settings.dicom_tls_ca, "dicom_tls_ca")
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise TlsUnusable(
            f"the certificate {certificate} (dicom_tls_certificate) and the key {key}"
            f" (dicom_tls_key) cannot be used together: {_why(error)}; both must be PEM, the key"
            " without a passphrase, and belong to each other"
        ) from error
    try:
        context.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        raise TlsUnusable(
            f"{authority} (dicom_tls_ca) holds no certificate in PEM: {_why(error)}"
        ) from error
    return context


def _file(path: Path | None, setting: str) -> Path:
    if path is None:
        raise TlsUnusable(f"DICOM over TLS needs {setting}: name a PEM file")
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise TlsUnusable(f"{path} ({setting}) cannot be read: {error.strerror}") from error


def _no_passphrase() -> str:
    """Or OpenSSL would ask for it on the terminal."""
    raise ValueError("the key is encrypted")


def _why(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
