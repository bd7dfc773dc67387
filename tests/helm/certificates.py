"""The certificates of one run: a CA, byokd's own, and a caller's with a SPIFFE id."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PEM = serialization.Encoding.PEM


def sign(subject, issuer, issuer_key, key, *extensions):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=6))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256())


def private(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def make(dns_names, spiffe_id):
    """`ca.crt`, and certificate and key of the server and of the caller, by the names that a Secret has for them."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA of the tests")])
    ca = sign(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    unnamed = x509.Name([])
    leaf = x509.BasicConstraints(ca=False, path_length=None)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    key, caller_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
    identity = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id)])
    server = sign(unnamed, ca_name, ca_key, key, leaf, authority, names)
    caller = sign(unnamed, ca_name, ca_key, caller_key, leaf, authority, identity)
    return {
        "ca.crt": ca.public_bytes(PEM).decode(),
        "tls.crt": server.public_bytes(PEM).decode(),
        "tls.key": private(key),
        "client.crt": caller.public_bytes(PEM).decode(),
        "client.key": private(caller_key),
    }
