"""Meterboard: a self-hosted dashboard of API usage and credits."""

__version__ = "0.1.0"
