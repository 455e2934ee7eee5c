"""Lines -> calls."""
