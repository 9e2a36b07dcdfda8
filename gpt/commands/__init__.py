"""The commands of `python -m gpt`: a file each, with `add(command)`, its flags, and `run(options)`, what it does."""
