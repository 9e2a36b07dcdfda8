"""A run of training: what changes from step to step, how it uses the cores, and what it writes."""

import itertools
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpt import checkpoint
from gpt.config import TrainConfig
from gpt.data import Batch, Corpus
from gpt.folder import CHECKPOINT, claimed, restore
from gpt.language_model import LanguageModel
from gpt.progress import open_log, save_losses
from gpt.resume import contents, read
from gpt.start import beginning
from minigrad import parallel
from minigrad.errors import check_type
from minigrad.gpu.device import described
from minigrad.parallel import Way, Workers, busy_cores, choose_way, cores, rank, set_blas_threads, world_size
from minigrad.random import Generator
from nn.optim import AdamW
from nn.optim.groups import decay_groups

CURVE = "loss.png"
LARGE = 10_000_000  # weights: more make a model whose sample is short; ten times more, its evaluations too


@dataclass
class Run:
    """A training run: all that changes from step to step, and all that a checkpoint holds.

    Random    one PyTorch stream for the weights and then the batches, from `config.seed`; dropout's masks are
              those of the seed and the step (`random.Keyed`); evaluations and samples draw from streams of
              their own, so they do not change what is learnt.
    """

    config: TrainConfig
    corpus: Corpus
    model: LanguageModel
    batch_rng: Generator
    losses: list[float] = field(default_factory=list)  # of each step
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)  # step, train, val
    block_size: int = 0  # tokens of a row of a batch; 0: as many as the model can read
    changed: str = ""  # what settings were before this run was resumed, and are now, in words
    way: Way = Way(1, 0)  # to use the cores
    saved: int | None = None  # the step that the checkpoint holds, once there is one of this run

    def __post_init__(self) -> None:
        c = self.config
        self.block_size = self.block_size or self.model.config.block_size
        self.eval_iters = c.eval_iters or (20 if self.model.num_parameters(False) < 10 * LARGE else 4)
        self.checkpoint, self.curve = Path(c.out) / CHECKPOINT, Path(c.out) / CURVE
        self._log = None if rank() else open_log(c.log, c.out)
        told = c, self.model.config, self.corpus.text.sha256, self.corpus.tokenizer.to_json(), self.losses
        parallel.begin_alike(self.model.parameters(), told)
        self.model.to(c.device)
        groups = decay_groups(self.model, c.weight_decay)
        self.optimizer = AdamW(groups, c.learning_rate, (c.beta1, c.beta2))
        self.workers = self._workers()

    def _workers(self) -> Workers:
        """Set the BLAS threads, if the way says how many, and return who computes gradients."""
        if self.way.blas_threads:
            set_blas_threads(self.way.blas_threads)
        return parallel.workers(self.way, self.config.seed, self.model.loss, self.model.parameters())

    def spread(self, way: Way) -> None:
        """Use the cores in this way from now on."""
        self.close()
        self.way = way
        self.workers = self._workers()

    def choose_way(self) -> str:
        """Decide how to use this machine's cores, by the rule of `parallel.choice`, and return a line that says so.

        `config.workers` overrules the rule. A resumed run keeps the way it had, since sums in another order
        round differently, unless it is given `workers` anew.
        """
        c, size, ranks = self.config, self.model.config, world_size()
        if c.device != "cpu":
            return f"device: {described(c.device)}"
        rows = -(-c.batch_size // ranks)  # of a rank, at most
        weights, tokens = self.model.num_parameters(False), rows * self.block_size
        busy = busy_cores(weights, size.n_layer, tokens)
        way = choose_way(busy, rows, c.workers)
        each = f"{ranks} ranks, in each " if ranks > 1 else ""
        if self.way.blas_threads:
            other = "" if way == self.way else f"; --workers {c.workers} would take: {way}"
            return f"cores: {each}{self.way} (as before{other})"
        why = f"{weights:,} weights, {tokens:,} tokens: work for {busy} of {cores()} cores"
        if not set_blas_threads(way.blas_threads):
            way = Way(way.workers if c.workers else 1, 0)
            why = 'to choose: OPENBLAS_NUM_THREADS=1 before the command, or pip install -e ".[examples]"'
        elif c.workers:
            fewer = way.workers < c.workers
            why = f"{way.workers} of {c.workers} workers: there are no more cores or rows" * fewer
        self.spread(way)
        return f"cores: {each}{way}" + (f" ({why})" if why else "")

    @classmethod
    def new(cls, config: TrainConfig, **sizes: Any) -> "Run":
        """Start on the text of `config.data`, with a model of these sizes (GPTConfig's but vocab_size).

        From another model, `config.init_from`, only block_size may be another: of 256 tokens at most by default.

        Raises    ValueError or OSError, before anything is computed, for settings, a text or a folder
                  that cannot work.
        """
        check_type("Run.new", config, TrainConfig, "a TrainConfig")
        with claimed(config.out):
            return cls(config, **beginning(config, sizes))

    @classmethod
    def resume(cls, out: str, **changes: Any) -> "Run":
        """Continue from the checkpoint in the folder `out`; `changes` are settings of training.

        Without changes, what follows equals the uninterrupted run bit for bit.

        Raises    ValueError or OSError for a folder without a whole checkpoint, or another text.
        """
        found, state = read(out, changes)
        run = cls(**found)
        run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.param_groups})
        return run

    @property
    def step(self) -> int:
        """The number of steps made."""
        return len(self.losses)

    def batch(self, split: str, rng: Generator) -> Batch:
        """Draw a batch of a split; see `Corpus.batch`."""
        return self.corpus.batch(split, self.config.batch_size, self.block_size, rng)

    def note(self, name: str, loss: float) -> None:
        """Tell the log, if there is one, a loss after this step, in nats per token."""
        if self._log is not None:
            self._log.add_scalar(name, loss, self.step)

    def save(self) -> Path | None:
        """Write the checkpoint, and the losses so far as CSV and to the log.

        A checkpoint of another run that this one finds is kept under another name, which is returned; not so one
        without a step, which holds nothing that its seed would not give again.

        Raises    FloatingPointError for weights that are not finite, OSError if the checkpoint cannot be
                  written; the one before is then as it was. Of the others that is only said.
        """
        info, arrays = contents(self)
        try:
            checkpoint.check_finite({"model": arrays["model"], "optimizer": arrays["optimizer"]})
        except ValueError as error:
            raise FloatingPointError(f"{error}; it is not saved; try a smaller learning_rate") from None
        if rank():  # the first writes
            self.saved = self.step
            return None
        try:
            restore(self.config.out)
            kept = self._name_for_earlier() if self.saved is None else None
            checkpoint.save(self.checkpoint, info, arrays, kept)
        except OSError as error:
            got = f"{self.checkpoint} ({error.strerror or error})"
            raise type(error)(f"checkpoint: expected a place to write to; got {got}") from None
        self.saved = self.step
        try:
            save_losses(self.curve.with_suffix(".csv"), self.losses, self.evaluations)
            if self._log is not None:
                self._log.flush()
        except OSError as error:
            print(f"note: no table or log of the losses ({error})", file=sys.stderr)
        return kept

    def _name_for_earlier(self) -> Path | None:
        """Return the name under which to keep the checkpoint of another run, if there is one with a step made."""
        try:
            if checkpoint.load(self.checkpoint, arrays=False)[0].get("step") == 0:
                return None
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            pass  # damaged, or of another kind: whose it is we cannot know
        names = (self.checkpoint.with_name(f"checkpoint-before-{n}.npz") for n in itertools.count(1))
        return next(name for name in names if not name.exists())

    def close(self) -> None:
        """End the workers."""
        self.workers.close()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def sample(self, length: int | None = None) -> str:
        """Return a text that the model writes, at temperature 0.8, always from the same draws.

        By default it has 240 tokens; a large model's 60, and none beyond the context, where each costs a pass over
        all of it.
        """
        model = self.model
        if length is None:
            length = min(60, model.config.block_size) if model.num_parameters(False) > LARGE else 240
        tokenizer, rng = self.corpus.tokenizer, Generator(self.config.seed)
        start, n_vocab = tokenizer.prompt(""), tokenizer.n_vocab
        ids = model.generate(start, length, temperature=0.8, rng=rng, n_vocab=n_vocab)
        return tokenizer.decode(ids[0, 1:])
