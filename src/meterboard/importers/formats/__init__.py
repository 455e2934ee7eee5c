"""The formats that can be imported."""
