"""What is wrong with a schedule, and on which line."""
