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
from minigrad import parallel
from minigrad.errors import value_error
from minigrad.gpu.device import array_library, described
from minigrad.parallel import Way, busy_cores, choose_way, cores, rank, set_blas_threads, world_size
from minigrad.random import Generator
from nn import lora
from nn.module import Parameter
from nn.optim import AdamW
from nn.optim.groups import decay_groups

CHECKPOINT, CURVE = "checkpoint.npz", "loss.png"
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

    def __post_init__(self) -> None:
        c = self.config
        self.block_size = self.block_size or self.model.config.block_size
        self.eval_iters = c.eval_iters or (20 if self.model.num_parameters(False) < 10 * LARGE else 4)
        self.checkpoint, self.curve = Path(c.out) / CHECKPOINT, Path(c.out) / CURVE
        self._log = None if rank() else open_log(c.log, c.out)
        if c.device != "cpu" and world_size() > 1:
            expected = f"cpu for {world_size()} ranks, which add up in its memory"
            raise value_error("--device", expected, c.device)
        parallel.begin_alike(self.model.parameters(), (self.corpus.text.sha256, self.losses))
        self.model.to(c.device)
        groups = decay_groups(self.model, c.weight_decay)
        self.optimizer = AdamW(groups, c.learning_rate, (c.beta1, c.beta2))
        self.saved: int | None = None  # the step that the checkpoint holds, once there is one of this run
        self.way = Way(1, 0)
        self.workers = parallel.workers(self.way, c.seed, self.model.loss, self.model.parameters())

    def spread(self, way: Way) -> None:
        """Use the cores in this way from now on; 0 BLAS threads leaves their number as it is."""
        if way.blas_threads:
            set_blas_threads(way.blas_threads)
        self.close()
        self.way = way
        self.workers = parallel.workers(way, self.config.seed, self.model.loss, self.model.parameters())

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
            why = f"{way.workers} of {c.workers} workers, for so many cores or rows there are" * fewer
        self.spread(way)
        return f"cores: {each}{way}" + (f" ({why})" if why else "")

    @classmethod
    def new(cls, config: TrainConfig, **sizes: Any) -> "Run":
        """Start on the text of `config.data`, with a model of these sizes (GPTConfig's but vocab_size).

        From another model, `config.init_from`, only block_size may be another: of 256 tokens at most by default.

        Raises    ValueError or OSError, before anything is computed, for settings, a text or a folder
                  that cannot work.
        """
        array_library(config.device)  # which says what is missing
        with claimed(config.out):
            if not config.init_from:  # what cannot work is refused before a long text is read
                if config.lora:
                    raise value_error("--lora", "--init_from, a model that it freezes", "random weights")
                GPTConfig(**sizes)
                choose(config.tokenizer or "characters", "a")
            text, rng = Text.load(config.data), Generator(config.seed)
            model, tokenizer, block_size = _start(config, text, sizes, rng)
            corpus = Corpus.of(text, tokenizer)
            corpus.check_length(block_size)
            return cls(config, corpus, model, rng, block_size=block_size)

    @classmethod
    def resume(cls, out: str, **changes: Any) -> "Run":
        """Continue from the checkpoint in the folder `out`; `changes` are settings of training.

        Without changes, what follows equals the uninterrupted run bit for bit. (Files from before masks were
        keyed hold the states of their generators, and what kind of workers there was: both are passed over.)

        Raises    ValueError or OSError for a folder without a whole checkpoint, or another text.
        """
        info, arrays = checkpoint.load(Path(out) / CHECKPOINT)
        model, tokenizer = checkpoint.build_model(info, arrays)
        _check_state(info, arrays, sum(p.requires_grad for p in model.parameters()))
        before = checkpoint.settings(TrainConfig, info["training"])
        config = replace(before, **changes, out=out)
        array_library(config.device)
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
        corpus, batch_rng = Corpus.of(text, tokenizer), Generator()
        batch_rng.set_state(arrays["batch_rng"])
        evaluations = [(int(step), train, val) for step, train, val in arrays["evaluations"].tolist()]
        losses, block_size = arrays["losses"].tolist(), info.get("block_size", 0)
        new = [f"{n} {old!r} -> {x!r}" for n, x in changes.items() if (old := getattr(before, n)) != x]
        run = cls(config, corpus, model, batch_rng, losses, evaluations, block_size, ", ".join(new))
        state = arrays.get("optimizer", {}).get("state", {})  # a file has no place for an empty one
        run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.param_groups})
        alike = "workers" not in changes and info.get("ranks", 1) == world_size()
        if alike and config.device == "cpu":
            run.spread(Way(*info["way"][:2]))
        run.saved = run.step
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
        info, arrays = self._contents()
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
            "ranks": world_size(),
            "step": self.step,
            "block_size": self.block_size,
        }
        arrays = {
            "model": self.model.state_dict(),
            "optimizer": {"state": optimizer["state"]},
            "batch_rng": self.batch_rng.state(),
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


def _start(config: TrainConfig, text: Text, sizes: dict, rng: Generator) -> tuple[Any, Tokenizer, int]:
    """Return the model that a run begins with, its tokeniser, and how many tokens of a text it reads at once."""
    if not config.init_from:
        tokenizer = choose(config.tokenizer or "characters", text)
        model: Any = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, **sizes), rng=rng)
        block_size = model.config.block_size
    else:
        if others := ["tokenizer"] * bool(config.tokenizer) + sorted({*sizes} - {"block_size"}):
            hint = "the model has its own; only --block_size may be smaller"
            raise value_error("--init_from", f"no --{others[0]}", "both", hint)
        model, tokenizer = open_model(config.init_from)
        lora.merge(model).requires_grad_()  # what an earlier run learnt beside the weights is now in them
        _crop(model, block_size := sizes.get("block_size", min(256, model.config.block_size)))
    if config.lora:
        lora.add(model, config.lora, rng=rng)
    model.train()
    return model, tokenizer, block_size


def _crop(model: LanguageModel, block_size: int) -> None:
    """Cut off the positions that a GPT would not learn; a Llama has no table of them, and keeps its context.

    Source    nanoGPT, model.py, `crop_block_size`
    """
    if not 0 < block_size <= model.config.block_size:
        raise value_error("--block_size", f"1 to {model.config.block_size}, the model's", block_size)
    if isinstance(model, GPT):
        model.config = replace(model.config, block_size=block_size)
        model.wpe.weight = Parameter(model.wpe.weight.array[:block_size].copy())


def _check_state(info: dict[str, Any], arrays: dict[str, Any], learning: int) -> None:
    """Raise ValueError, naming it, for what a checkpoint says of a run, of so many parameters that learn, and cannot be."""
    try:
        workers, blas_threads = info["way"][:2]
        losses, evaluations = arrays["losses"], arrays["evaluations"]
        state = arrays.get("optimizer", {}).get("state", {})
        made, evaluated = len(losses), evaluations[:, 0].tolist()
        right = {
            "way": all(type(n) is int and 0 <= n <= 2**12 for n in (workers - 1, blas_threads)),
            "batch_rng": isinstance(arrays["batch_rng"], dict),
            "losses": losses.ndim == 1 and losses.dtype == np.float64,
            "step": info.get("step", made) == made,
            "evaluations": (evaluations.shape[1:], evaluations.dtype) == ((3,), np.float64)
            and sorted({*evaluated} & {*range(made + 1)}) == evaluated,
            "sha256": isinstance(info["sha256"], str),
            "training": isinstance(info["training"], dict),
            "lora": info.get("lora", 0) == info["training"].get("lora", 0),
            "optimizer": {*state} == {str(i) for i in range(learning if made else 0)}
            and all(np.shape(entry["step"]) == () and entry["step"] == made for entry in state.values()),
        }
    except checkpoint.archive.DAMAGE as error:
        raise value_error("resume", "the state of a run", f"a checkpoint without ({error})") from None
    if wrong := [name for name, fits in right.items() if not fits]:
        raise value_error("resume", "the state of a run", f"another {wrong[0]}")
    checkpoint.check_finite({name: arrays[name] for name in ("losses", "evaluations")})
    checkpoint.check_finite(arrays.get("optimizer", {}))
