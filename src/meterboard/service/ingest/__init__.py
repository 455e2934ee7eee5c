"""Ingestion of usage: pricing, and the one thread that writes."""
