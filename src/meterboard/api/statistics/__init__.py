"""Requests that ask for usage."""
