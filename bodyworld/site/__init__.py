"""A stand-in for the gallery site: serves a rendered world over HTTP on loopback."""
