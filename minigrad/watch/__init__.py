"""What happened? The graph of a run, where its time went, and its first NaN."""
