"""Labels must survive their file, name what is wrong in it, and leave out what may not be shipped."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from classifier import InputError
from classifier.identifiers import canonical_id
from tests.conftest import ROOT
from training.labels import Label, label_of, open_license, read_labels, write_labels

LABEL = Label(
    id="a:1",
    split="train",
    roles={"drones": "counters", "surveillance": "enables"},
    hard=True,
    readings=2,
    chosen="stratum",
    stratum="paper/drones",
    weight=17.25,
    source="arxiv",
    license="CC0-1.0",
    year=2019,
)


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    labels = [LABEL, replace(LABEL, id="b", split="dev", roles={}, weight=None, year=None, hard=False)]
    write_labels(labels, tmp_path)
    assert sorted(read_labels(tmp_path), key=lambda label: label.id) == labels


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("drones:counters", "dronez:counters", "'dronez' is not one of drones"),
        ("drones:counters", "drones:likes", "'likes' is not one of enables"),
        (",train,", ",tset,", "'tset' is not one of train"),
        (",17.25,", ",heavy,", "heavy"),
        ("id,split", "id,part", "columns are"),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    write_labels([LABEL], tmp_path)
    path = tmp_path / "train.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"train\.csv") as caught:
        read_labels(tmp_path)
    assert message in str(caught.value)


def test_an_identifier_given_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a:1' is labelled twice"):
        write_labels([LABEL, replace(LABEL, split="dev")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_paper_written_in_two_ways_is_found_twice(tmp_path: Path) -> None:
    write_labels([replace(LABEL, id="arxiv:1803.01034"), replace(LABEL, id="b", split="dev")], tmp_path)
    dev = tmp_path / "dev.csv"
    dev.write_text(dev.read_text().replace("\nb,", "\narxiv:1803.0103399999998,"))
    with pytest.raises(InputError, match=r"'arxiv:1803\.01034' occurs twice"):
        read_labels(tmp_path)


def test_only_open_licences_count_as_open() -> None:
    acl = "ACL Anthology: CC BY 4.0 (2016 on), CC BY-NC-SA 3.0 (before 2016)"
    assert open_license({"license": acl, "year": 2018}) == "CC-BY-4.0"
    assert open_license({"license": acl, "year": 2015}) is None
    assert open_license({"license": acl, "year": None}) is None
    assert open_license({"license": "none stated; measuring only"}) is None
    assert open_license({"license": "arXiv metadata CC0 1.0"}) == "CC0-1.0"


def test_a_label_without_a_role_enables() -> None:
    assert label_of({"id": "x", "tags": ["guidance"], "roles": None}).roles == {"guidance": "enables"}


def test_shipped_labels_are_openly_licensed_and_each_split_is_in_its_own_file() -> None:
    labels = read_labels(ROOT / "data/labels")
    assert len(labels) > 10_000
    assert all(label.license for label in labels)
    assert {label.split for label in labels} == {"train", "dev"}


def test_shipped_lists_write_every_identifier_as_its_source_does_and_in_order() -> None:
    data = ROOT / "data"
    lists = {}
    for name in ("labels/train.csv", "labels/dev.csv", "readings.csv"):
        with (data / name).open(encoding="utf-8", newline="") as file:
            lists[name] = [row["id"] for row in csv.DictReader(file)]
    lists["features"] = pq.read_table(data / "features/records.parquet", columns=["id"])["id"].to_pylist()
    for name, ids in lists.items():
        assert [one for one in ids if canonical_id(one) != one] == [], name
        assert ids == sorted(set(ids)), name
    assert set(lists["readings.csv"]) == set(lists["labels/dev.csv"])
    assert set(lists["features"]) <= set(lists["labels/train.csv"])
    new = [one for one in lists["labels/train.csv"] if re.match(r"arxiv:[0-9]", one)]
    assert len(new) > 10_000
    assert all(re.fullmatch(r"arxiv:(0[7-9]|1[0-4])[0-9]{2}\.[0-9]{4}|arxiv:[0-9]{4}\.[0-9]{5}", one) for one in new)
