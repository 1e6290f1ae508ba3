"""The second reading: a small language model's encoder that reads whole sentences, where the n-grams leave doubt.

It runs on the processor from one ONNX file with 8-bit weights. Each text is read by itself and unpadded, since 8-bit
results depend on what else is in a batch: the same text gets the same numbers on the same kind of processor.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from classifier.cleaning import clean
from classifier.errors import ModelError
from classifier.modelfolder import ENCODER, TOKENIZER
from classifier.redaction import redact
from classifier.results import ROLES, TAGS
from classifier.scoring import BoolArray, FloatArray, probabilities

READERS = 2
"""Texts read at a time, each on one thread: two finish sooner than one text on two threads."""


@dataclass(frozen=True, slots=True)
class Revised:
    """Probabilities (documents, tags) after a second reading, and what that reading said of the rows that had one.

    `logits`: row -> what it adds to the logit of each tag; `roles`: row -> logits (tags, roles).
    """

    probability: FloatArray
    logits: Mapping[int, FloatArray]
    roles: Mapping[int, FloatArray]


class Tokens:
    """How a text becomes the encoder's input: title, then abstract, as two segments of word pieces.

    Of a long abstract the encoder sees the first three quarters of the room and the end, where results stand.
    """

    def __init__(self, folder: Path, max_tokens: int, title_tokens: int) -> None:
        """Load the tokenizer of a folder that was checked before.

        Raises ModelError where the tokenizers package is not installed.
        """
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            raise _missing(folder, error) from error
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        first, separator = (self._tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        assert first is not None, "the folder was checked"
        assert separator is not None, "the folder was checked"
        self._first, self._separator = first, separator
        self._max_tokens, self._title_tokens = max_tokens, title_tokens

    def encode(self, document: tuple[str, str]) -> tuple[list[int], list[int]]:
        """Return the token ids of a (title, abstract) pair and the segment, 0 or 1, of each."""
        return self.cut(*self.pieces(document), self._max_tokens)

    def pieces(self, document: tuple[str, str]) -> tuple[list[int], list[int]]:
        """Return the ids of all word pieces of a (title, abstract) pair, names taken out."""
        title, abstract = document
        return self._ids(title), self._ids(abstract)

    def cut(self, title: list[int], abstract: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
        """Return token ids and segments of no more than `max_tokens` of a text's word pieces."""
        title = title[: self._title_tokens]
        room = max_tokens - 3 - len(title)
        if len(abstract) > room:
            tail = room // 4
            abstract = abstract[: room - tail] + abstract[-tail:]
        ids = [self._first, *title, self._separator, *abstract, self._separator]
        return ids, [0] * (len(title) + 2) + [1] * (len(abstract) + 1)

    def _ids(self, text: str) -> list[int]:
        # Half a surrogate pair is no text for a tokenizer.
        whole = redact(clean(text)).encode("utf-8", "replace").decode()
        ids: list[int] = self._tokenizer.encode(whole, add_special_tokens=False).ids
        return ids


class Encoder:
    """An encoder fine-tuned on the labels; safe to share between threads."""

    def __init__(self, folder: Path, max_tokens: int, title_tokens: int) -> None:
        """Load encoder and tokenizer from a folder that was checked before.

        Raises ModelError where onnxruntime or tokenizers is not installed.
        """
        self._tokens = Tokens(folder, max_tokens, title_tokens)
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise _missing(folder, error) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(folder / ENCODER), options, providers=["CPUExecutionProvider"])

    def read(self, documents: Sequence[tuple[str, str]]) -> tuple[FloatArray, FloatArray]:
        """Return tag logits (documents, tags) and role logits (documents, tags, roles) of (title, abstract) pairs."""
        with ThreadPoolExecutor(READERS) as pool:
            answers = list(pool.map(self._read_one, documents))
        tags, roles = (np.stack(part).astype(np.float64) for part in zip(*answers, strict=True))
        return tags, roles

    def _read_one(self, document: tuple[str, str]) -> tuple[Any, Any]:
        ids, segments = self._tokens.encode(document)
        feeds = {"input_ids": np.array([ids], dtype=np.int64), "token_type_ids": np.array([segments], dtype=np.int64)}
        tags, roles = self._session.run(["tags", "roles"], feeds)
        return tags[0], roles[0]


class Second:
    """When to read a second time, and what both readings together say."""

    def __init__(self, folder: Path, parameters: Mapping[str, Any]) -> None:
        """Take the `second` section of a model's parameters; the encoder is loaded when first needed."""
        self._folder, self._lock = folder, Lock()
        self._encoder: Encoder | None = None
        self._max_tokens, self._title_tokens = int(parameters["max_tokens"]), int(parameters["title_tokens"])
        self.read_from = float(parameters["read_from"])
        self._first, self._second, self._constant = (
            np.array([parameters["combination"][tag][part] for tag in TAGS], dtype=np.float64)
            for part in ("first", "second", "constant")
        )
        roles = parameters["roles"]
        self._roles_first, self._roles_second = (
            np.array([[roles[tag][part]] for tag in TAGS]) for part in ("first", "second")
        )
        self._roles_constant = np.array([[roles[tag]["constant"][role] for role in ROLES] for tag in TAGS])

    def revise(
        self, probability: FloatArray, margins: FloatArray, texts: Callable[[list[int]], list[tuple[str, str]]]
    ) -> Revised:
        """Replace the probabilities of doubtful texts by what both readings say.

        A text is read again where any tag's first probability reaches `read_from`; `texts` gives those in some rows.
        """
        rows = np.flatnonzero(self.doubtful(probability)).tolist()
        if not rows:
            return Revised(probability, {}, {})
        logits, roles = self._loaded().read(texts(rows))
        weighed = dict(zip(rows, logits * self._second, strict=True))
        return Revised(self.join(probability, margins, rows, logits), weighed, dict(zip(rows, roles, strict=True)))

    def join_roles(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Add up what both readings say of a text's roles, arrays (tags, roles) of logits."""
        both: FloatArray = first * self._roles_first + second * self._roles_second + self._roles_constant
        return both

    def logits(self, documents: Sequence[tuple[str, str]]) -> FloatArray:
        """Read (title, abstract) pairs, doubtful or not: logits as they weigh in `join`, array (documents, tags)."""
        logits, _ = self._loaded().read(documents)
        weighed: FloatArray = logits * self._second
        return weighed

    def doubtful(self, probability: FloatArray) -> BoolArray:
        """Tell which documents are read again: array (documents,)."""
        result: BoolArray = np.any(probability >= self.read_from, axis=1)
        return result

    def join(self, probability: FloatArray, margins: FloatArray, rows: Sequence[int], logits: FloatArray) -> FloatArray:
        """Put what both readings say into some rows; `logits`: array (rows, tags)."""
        both = margins[rows] * self._first + logits * self._second + self._constant
        revised = probability.copy()
        revised[rows] = probabilities(both, np.ones(len(TAGS)), np.zeros(len(TAGS)))
        return revised

    def _loaded(self) -> Encoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = Encoder(self._folder, self._max_tokens, self._title_tokens)
            return self._encoder


def _missing(folder: Path, error: ModuleNotFoundError) -> ModelError:
    return ModelError(f"{folder.name} needs {error.name}: pip install {error.name}, or use --model fast.")
