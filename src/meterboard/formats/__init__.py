"""Bytes as they are sent -> usage events."""
