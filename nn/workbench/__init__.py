"""What `python -m minigrad check` runs: every operation and layer, planted faults, random graphs."""
