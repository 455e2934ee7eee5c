"""Who made a call: the application that a user agent names, and an IP address in its canonical form."""
