"""Requests that read usage."""
