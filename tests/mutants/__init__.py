"""Would the tests notice? Mistakes are put into the product one at a time, and the tests are run on each.

`mutations.py` is what a mistake is, `coverage.py` which test runs which line, `trial.py` how the tests are run on
a mistake, `known.txt` the mistakes that change nothing, each with its reason. `README.md` says how to read it.
"""
