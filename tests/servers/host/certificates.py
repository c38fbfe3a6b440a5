"""A certificate authority of one test run, and what it signed."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files in PEM: the authority, and certificate and key of the server and of one client."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def client_context(self, *, certified: bool = True) -> ssl.SSLContext:
        """Make what a client needs; one that is not `certified` shows no certificate of its own."""
        context = ssl.create_default_context(cafile=self.authority)
        if certified:
            context.load_cert_chain(self.client, self.client_key)
        return context


def issue(folder: Path) -> Certificates:
    """Make an authority, a server's certificate for localhost and 127.0.0.1, and a client's."""
    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    for name, identities in {"server": ("localhost", "127.0.0.1"), "client": ("tester@localhost",)}.items():
        leaf = authority.issue_cert(*identities)
        leaf.private_key_pem.write_to_path(folder / f"{name}.key")
        for number, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(folder / f"{name}.pem", append=number > 0)
    return Certificates(
        authority=folder / "authority.pem",
        server=folder / "server.pem",
        server_key=folder / "server.key",
        client=folder / "client.pem",
        client_key=folder / "client.key",
    )
