"""What the server does at fixed moments, and how it is doing."""
