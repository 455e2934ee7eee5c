"""Requests that send usage."""
