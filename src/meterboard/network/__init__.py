"""Listening, and finding the server that runs."""
