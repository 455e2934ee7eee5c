"""The events on disk that Meterboard has not acknowledged yet."""
