"""Makes the certificate of the tests' PostgreSQL: ca.crt, server.crt and server.key in the named folder.

The authority is a certificate of its own: rustls refuses one that is both authority and server. Its key is thrown away.
"""

import datetime
import ipaddress
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder = Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)
ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "byokd tests")])
ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour ago: the clocks of a machine and its container may differ.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=7))
    )


ca = certificate(ca_name, ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
server = certificate(server_name, server_key).add_extension(x509.SubjectAlternativeName(names), critical=False)

for builder, file in [(ca, "ca.crt"), (server, "server.crt")]:
    signed = builder.sign(ca_key, hashes.SHA256())
    (folder / file).write_bytes(signed.public_bytes(serialization.Encoding.PEM))

# PostgreSQL refuses a key that others may read.
key_file = folder / "server.key"
key_file.touch(mode=0o600)
key_file.write_bytes(
    server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)
