"""Configure TLS of the service's endpoints, and of connections to the model server."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from components.contract.errors import InputError


@dataclass(frozen=True)
class Tls:
    """Name the files of a TLS server, in PEM.

    Attributes:
        cert: the service's certificate chain.
        key: its private key.
        client_ca: CA of client certificates, then required (mutual TLS); None accepts any client.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"expected a certificate, its key and perhaps a CA in PEM, got {self}: {error}") from error

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return credentials for gRPC."""
        pair = ((self.key.read_bytes(), self.cert.read_bytes()),)
        roots = None if self.client_ca is None else self.client_ca.read_bytes()
        return grpc.ssl_server_credentials(pair, roots, require_client_auth=roots is not None)

    def for_uvicorn(self) -> dict[str, Any]:
        """Return uvicorn's options."""
        files: dict[str, Any] = {"ssl_certfile": str(self.cert), "ssl_keyfile": str(self.key)}
        if self.client_ca is not None:
            files |= {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return files


def to_model_server(ca: Path | None) -> grpc.ChannelCredentials:
    """Return credentials that trust the CA, or else the machine's own CAs."""
    return grpc.ssl_channel_credentials(None if ca is None else ca.read_bytes())
