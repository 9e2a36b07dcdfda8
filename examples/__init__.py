"""One idea per file, each a script that reads like a short chapter and opens as a notebook."""
