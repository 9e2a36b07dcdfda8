"""The parts of `examples/race.py`: cells, opponents, turns, floors, tables and pictures."""
