"""Filmless beside other servers, under the same load on the same machine."""
