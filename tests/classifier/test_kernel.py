"""The compiled code gives the bits of the array code, for any text, batch and thread, and never stands in the way."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import Model, Record, cleaning, load, scoring
from classifier.features import extract
from classifier.notes import of_texts
from tests.classifier.test_model import DOCUMENTS
from tests.conftest import ROOT

kernel = pytest.importorskip("classifier.kernel")

whole_texts = st.sampled_from([text for document in DOCUMENTS for text in document])
texts = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
    | st.text("aZ9 .-_\t\r\n\x1c\x7f", max_size=40)  # plain but for hyphens at line ends
    | st.text("aB1 -\n\\${}&;<>/~'\"éΣİß\u200b\u00ad–”νаЖ\u0301", max_size=40)  # markup and disguises
    | st.lists(whole_texts | st.text(max_size=5).filter(lambda text: text.isascii()), max_size=3).map(" ".join)
)
batches = st.lists(st.tuples(texts, texts), max_size=8)


@pytest.fixture(scope="session")
def fast() -> Model:
    model = load()
    assert model.prepare()
    return model


@pytest.fixture(scope="session")
def slow() -> Model:
    model = load()
    model._kernel_for = lambda documents: None  # type: ignore[method-assign]
    return model


def strings(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def columns(documents: list[tuple[str, str]]) -> tuple[pa.Array, pa.Array]:
    return strings([title for title, _ in documents]), strings([abstract for _, abstract in documents])


@given(batches)
@settings(max_examples=300, deadline=None)
def test_sums_and_notes_are_those_of_the_array_code(fast: Model, batch: list[tuple[str, str]]) -> None:
    assert fast._kernel is not None
    got = fast._kernel.score(*columns(batch))
    counts = scoring.look_up(extract(batch), fast.ngrams)
    dot, norm = scoring.sums(counts, len(batch), fast._idf, fast._tf_levels, fast._weights)
    assert got.dot.tolist() == dot.tolist()
    assert got.norm.tolist() == norm.tolist()
    known = np.bincount(counts.document, counts.count, minlength=len(batch))
    assert got.known.tolist() == known.tolist()
    assert got.notes.tolist() == of_texts(batch).tolist()


@given(batches)
@settings(max_examples=100, deadline=None)
def test_a_table_of_any_size_is_searched_rightly(batch: list[tuple[str, str]]) -> None:
    ngrams = extract(batch)
    table = np.unique(ngrams.hash)[::2]
    rng = np.random.default_rng(len(table))
    idf = rng.integers(0, 65536, len(table)).astype(np.uint16)
    weights = rng.integers(-32768, 32768, (len(table), 3)).astype(np.int16)
    levels = np.array([3, 5])  # counts beyond two weigh as two
    got = kernel.Kernel(table, idf, weights, levels).score(*columns(batch))
    if len(table):
        dot, norm = scoring.sums(scoring.look_up(ngrams, table), len(batch), idf, levels, weights)
        assert got.dot.tolist() == dot.tolist()
        assert got.norm.tolist() == norm.tolist()


def test_ngrams_that_want_the_same_slots_are_all_found() -> None:
    words = [f"w{i}" for i in range(3000)]
    hashes = np.unique(extract([("", word) for word in words]).hash)
    crowded = hashes[-40:]  # the last ones, beyond whose slots the table ends
    weights = np.arange(1, 41, dtype=np.int16)[:, None]
    small = kernel.Kernel(crowded, np.ones(40, np.uint16), weights, np.array([1]))
    got = small.score(strings([""] * len(words)), strings(words))
    assert sorted(got.dot[:, 0].tolist())[-41:] == [0, *range(1, 41)]


@given(texts)
@settings(max_examples=500)
def test_what_the_scan_calls_plain_no_cleaning_step_changes(fast: Model, text: str) -> None:
    assert fast._kernel is not None
    title, abstract = kernel._Strings(strings([text])), kernel._Strings(strings([""]))
    dirty = fast._kernel._add_up(title, abstract, kernel._RAW, with_names=True)[3][0] & kernel.DIRTY
    if not dirty:
        assert cleaning.clean(text) == text
        assert cleaning.clean_with_map(text).text == text
        assert cleaning._run(text, []) == (text, [], ())
        assert cleaning.notes(text) == ()
    elif "\n" not in text:
        assert not text.isascii() or set(text) & set(cleaning.TRIGGERS)


@given(batches, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_arrow_columns_are_equal_on_both_paths_in_any_batches(
    fast: Model, slow: Model, batch: list[tuple[str, str]], size: int
) -> None:
    documents = [*batch, *DOCUMENTS[:3]]
    titles, abstracts = columns(documents)
    want = slow.judge_arrow(titles, abstracts)
    assert fast.judge_arrow(titles, abstracts).equals(want)
    edges = [*range(0, len(documents), size), len(documents)]
    parts = [fast.judge_arrow(titles[a:b], abstracts[a:b]) for a, b in pairwise(edges)]
    assert pa.Table.from_batches(parts).combine_chunks().to_batches()[0].equals(want)
    rows = [result.as_row() for result in fast.judge([Record("", t, a, 1, {}) for t, a in documents])]
    assert [{"id": "", **row} for row in want.to_pylist()] == rows


def test_slices_nulls_and_other_string_types_are_read_as_they_are(fast: Model, slow: Model) -> None:
    title, abstract = DOCUMENTS[0]
    titles = strings(["x", None, title, "Schrödinger", "", title])[1:]
    abstracts = strings(["$y$", abstract, None, abstract, " \n", "no plain $x$ text"])[1:]
    want = slow.judge_arrow(titles, abstracts)
    assert fast.judge_arrow(titles, abstracts).equals(want)
    for other in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        assert fast.judge_arrow(titles.cast(other), abstracts).equals(want)
    nothing = pa.nulls(5)
    assert fast.judge_arrow(titles, nothing).equals(slow.judge_arrow(titles, nothing))
    empty = fast.judge_arrow(titles[:0], abstracts[:0])
    assert (empty.num_rows, empty.schema) == (0, want.schema)
    for model in (fast, slow):
        with pytest.raises(ValueError, match=r"as many|shorter"):
            model.judge_arrow(titles, abstracts[1:])


def test_a_null_over_bytes_is_no_text(fast: Model) -> None:
    title, abstract = DOCUMENTS[0]
    _, offsets, data = strings([title]).buffers()
    hidden = pa.StringArray.from_buffers(1, offsets, data, pa.py_buffer(b"\0"), 1)
    assert fast.judge_arrow(hidden, strings([abstract])).equals(fast.judge_arrow(strings([None]), strings([abstract])))


def test_a_lone_surrogate_is_judged_like_before(fast: Model, slow: Model) -> None:
    documents = [("drone \ud800 swarm", "a\udfffb")]
    assert fast.probabilities(documents).tobytes() == slow.probabilities(documents).tobytes()


def test_threads_get_the_same_columns(fast: Model) -> None:
    batch = columns([*DOCUMENTS, ("Größe", "a $x$ drone")] * 20)
    want = fast.judge_arrow(*batch)
    with ThreadPoolExecutor(4) as pool:
        assert all(got.equals(want) for got in pool.map(lambda _: fast.judge_arrow(*batch), range(12)))


def test_a_model_that_has_judged_enough_turns_to_the_compiled_code_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.model.KERNEL_FROM", 5)
    model = load()
    model.probabilities(DOCUMENTS[:4])
    assert model._kernel is None
    model.probabilities(DOCUMENTS[:1])
    assert model._kernel is not None


def program(before: str = "", prepared: bool = True) -> str:
    """Return a program that prints the digest of the probabilities of the example records."""
    return f"""
import hashlib, json, sys
{before}
from pathlib import Path
from classifier import load
model = load()
assert model.prepare() is {prepared}
rows = [json.loads(line) for line in Path("data/examples/papers.jsonl").read_text(encoding="utf-8").splitlines()]
got = model.probabilities([(row["title"] or "", row.get("abstract") or "") for row in rows])
print(hashlib.sha256(got.tobytes()).hexdigest())
"""


def run(text: str, **environment: str) -> "subprocess.Popen[str]":
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | environment
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", text], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    )


def answer(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.strip()


@pytest.fixture(scope="module")
def wanted(slow: Model) -> str:
    rows = [json.loads(line) for line in (ROOT / "data/examples/papers.jsonl").read_text("utf-8").splitlines()]
    got = slow.probabilities([(row["title"] or "", row.get("abstract") or "") for row in rows])
    return hashlib.sha256(got.tobytes()).hexdigest()


def test_processes_may_share_an_empty_cache_and_a_damaged_one_ends_no_run(tmp_path: Path, wanted: str) -> None:
    together = [run(program(), XDG_CACHE_HOME=str(tmp_path)) for _ in range(4)]
    assert [answer(process) for process in together] == [wanted] * 4
    kept = [path for path in tmp_path.rglob("*.nb[ci]") if path.is_file()]
    assert len(kept) == 2  # an index and the code, in the user's cache and whole
    for path in kept:
        path.write_bytes(b"not what was written")
    assert answer(run(program(), XDG_CACHE_HOME=str(tmp_path))) == wanted


def test_no_cache_folder_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    monkeypatch.setenv("LOCALAPPDATA", str(file))
    monkeypatch.setenv("HOME", str(file))
    assert kernel.cache_folder() is None
    assert answer(run(program())) == wanted


def test_the_users_choice_of_a_cache_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    folder = kernel.cache_folder()
    assert folder is not None
    assert folder.parent == tmp_path / "chosen"


@pytest.mark.parametrize("before", ["sys.modules['numba'] = None", "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'"])
def test_without_numba_the_array_code_gives_the_same_bits(before: str, wanted: str) -> None:
    assert answer(run(program(before, prepared=False))) == wanted


def test_judging_one_text_never_imports_numba() -> None:
    text = """
import sys
from classifier.cli import main
main(["classify", "--text", "Swarms of drones plan paths."], standalone_mode=False)
assert not {"numba", "llvmlite"} & set(sys.modules)
"""
    assert '"id":"row-1"' in answer(run(text)).replace(" ", "")
