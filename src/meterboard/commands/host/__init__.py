"""Where commands run: on this process's store or the running server."""
