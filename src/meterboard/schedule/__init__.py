"""The price list as a language: its file, its checks, what a request is and what it costs."""
