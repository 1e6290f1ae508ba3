"""The measured cost of training must reach the card, and leave a model folder that still loads."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from classifier import Model
from training import cost
from training.sections import card


def test_the_command_measures_training_and_the_card_tells_it(
    fast: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / fast.id
    shutil.copytree(fast.folder, folder)
    trained: list[Path] = []
    monkeypatch.setattr(cost, "load", lambda kind: Model(folder))
    monkeypatch.setattr(cost, "train", lambda labels, features, out: trained.append(out))
    monkeypatch.setattr(cost, "train_careful", lambda encoder, labels, features, out: trained.append(out))
    done = CliRunner().invoke(cost.main)
    assert done.exit_code == 0, done.output
    assert len(trained) == 2
    assert not any(out.parent.exists() for out in trained)
    told = str(card(Model(folder)))
    assert "Training from labels and stored features took 0 s" in told
    assert "python -m training.cost" not in told
