"""A progress bar in seconds of racing; without tqdm, nothing moves."""

import sys


class Progress:
    """A bar over all cells, which says who is running.

    Units     seconds
    """

    def __init__(self, total: float) -> None:
        self._bar, self._before = None, 0.0
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            print('no progress bar without tqdm; install it with: pip install -e ".[race]"', file=sys.stderr)
            return
        shape = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining} {desc}"
        self._bar = tqdm(total=total, bar_format=shape, leave=False, dynamic_ncols=True, disable=None)

    def say(self, what: str) -> None:
        """Show what is being done."""
        if self._bar is not None:
            self._bar.set_description_str(what)

    def extend(self, seconds: float) -> None:
        """Expect so much more."""
        if self._bar is not None:
            self._bar.total += seconds

    def advance_to(self, seconds: float, of: float) -> None:
        """Move to so many seconds of the current cell, at most `of`."""
        if self._bar is not None:
            self._bar.n = self._before + min(seconds, of)
            self._bar.refresh()

    def finish_cell(self, seconds: float) -> None:
        """Count the current cell as done."""
        self._before += seconds
        self.advance_to(0.0, seconds)

    def line(self, text: str = "") -> None:
        """Print a line above the bar."""
        if self._bar is None:
            print(text, flush=True)
        else:
            self._bar.write(text)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
