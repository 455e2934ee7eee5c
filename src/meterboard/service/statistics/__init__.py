"""Queries of an organisation's usage, and their results."""
