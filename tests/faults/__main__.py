"""python -m tests.faults: check the checker, with planted faults and right random graphs, over 20 seeds."""

import argparse
import importlib.util
import json
import sys
from dataclasses import asdict

from tests.faults.rates import Rates, measure

GRAPHS, SEEDS = 200, 20


def main() -> int:
    """Print the rates; return 0 if every fault was found and rightly named, and no right graph raised an alarm."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition(": ")[2])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default: {SEEDS})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rates = Rates()
    measured = measure(GRAPHS, range(options.seeds), rates)
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
        measured = importlib.import_module("tqdm").tqdm(measured, desc="planting", leave=False)
    for _ in measured:
        pass
    print(json.dumps(asdict(rates), indent=1) if options.json else rates)
    return 0 if rates.ok else 1


if __name__ == "__main__":
    sys.exit(main())
