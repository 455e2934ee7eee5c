"""Taking usage in: pricing, and the one thread that writes."""
