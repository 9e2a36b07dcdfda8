"""python -m tests.faults: check the checker, with planted faults and right random graphs, over 20 seeds."""

import importlib.util
import json
import sys
from dataclasses import asdict

from minigrad.console.commands import Parser, natural
from tests.faults import rates as rating

GRAPHS, SEEDS = 200, 20
SECONDS = 0.062  # a check takes, on one core of an AMD EPYC


def main(argv=None) -> int:
    """Print the rates; return 0 if every fault was found and rightly named, and no right graph raised an alarm."""
    parser = Parser(prog="python -m tests.faults", description=__doc__.partition(": ")[2])
    parser.add_argument("--seeds", type=natural, default=SEEDS, help=f"how many (default: {SEEDS})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    rates = rating.Rates()
    checks = options.seeds * (len(rating.faults()) + GRAPHS)
    print(f"{checks} checks, which take about {checks * SECONDS:.0f} seconds", file=sys.stderr)
    measured = rating.measure(GRAPHS, range(options.seeds), rates)
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
        measured = importlib.import_module("tqdm").tqdm(measured, total=checks, desc="planting", leave=False)
    for _ in measured:
        pass
    print(json.dumps(asdict(rates), indent=1) if options.json else rates)
    return 0 if rates.ok else 1


if __name__ == "__main__":
    sys.exit(main())
