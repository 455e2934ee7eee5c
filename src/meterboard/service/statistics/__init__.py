"""Questions about an organisation's usage, and their answers."""
