"""
Speed, side by side in one run. Each file is one command, such as `python -m benchmarks.batches`.

They need two cores and a quiet machine; what they print says what was measured against what.
"""
