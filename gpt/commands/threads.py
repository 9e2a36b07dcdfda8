"""How many threads the matrix products of a command use."""

from gpt.language_model import LanguageModel
from minigrad.parallel import busy_cores, set_blas_threads


def use_threads(model: LanguageModel, tokens: int) -> None:
    """Set the BLAS threads for a model that reads up to so many tokens at a time, by the rule of `parallel.choice`.

    The library's own choice, all cores, waits for every thread at every product: where a core is taken by another
    program, a sample of a small model took 54 s in place of 3.
    """
    set_blas_threads(busy_cores(model.num_parameters(False), model.config.n_layer, tokens))
