"""TLS of the service's doors, and towards the model server."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from components.contract.errors import InputError


@dataclass(frozen=True)
class Tls:
    """Files in PEM.

    Attributes:
        cert: the service's certificate, with those between it and the root.
        key: its private key.
        client_ca: whoever calls needs a certificate by one of these; None lets anyone call.
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
        """As the gRPC door takes them."""
        pair = ((self.key.read_bytes(), self.cert.read_bytes()),)
        roots = None if self.client_ca is None else self.client_ca.read_bytes()
        return grpc.ssl_server_credentials(pair, roots, require_client_auth=roots is not None)

    def for_uvicorn(self) -> dict[str, Any]:
        """As uvicorn's configuration takes them."""
        files: dict[str, Any] = {"ssl_certfile": str(self.cert), "ssl_keyfile": str(self.key)}
        if self.client_ca is not None:
            files |= {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return files


def to_model_server(ca: Path | None) -> grpc.ChannelCredentials:
    """Of a connection that trusts the CA's certificates; the machine's own CAs without one."""
    return grpc.ssl_channel_credentials(None if ca is None else ca.read_bytes())
