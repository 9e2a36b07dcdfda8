"""A run of training: what changes from step to step, where its files are, how it begins and goes on."""

import itertools
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpt import checkpoint
from gpt.config import GPTConfig, TrainConfig
from gpt.data import Batch, Corpus, Text
from gpt.folder import claimed, restore
from gpt.language_model import LanguageModel
from gpt.model import GPT
from gpt.pretrained.anywhere import open_model
from gpt.progress import open_log, save_losses
from gpt.tokens import Tokenizer, choose
from minigrad import switches
from minigrad.errors import value_error
from minigrad.parallel import Way, Workers, cores, fastest_way, set_blas_threads, ways
from minigrad.random import Generator
from nn import lora
from nn.module import Parameter
from nn.optim import AdamW
from nn.optim.groups import decay_groups

CHECKPOINT, CURVE = "checkpoint.npz", "loss.png"
LARGE = 10_000_000  # weights: more make a model whose sample is short, or it would take half a minute


@dataclass
class Run:
    """A training run: all that changes from step to step, and all that a checkpoint holds.

    Random    one PyTorch stream for the weights and then the batches, a fast one for dropout, both
              from `config.seed`; evaluations and samples draw from streams of their own, so they do
              not change what is learnt.
    """

    config: TrainConfig
    corpus: Corpus
    model: LanguageModel
    batch_rng: Generator
    dropout_rng: Generator
    losses: list[float] = field(default_factory=list)  # of each step
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)  # step, train, val

    def __post_init__(self) -> None:
        c = self.config
        self.checkpoint, self.curve = Path(c.out) / CHECKPOINT, Path(c.out) / CURVE
        self._log = open_log(c.log, c.out)
        groups = decay_groups(self.model, c.weight_decay)
        self.optimizer = AdamW(groups, c.learning_rate, (c.beta1, c.beta2))
        self.saved: int | None = None  # the step that the checkpoint holds, once there is one of this run
        self.way = Way(1, 0)
        self.workers = Workers(self.way, self.dropout_rng, self.model.loss, self.model.parameters())

    def spread(self, way: Way, rng: Generator) -> None:
        """Use the cores in this way from now on; 0 BLAS threads leaves their number as it is."""
        self.workers.close()
        if way.blas_threads:
            set_blas_threads(way.blas_threads)
        self.way, self.workers = way, Workers(way, rng, self.model.loss, self.model.parameters())

    def choose_way(self) -> str:
        """Time the ways to use this machine's cores, take the fastest, and return a line that says which.

        A resumed run keeps the way it had, since sums in another order round differently.
        """
        c, size = self.config, self.model.config
        useful = min(cores(), c.batch_size)
        wanted = min(c.workers, useful)
        times: dict[Way, float] = {}
        if not self.way.blas_threads:
            possible = [w for w in ways(cores()) if w.workers <= useful and wanted in (0, w.workers)]
            if switches.state.monitor is not None:  # a profile or a trace sees this process only
                possible = [w for w in possible if w.kind == "thread"]
            ids = Generator(0).randint(0, size.vocab_size, (c.batch_size, size.block_size))

            def run(way: Way) -> None:
                if way != self.way:
                    self.spread(way, Generator(0, "fast"))
                self.workers.accumulate((ids, ids))

            with switches.watched_by(None):
                possible = possible or [Way(wanted, cores() // wanted)]
                best, times = fastest_way(run, possible, steps=c.max_iters - self.step)
            self.model.zero_grad()
            self.spread(best, self.dropout_rng)
        why = "; ".join(f"{1e3 * t:.1f} ms a step with {way}" for way, t in times.items())
        if c.workers > useful:
            why = f"of {c.workers} workers, more than {useful} would wait for a core or for rows of the batch"
        elif not self.way.blas_threads:
            why = "to time the ways to use them: pip install threadpoolctl"
        return f"cores: {self.way}" + (f" ({why})" if why else "")

    @classmethod
    def new(cls, config: TrainConfig, **sizes: Any) -> "Run":
        """Start on the text of `config.data`, with a model of these sizes (GPTConfig's but vocab_size).

        From another model, `config.init_from`, only block_size may be another: of 256 tokens at most by default.

        Raises    ValueError or OSError, before anything is computed, for settings, a text or a folder
                  that cannot work.
        """
        with claimed(config.out):
            text, rng = Text.load(config.data), Generator(config.seed)
            model, tokenizer = _start(config, text, sizes, rng)
            corpus = Corpus.of(text, tokenizer)
            corpus.check_length(model.config.block_size)
            return cls(config, corpus, model, rng, Generator(config.seed, stream="fast"))

    @classmethod
    def resume(cls, out: str, **changes: Any) -> "Run":
        """Continue from the checkpoint in the folder `out`; `changes` are settings of training.

        Without changes, what follows equals the uninterrupted run bit for bit.

        Raises    ValueError or OSError for a folder without a whole checkpoint, or another text.
        """
        info, arrays = checkpoint.load(Path(out) / CHECKPOINT)
        model, tokenizer = checkpoint.build_model(info, arrays)
        _check_state(info, arrays)
        before = checkpoint.settings(TrainConfig, info["training"])
        config = replace(before, **changes, out=out)
        for name in ("init_from", "lora"):
            if getattr(before, name) != (got := getattr(config, name)):
                raise value_error("resume", f"{name} as before, {getattr(before, name)!r}", repr(got))
        if config.max_iters < (made := len(arrays["losses"])) and "max_iters" in changes:
            raise value_error("resume", f"max_iters of {made} or more, the steps made", config.max_iters)
        names = [c.tokenizer or "characters" for c in (before, config)]
        if names[0] != names[1]:
            raise value_error("resume", f"the tokenizer of before, {names[0]}", names[1])
        text = Text.load(config.data)
        if text.sha256 != info["sha256"]:
            length = f"{info['length']:,} characters, " if isinstance(info.get("length"), int) else ""
            raise value_error("resume", f"the text of before, {length}sha256 {info['sha256']}", text)
        corpus = Corpus.of(text, tokenizer)
        batch_rng = Generator()
        batch_rng.set_state(arrays["batch_rng"])
        evaluations = [(int(step), train, val) for step, train, val in arrays["evaluations"].tolist()]
        rngs = batch_rng, Generator(config.seed, stream="fast")
        run = cls(config, corpus, model, *rngs, arrays["losses"].tolist(), evaluations)
        state = arrays.get("optimizer", {}).get("state", {})  # a file has no place for an empty one
        run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.param_groups})
        try:
            run.spread(Way(*info["way"]), run.dropout_rng)
            run.workers.set_states([arrays["dropout_rngs"][str(i)] for i in range(run.way.workers)])
        except BaseException:
            run.workers.close()
            raise
        run.saved = run.step
        return run

    @property
    def step(self) -> int:
        """The number of steps made."""
        return len(self.losses)

    def batch(self, split: str, rng: Generator) -> Batch:
        """Draw a batch of a split; see `Corpus.batch`."""
        return self.corpus.batch(split, self.config.batch_size, self.model.config.block_size, rng)

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
        info, arrays = self._contents()
        try:
            checkpoint.check_finite({"model": arrays["model"], "optimizer": arrays["optimizer"]})
        except ValueError as error:
            raise FloatingPointError(f"{error}; it is not saved; try a smaller learning_rate") from None
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

    def _contents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the (info, arrays) of a checkpoint."""
        optimizer = self.optimizer.state_dict()
        info = {
            "kind": type(self.model).__name__,
            "lora": self.config.lora,
            "model": asdict(self.model.config),
            "tokenizer": self.corpus.tokenizer.to_json(),
            "training": asdict(self.config),
            "sha256": self.corpus.text.sha256,
            "length": self.corpus.text.length,
            "way": list(self.way),
            "step": self.step,
        }
        arrays = {
            "model": self.model.state_dict(),
            "optimizer": {"state": optimizer["state"]},
            "batch_rng": self.batch_rng.state(),
            "dropout_rngs": {str(i): state for i, state in enumerate(self.workers.states())},
            "losses": self.losses,
            "evaluations": np.reshape(self.evaluations, (-1, 3)),
        }
        return info, arrays

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


def _start(
    config: TrainConfig, text: Text, sizes: dict[str, Any], rng: Generator
) -> tuple[LanguageModel, Tokenizer]:
    """Return the model that a run begins with, and its tokeniser."""
    if not config.init_from:
        tokenizer = choose(config.tokenizer or "characters", text)
        model: LanguageModel = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, **sizes), rng=rng)
    else:
        if others := [
            *["tokenizer"] * bool(config.tokenizer),
            *(name for name in sizes if name != "block_size"),
        ]:
            hint = "the model has its own; only --block_size may be smaller"
            raise value_error("--init_from", f"no --{others[0]}", "both", hint)
        model, tokenizer = open_model(config.init_from)
        lora.merge(model).requires_grad_()  # what an earlier run learnt beside the weights is now in them
        _crop(model, sizes.get("block_size", min(256, model.config.block_size)))
    if config.lora:
        lora.add(model, config.lora, rng=rng)
    model.train()
    return model, tokenizer


def _crop(model: LanguageModel, block_size: int) -> None:
    """Let the model read fewer tokens: what it costs to learn grows with them.

    Source    nanoGPT, model.py, `crop_block_size`
    """
    if block_size > model.config.block_size:
        raise value_error("--block_size", f"{model.config.block_size} at most, the model's", block_size)
    model.config = replace(model.config, block_size=block_size)
    if isinstance(model, GPT):  # the only one with a table of positions
        model.wpe.weight = Parameter(model.wpe.weight.array[:block_size].copy())


def _check_state(info: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Raise ValueError, naming it, for what a checkpoint says of a run and cannot be."""
    try:
        workers, blas_threads, kind = info["way"]
        losses, evaluations = arrays["losses"], arrays["evaluations"]
        state = arrays.get("optimizer", {}).get("state", {})
        rngs = arrays["dropout_rngs"].keys() == {str(i) for i in range(len(arrays["dropout_rngs"]))}
        right = {
            "way": (type(workers), type(blas_threads)) == (int, int) and 0 <= blas_threads <= 2**12,
            "dropout_rngs": kind in ("thread", "process") and rngs and len(arrays["dropout_rngs"]) == workers,
            "batch_rng": isinstance(arrays["batch_rng"], dict),
            "losses": losses.ndim == 1 and losses.dtype == np.float64,
            "evaluations": evaluations.shape[1:] == (3,) and evaluations.dtype == np.float64,
            "sha256": isinstance(info["sha256"], str),
            "training": isinstance(info["training"], dict),
            "optimizer": all(np.shape(entry.get("step", 0)) == () for entry in state.values()),
        }
    except checkpoint.archive.DAMAGE as error:
        raise value_error("resume", "the state of a run", f"a checkpoint without ({error})") from None
    if wrong := [name for name, fits in right.items() if not fits]:
        raise value_error("resume", "the state of a run", f"another {wrong[0]}")
    checkpoint.check_finite({name: arrays[name] for name in ("losses", "evaluations")})
    checkpoint.check_finite(arrays.get("optimizer", {}))
