"""The embedded usage store."""
