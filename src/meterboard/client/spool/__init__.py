"""What Meterboard has not acknowledged yet, on disk."""
