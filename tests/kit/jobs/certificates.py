"""Certificates of an authority of one's own, made with openssl."""

from __future__ import annotations

import os
import ssl
import subprocess
from dataclasses import dataclass

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass
class Authority:
    """A CA of one's own in a folder."""

    folder: str
    name: str

    def __post_init__(self) -> None:
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        self._openssl("req", "-x509", *KEY, *usage, "-days", "2", "-subj", f"/CN={self.name}",
                      "-keyout", self.path("key"), "-out", self.path("pem"))  # fmt: skip

    def path(self, suffix: str) -> str:
        return os.path.join(self.folder, f"{self.name}.{suffix}")

    def server(self, names: str = "DNS:localhost,IP:127.0.0.1") -> ssl.SSLContext:
        """Return what a server with these names presents itself with."""
        leaf = self.leaf(names)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(leaf.path("pem"), leaf.path("key"))
        return context

    def leaf(self, names: str) -> Leaf:
        """Return a certificate with these names, and its key."""
        leaf = Leaf(self.folder, f"{self.name}-{len(os.listdir(self.folder))}")
        with open(leaf.path("ext"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n"
                       "authorityKeyIdentifier=keyid\n")  # fmt: skip
        self._openssl("req", "-new", *KEY, "-subj", "/CN=server",
                      "-keyout", leaf.path("key"), "-out", leaf.path("csr"))  # fmt: skip
        self._openssl("x509", "-req", "-in", leaf.path("csr"), "-CA", self.path("pem"),
                      "-CAkey", self.path("key"), "-CAcreateserial", "-days", "2",
                      "-extfile", leaf.path("ext"), "-out", leaf.path("pem"))  # fmt: skip
        return leaf

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@dataclass
class Leaf:
    folder: str
    name: str

    def path(self, suffix: str) -> str:
        return os.path.join(self.folder, f"{self.name}.{suffix}")
