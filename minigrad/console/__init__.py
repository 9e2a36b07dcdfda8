"""What the command lines share: parsers and tables."""
