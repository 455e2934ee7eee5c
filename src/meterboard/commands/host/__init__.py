"""The installation that a command works on: the store in this process, or the server that holds the data folder."""
