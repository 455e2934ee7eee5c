"""Jobs that the server runs at fixed times, and metrics of the server."""
