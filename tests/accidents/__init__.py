"""Accidents to files and runs: what damages them, and all that reads them. `python -m tests.accidents` plants them by the thousand."""
