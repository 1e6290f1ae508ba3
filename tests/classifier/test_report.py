"""The page must tell the truth about the run, in a form that no text of a dump can break out of."""

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from classifier import NOTICE, TAGS, Model, load, modelfolder
from classifier.report import BINS, Report
from tests.conftest import ROOT

ROWS = [json.loads(line) for line in (ROOT / "data/cases/negative.jsonl").read_text(encoding="utf-8").splitlines()]
RECORDS = [(row["id"], row["title"], row["abstract"]) for row in ROWS]
HOSTILE = (
    'https://example.org/"><script>alert(1)</script>',
    "<script>alert('UAV')</script> quadrotor swarm & \u202eexe.\x00 {style}",
    "A quadrotor swarm of UAVs. <img src=x onerror=alert(1)>",
)

Record = tuple[str, str, str]


def report_of(model: Model, records: list[Record], batch: int = 50, top: int = 20) -> Report:
    report = Report(model, top=top)
    for start in range(0, len(records), batch):
        ids, titles, abstracts = zip(*records[start : start + batch], strict=True)
        report.add(ids, titles, abstracts, model.judge_arrow(pa.array(titles), pa.array(abstracts)))
    return report


def parse(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page)


def text_in(element: ElementTree.Element | None) -> str:
    assert element is not None
    return "".join(element.itertext())


def queue(page: str, tag: str) -> list[list[str]]:
    (table,) = parse(page).findall(f".//section/h3[@id='{tag}']/..//table")
    return [[text_in(cell) for cell in row] for row in table.findall("./tbody/tr")]


def flags(page: str) -> dict[str, dict[str, str]]:
    (table,) = parse(page).findall(".//table[@class='numbers flags']")
    return {
        text_in(row[0]): {cell.attrib["data-name"]: text_in(cell) for cell in row[1:]}
        for row in table.findall("./tbody/tr")
    }


def test_no_text_breaks_out_of_the_page(shipped: Model) -> None:
    page = report_of(shipped, [*RECORDS, HOSTILE]).render(source="<script>x</script>&amp;.jsonl", refused=1)
    root = parse(page)
    assert not [e for e in root.iter() if e.tag in ("script", "img", "link", "iframe", "object", "base")]
    assert not [name for e in root.iter() for name in e.attrib if name.startswith("on")]
    shown = text_in(root)
    assert "<script>alert('UAV')</script> quadrotor swarm & \ufffdexe.\ufffd {style}" in shown
    assert "<script>x</script>&amp;.jsonl" in shown
    assert "\u202e" not in page


def test_nothing_is_loaded_from_anywhere(shipped: Model) -> None:
    page = report_of(shipped, RECORDS).render(source="dump.jsonl")
    assert not re.search(r"https?://|url\(|@import|src=", page)
    assert {e.attrib["href"][0] for e in parse(page).iter() if "href" in e.attrib} == {"#"}


def test_the_notice_and_the_confidentiality_stand_on_it(shipped: Model) -> None:
    shown = text_in(parse(report_of(shipped, RECORDS).render(source="dump.jsonl")))
    assert NOTICE in shown
    assert "keep it as confidential as the source" in shown


def test_rows_in_are_tagged_and_refused_and_the_model_is_named(shipped: Model) -> None:
    root = parse(report_of(shipped, RECORDS).render(source="dump.jsonl", refused=3))
    names, values = ([text_in(e) for e in root.findall(f".//dl/{tag}")] for tag in ("dt", "dd"))
    facts = dict(zip(names, values, strict=True))
    assert facts["Rows in"] == f"{len(RECORDS) + 3:,}"
    assert (facts["Tagged"], facts["Refused"]) == (f"{len(RECORDS):,}", "3")
    assert (facts["Source"], facts["Model"], facts["Digest"]) == ("dump.jsonl", shipped.id, shipped.digest)


def test_flags_are_counted_and_every_histogram_holds_every_record(shipped: Model) -> None:
    report = report_of(shipped, RECORDS, batch=7)
    results = shipped.classify([record[1:] for record in RECORDS])
    told = flags(report.render(source="dump.jsonl"))
    for tag in TAGS:
        want = [0] * BINS
        for result in results:
            want[min(int(round(result.judgements[tag].probability * 1e6) * BINS // 1_000_000), BINS - 1)] += 1
        assert report.histograms[tag] == want
        assert sum(report.histograms[tag]) == len(RECORDS)
        assert told[tag]["Flagged"] == str(sum(tag in result.tags for result in results))
        assert told[tag]["Threshold"] == f"{shipped.thresholds['balanced'][tag]:.3f}"


def test_the_queue_has_what_enables_first_then_the_most_probable_and_equals_go_by_id(shipped: Model) -> None:
    same = [(f"twin-{letter}", *RECORDS[0][1:]) for letter in "dacb"]
    defence = "We detect hostile drones by radar and jam their radio link, to protect airports from attack."
    records = [*RECORDS, ("defence", "Detecting and jamming drones", defence), *same]
    rows = queue(report_of(shipped, records, batch=9, top=1000).render(source="dump.jsonl"), "drones")
    results = shipped.classify([record[1:] for record in records])
    want = sorted(
        (judged.role != "enables", -judged.probability, record[0])
        for result, record in zip(results, records, strict=True)
        if (judged := result.judgements["drones"]).decision == "flag"
    )
    assert {lower for lower, _, _ in want} == {False, True}
    shown = [row[3] for row in rows]
    assert len(shown) == len(want)
    for cell, (_, _, record_id) in zip(shown, want, strict=True):
        assert cell.endswith(record_id)


def test_the_page_does_not_depend_on_batches_and_is_the_same_every_time(shipped: Model) -> None:
    pages = {report_of(shipped, RECORDS, batch, top=3).render(source="dump.jsonl") for batch in (1, 4, 1000)}
    assert len(pages) == 1


def test_reviews_and_abstentions_are_counted(shipped: Model) -> None:
    records = [*RECORDS, ("short", "On soils", "")]
    report = report_of(shipped, records, batch=9)
    found = [{j.decision for j in result.judgements.values()} for result in shipped.classify(r[1:] for r in records)]
    assert report.abstained == sum("abstain" in decisions for decisions in found) > 0
    assert report.reviewed == sum("review" in decisions and "flag" not in decisions for decisions in found) > 0


def test_only_the_top_of_a_queue_is_kept(shipped: Model) -> None:
    page = report_of(shipped, RECORDS, batch=5, top=3).render(source="dump.jsonl")
    everything = report_of(shipped, RECORDS, top=1000).render(source="dump.jsonl")
    assert queue(page, "drones") == queue(everything, "drones")[:3]


def test_no_record_is_called_certain(shipped: Model) -> None:
    sure = [("one", "UAV quadrotor drone swarm", "UAV quadrotor drone swarm.")]
    assert queue(report_of(shipped, sure).render(source="dump.jsonl"), "drones")[0][1] == "> 0.999"


def test_false_alarms_are_what_the_measured_precision_makes_of_the_flags(shipped: Model) -> None:
    metrics = json.loads((shipped.folder / "metrics.json").read_text())
    precision = metrics["systems"][shipped.id]["natural prevalence"]["drones"]["precision"]
    report = Report(shipped)
    report.tagged, report.flagged["drones"] = 100_000, 1000
    cell = flags(report.render(source="dump.jsonl"))["drones"]["Likely false"]
    told = [float(number) for number in re.findall(r"[\d.]+", cell)]
    assert told == pytest.approx([1000 * (1 - precision[name]) for name in ("value", "high", "low")], abs=0.6)


def test_no_missed_records_are_never_promised(shipped: Model) -> None:
    told = flags(report_of(shipped, RECORDS[:3]).render(source="dump.jsonl"))
    assert {told[tag]["Likely missed"].split(" (")[0] for tag in TAGS} == {"< 0.1"}


@pytest.mark.parametrize("change", ["missing", "another model", "damaged"])
def test_without_figures_for_this_very_model_no_false_alarms_are_told(
    tmp_path: Path, shipped: Model, change: str
) -> None:
    folder = Path(shutil.copytree(shipped.folder, tmp_path / "model"))
    path = folder / "metrics.json"
    if change == "missing":
        path.unlink()
    elif change == "damaged":
        path.write_text("{}")
    else:
        metrics = json.loads(path.read_text())
        metrics["model"]["digest"] = "0" * 64
        path.write_text(json.dumps(metrics))
    modelfolder.write_manifest(folder)
    page = report_of(load(folder), RECORDS).render(source="dump.jsonl")
    assert "Likely false" not in flags(page)["drones"]
    assert "cannot be told" in page


def test_an_empty_run_has_a_page_too(shipped: Model) -> None:
    page = Report(shipped).render(source="dump.jsonl", refused=2)
    assert flags(page)["drones"]["Share"] == "-"
    assert page.count("No record was flagged.") == len(TAGS)


def test_every_figure_has_a_caption_and_a_text_and_every_table_has_headers(shipped: Model) -> None:
    root = parse(report_of(shipped, RECORDS).render(source="dump.jsonl"))
    figures = root.findall(".//figure")
    assert len(figures) == len(TAGS)
    for figure in figures:
        svg = figure.find("svg")
        assert svg is not None
        assert text_in(svg.find(f"title[@id='{svg.attrib['aria-labelledby']}']"))
        assert text_in(figure.find("figcaption"))
    for table in root.findall(".//table"):
        assert all(cell.attrib["scope"] == "col" for cell in table.findall("./thead/tr/th"))
        for row in table.findall("./tbody/tr"):
            assert len(row) == len(table.findall("./thead/tr/th"))
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))


def test_arrow_arrays_with_nulls_do_as_well_as_lists(shipped: Model) -> None:
    records = [*RECORDS, ("untitled", "", "A quadrotor swarm of UAVs lands.")]
    ids, titles, abstracts = (pa.array([value or None for value in column]) for column in zip(*records, strict=True))
    report = Report(shipped)
    report.add(ids, titles, abstracts, shipped.judge_arrow(titles, abstracts))
    page = report.render(source="dump.jsonl")
    assert page == report_of(shipped, records).render(source="dump.jsonl")
    assert "no title" in page


def test_an_interrupted_report_goes_on_from_its_state(shipped: Model) -> None:
    state = report_of(shipped, RECORDS[:30]).dump()
    resumed = Report(shipped)
    resumed.restore(state)
    ids, titles, abstracts = zip(*RECORDS[30:], strict=True)
    resumed.add(ids, titles, abstracts, shipped.judge_arrow(pa.array(titles), pa.array(abstracts)))
    assert resumed.render(source="dump.jsonl") == report_of(shipped, RECORDS).render(source="dump.jsonl")
    other = state.replace(shipped.digest.encode(), b"0" * 64)
    with pytest.raises(ValueError, match="belongs to model 000"):
        Report(shipped).restore(other)


def test_parts_of_a_batch_that_differ_in_length_are_refused(shipped: Model) -> None:
    results = shipped.judge_arrow(pa.array(["A title"]), pa.array(["An abstract."]))
    with pytest.raises(ValueError, match="differ in length"):
        Report(shipped).add(["a", "b"], ["A title"], ["An abstract."], results)
