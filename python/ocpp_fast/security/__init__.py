"""Certificates, keys and TLS; the only place that imports `cryptography`."""
