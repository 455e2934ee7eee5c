"""Middleware that records every call of a web application, one module for each interface of Python's frameworks."""
