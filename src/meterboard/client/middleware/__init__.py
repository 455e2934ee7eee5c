"""Counting every call of a web application: one file for each way that Python's frameworks are called."""
