"""Each format in its documented shape, with the quirks its makers are known for; all texts are our own."""

import contextlib
import gzip
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.errors import InputError
from classifier.readers import read
from classifier.records import Columns, Record, Refusal


def outcomes(text, format=None, columns=None):
    data = text if isinstance(text, bytes) else text.encode()
    return list(read(io.BytesIO(data), format=format, columns=columns or Columns()))


def texts(found):
    return [(one.id, one.title, one.abstract) for one in found]


def only(found):
    (one,) = found
    assert isinstance(one, Record), one
    return one


# JSON and CSV of indexes and funders -------------------------------------------------------------------------------

JSON_SOURCES = {
    "arXiv": (
        {
            "id": "2401.00001",
            "submitter": "A. Moss",
            "authors": "A. Moss, B. Fern",
            "title": "Slow growth of\n  lichens",
            "journal-ref": None,
            "doi": None,
            "categories": "q-bio.PE",
            "abstract": "  We follow $n=12$ lichens\nover ten years.\n",
            "versions": [{"version": "v1", "created": "Mon, 1 Jan 2024 10:00:00 GMT"}],
            "authors_parsed": [["Moss", "A.", ""]],
        },
        ("2401.00001", "Slow growth of\n  lichens", "  We follow $n=12$ lichens\nover ten years.\n"),
    ),
    "OpenAlex": (
        {
            "id": "https://openalex.org/W1",
            "doi": "https://doi.org/10.5555/1",
            "title": "Ponds in spring",
            "display_name": "Ponds in spring",
            "primary_topic": {"id": "https://openalex.org/T1", "display_name": "Freshwater"},
            "grants": [{"funder": "https://openalex.org/F1", "award_id": "7"}],
            "abstract_inverted_index": {"Frogs": [0], "return": [1], "to": [2], "ponds.": [3]},
        },
        ("https://openalex.org/W1", "Ponds in spring", "Frogs return to ponds."),
    ),
    "Semantic Scholar API": (
        {"paperId": "ab12", "externalIds": {"CorpusId": 9}, "title": "Bells of brass", "abstract": None},
        ("ab12", "Bells of brass", ""),
    ),
    "Semantic Scholar papers": (
        {"corpusid": 88, "externalids": {"DOI": None}, "title": "Salt and rope", "authors": []},
        ("88", "Salt and rope", ""),
    ),
    "S2ORC metadata": (
        {"paper_id": "77", "title": "Glazing of bricks", "abstract": "Kilns differ.", "arxiv_id": None, "doi": None},
        ("77", "Glazing of bricks", "Kilns differ."),
    ),
    "S2ORC full text": (
        {
            "corpusid": 66,
            "externalids": {"doi": None},
            "content": {
                "source": {"pdfurls": None},
                "text": "Kites at dusk\nJo Reed\nWe fly kites late. Introduction",
                "annotations": {
                    "title": '[{"end":13,"start":0}]',
                    "abstract": '[{"end":40,"start":22}]',
                    "venue": None,
                },
            },
        },
        ("66", "Kites at dusk", "We fly kites late."),
    ),
    "parsed PDF": (
        {"paper_id": "p5", "title": "Reeds", "abstract": [{"section": "Abstract", "text": "Reeds bend."}]},
        ("p5", "Reeds", "Reeds bend."),
    ),
    "Crossref": (
        {
            "DOI": "10.5555/abc",
            "type": "journal-article",
            "title": ["Maps of", "small islands"],
            "container-title": ["Journal of Coasts"],
            "reference": [{"key": "1", "article-title": "Another work"}],
            "abstract": "<jats:title>Abstract</jats:title><jats:p>We map <jats:italic>islands</jats:italic>.</jats:p>",
        },
        ("10.5555/abc", "Maps of small islands", "<jats:p>We map <jats:italic>islands</jats:italic>.</jats:p>"),
    ),
    "Europe PMC": (
        {"id": "1", "source": "MED", "pmid": "1", "title": "Oat bran.", "abstractText": "<h4>Aim</h4>We eat oats."},
        ("1", "Oat bran.", "<h4>Aim</h4>We eat oats."),
    ),
    "NSF API": (
        {"id": "2400001", "agency": "NSF", "title": "Owl calls", "abstractText": "We record owls.<br/>At night."},
        ("2400001", "Owl calls", "We record owls.<br/>At night."),
    ),
    "NSF file": (
        {
            "awd_id": "2400002",
            "agcy_id": "NSF",
            "awd_titl_txt": "Rivers of sand",
            "awd_abstract_narration": "Dry rivers move sand.",
            "pi": [{"pi_full_name": "R. Dune"}],
            "pgm_ele": [{"pgm_ele_code": "1", "pgm_ele_name": "Geology"}],
        },
        ("2400002", "Rivers of sand", "Dry rivers move sand."),
    ),
    "NIH RePORTER": (
        {
            "appl_id": 10000001,
            "subproject_id": None,
            "project_num": "5R01XX000001-02",
            "project_title": "Sleep of nurses",
            "abstract_text": "Nurses sleep little.",
            "organization": {"org_name": "A College"},
        },
        ("10000001", "Sleep of nurses", "Nurses sleep little."),
    ),
    "UKRI Gateway to Research": (
        {
            "links": {"link": [{"href": "http://example.org/1", "rel": "FUND"}]},
            "id": "0A1B-2C",
            "identifiers": {"identifier": [{"value": "XX/1", "type": "RCUK"}]},
            "title": "Peat under turbines",
            "abstractText": None,
            "techAbstractText": "Cores of peat are dated.",
        },
        ("0A1B-2C", "Peat under turbines", "Cores of peat are dated."),
    ),
}
WRAPPED = {
    "OpenAlex": lambda rows: {"meta": {"count": 2, "page": 1}, "results": rows, "group_by": []},
    "Semantic Scholar API": lambda rows: {"total": 2, "token": "x", "data": rows},
    "Crossref": lambda rows: {
        "status": "ok",
        "message-type": "work-list",
        "message": {"facets": {}, "total-results": 2, "items": rows, "query": {"search-terms": None}},
    },
    "Europe PMC": lambda rows: {
        "version": "6.9",
        "hitCount": len(rows),
        "request": {"queryString": "oats", "pageSize": 25},
        "resultList": {"result": rows},
    },
    "NSF API": lambda rows: {"response": {"metadata": {"totalCount": 2}, "award": rows}},
    "NIH RePORTER": lambda rows: {"meta": {"total": 2, "properties": {}}, "results": rows},
    "UKRI Gateway to Research": lambda rows: {"page": 1, "size": 20, "totalPages": 1, "project": rows},
}


@pytest.mark.parametrize("name", JSON_SOURCES)
def test_a_source_of_json_lines_gives_its_texts_and_keeps_its_fields(name):
    row, expected = JSON_SOURCES[name]
    record = only(outcomes(json.dumps(row) + "\n", "jsonl"))
    assert (record.id, record.title, record.abstract) == expected
    assert record.source == row


@pytest.mark.parametrize("name", WRAPPED)
def test_the_page_of_an_api_gives_its_records(name):
    row, expected = JSON_SOURCES[name]
    assert texts(outcomes(json.dumps(WRAPPED[name]([row, row])))) == [expected, expected]


@pytest.mark.parametrize("name", WRAPPED)
def test_an_empty_answer_of_an_api_is_no_error(name):
    assert outcomes(json.dumps(WRAPPED[name]([]))) == []


@pytest.mark.parametrize("name", ["OpenAlex", "NSF file", "Crossref", "S2ORC metadata"])
def test_one_record_alone_in_a_json_file_is_read(name):
    row, expected = JSON_SOURCES[name]
    assert texts(outcomes(json.dumps(row, indent=1))) == [expected]


def test_an_answer_about_one_work_is_read():
    row, expected = JSON_SOURCES["Crossref"]
    assert texts(outcomes(json.dumps({"status": "ok", "message": row}))) == [expected]


def test_an_arxiv_snapshot_is_read_by_its_usual_name(tmp_path):
    row, expected = JSON_SOURCES["arXiv"]
    path = tmp_path / "arxiv-metadata-oai-snapshot.json"
    path.write_text(f"{json.dumps(row)}\n{json.dumps(row)}\n")
    assert texts(read(path)) == [expected, expected]


def test_a_broken_place_in_a_full_text_refuses_that_record_alone():
    row = dict(JSON_SOURCES["S2ORC full text"][0], content={"text": "x", "annotations": {"title": "[{"}})
    refusal, record = outcomes(f"{json.dumps(row)}\n" + '{"title": "ok"}\n', "jsonl")
    assert isinstance(refusal, Refusal)
    assert record.title == "ok"


CSV_SOURCES = {
    "CORDIS": (
        '"id";"acronym";"status";"title";"startDate";"objective";"rcn"\r\n'
        '"101";"MOSSY";"SIGNED";"Moss on roofs";"2024-01-01";"Roofs; green ones,\nand ""wet"" ones.";"5"\r\n',
        ("101", "Moss on roofs", 'Roofs; green ones,\nand "wet" ones.'),
    ),
    "SBIR": (
        '"Company","Award Title","Agency","Agency Tracking Number","Contract","Abstract","PI Title"\n'
        '"Acme","Quiet pumps","NASA","T-1","C-9","Pumps that hum less.","Dr"\n',
        ("C-9", "Quiet pumps", "Pumps that hum less."),
    ),
    "SBIR without a contract": (
        '"Company","Award Title","Agency Tracking Number","Contract","Abstract"\n"Acme","Pumps","T-1","","Hum."\n',
        ("T-1", "Pumps", "Hum."),
    ),
    "NIH ExPORTER projects": (
        '"APPLICATION_ID","ACTIVITY","CORE_PROJECT_NUM","PI_NAMEs","PROJECT_TITLE"\n'
        '"11","R01","R01XX1","ROE, J","Knees"\n',
        ("11", "Knees", ""),
    ),
    "NIH ExPORTER abstracts": ('"APPLICATION_ID","ABSTRACT_TEXT"\n"11","Knees ache."\n', ("11", "", "Knees ache.")),
    "UKRI Gateway to Research": (
        '"FundingOrgName","ProjectReference","LeadROName","Title","StartDate","Status","ProjectId"\n'
        '"EPSRC","EP/1","A University","Cold glue","01/01/2024","Active","A-1"\n',
        ("A-1", "Cold glue", ""),
    ),
    "NSF search export": (
        '"AwardNumber","Title","NSFOrganization","Abstract"\n"123","Tides","OCE","Tides turn."\n',
        ("123", "Tides", "Tides turn."),
    ),
}


@pytest.mark.parametrize("name", CSV_SOURCES)
def test_a_funders_table_is_read_as_it_is_downloaded(name, tmp_path):
    text, expected = CSV_SOURCES[name]
    path = tmp_path / "export.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert texts(read(path)) == [expected]


# RIS -------------------------------------------------------------------------------------------------------------

RIS = "TY  - JOUR\nTI  - Wind in reeds\nAU  - Moss, A.\nDO  - 10.5555/r1\nAB  - Reeds bend.\nER  - \n"


@pytest.mark.parametrize(
    "ris",
    [
        RIS,
        "\ufeff" + RIS,
        RIS.replace("\n", "\r\n"),
        RIS.replace("\n", "\r"),
        RIS.replace("TY  - JOUR\n", "\rTY  - JOUR\r\n"),
        RIS.replace("ER  - ", "ER  -"),
        "\n\n" + RIS,
        'Record #1 of 1\nProvider: A "Provider"\nContent: text/plain\n1.\n'
        + RIS
        + "\nLink to the full text: http://x\n",
        RIS.replace("TI  - Wind in reeds", "T1  - Wind in reeds"),
        RIS.replace("TI  - Wind in reeds", "TT  - Wind in reeds"),
        RIS.replace("AB  - ", "N2  - "),
        RIS.replace("TI  - Wind in reeds", "TI  -   Wind in reeds   \nT2  - JOURNAL\nBT  - A book\nST  - Wind"),
        RIS.replace("AB  -", "KW  -\nAB  -"),
        RIS.replace("  - ", " - "),
    ],
)
def test_every_dialect_of_ris_gives_the_same_record(ris):
    assert texts(outcomes(ris, "ris")) == [("10.5555/r1", "Wind in reeds", "Reeds bend.")]


def test_a_ris_text_goes_on_over_lines_and_blank_ones_and_may_name_er():
    ris = (
        "TY  - JOUR\nN2  - Cells have an\nER that folds.\n\n   Second part.\nA1-receptors too.\n"
        "KW  - cells\nfolding\nAU  - Moss, A.\nAU  - Fern, B.\nN1  - <p>A note</p>\nER  -\n"
    )
    record = only(outcomes(ris, "ris"))
    assert record.abstract == "Cells have an\nER that folds.\n\nSecond part.\nA1-receptors too."
    assert record.source == {
        "TY": "JOUR",
        "N2": record.abstract,
        "KW": ["cells", "folding"],
        "AU": ["Moss, A.", "Fern, B."],
        "N1": ["<p>A note</p>"],
    }


def test_ris_records_are_named_by_the_line_they_begin_on():
    found = outcomes("\nTY  - GEN\nTI  - One\nER  -\n\nTY  - GEN\nTI  - Two\nER  -\n", "ris")
    assert [(one.row, one.id, one.abstract) for one in found] == [(2, "row-2", ""), (6, "row-6", "")]


def test_an_abstract_in_several_ris_fields_is_kept_whole():
    assert only(outcomes("TY  - JOUR\nAB  - One.\nAB  - Two.\nER  -\n", "ris")).abstract == "One.\nTwo."


def test_a_ris_record_that_is_not_closed_ends_where_the_next_begins():
    for end in ("ER  -\n", ""):  # some makers close none
        found = outcomes(f"TY  - JOUR\nTI  - One\nTY  - JOUR\nTI  - Two\n{end}", "ris")
        assert [one.title for one in found] == ["One", "Two"]


def test_a_ris_file_cut_short_refuses_its_last_record():
    record, refusal = outcomes(RIS + "TY  - JOUR\nTI  - Half\nAB  - It brea", "ris")
    assert record.title == "Wind in reeds"
    assert isinstance(refusal, Refusal)
    assert "breaks off" in refusal.reason


def test_a_ris_record_in_latin_1_is_refused_by_field_with_what_to_do_and_the_rest_goes_on():
    ris = RIS.replace("reeds\n", "réeds\n").encode("latin1") + RIS.encode()
    refusal, record = outcomes(ris, "ris")
    assert (refusal.row, refusal.field, refusal.id) == (1, "TI", "10.5555/r1")
    assert "UTF-8" in refusal.reason
    assert "iconv" in refusal.mend
    assert record.title == "Wind in reeds"


def test_a_ris_column_can_be_chosen_and_a_typing_error_is_told():
    assert only(outcomes(RIS, "ris", Columns(title="AU"))).title == "Moss, A."
    with pytest.raises(InputError, match=r"no column 'XX'.*TY, TI, AU"):
        outcomes(RIS, "ris", Columns(title="XX"))


@pytest.mark.parametrize("format", ["ris", "wos", "medline", "bibtex", "xml"])
def test_a_file_of_another_format_is_an_error_and_not_an_empty_result(format):
    with pytest.raises(InputError, match=r"holds no .*(record|entry)"):
        outcomes("Dear all,\nplease find the list attached.\n", format)


# Web of Science and MEDLINE --------------------------------------------------------------------------------------

WOS = (
    "\ufeffFN Clarivate Analytics Web of Science\nVR 1.0\n"
    "PT J\nAU Moss, A\n   Fern, B\nTI Soil under\n   old hedges\nSO JOURNAL OF HEDGES\nAB Hedges are old. ER is\n"
    "   a word here.\nC1 [Moss, A] A Univ, Town.\n   [Fern, B] B Univ, Town.\nUT WOS:0001\nER\n\n"
    "PT J\nTI No abstract here\nUT WOS:0002\nER\n\nEF"
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_web_of_science_tags_are_read_with_wrapped_texts_and_listed_names(end):
    first, second = outcomes(WOS.replace("\n", end), "wos")
    assert texts([first, second]) == [
        ("WOS:0001", "Soil under old hedges", "Hedges are old. ER is a word here."),
        ("WOS:0002", "No abstract here", ""),
    ]
    assert first.source["AU"] == ["Moss, A", "Fern, B"]
    assert first.source["C1"] == ["[Moss, A] A Univ, Town.", "[Fern, B] B Univ, Town."]
    assert first.row == 3


MEDLINE = (
    "\nPMID- 11\nOWN - NLM\nTI  - Naps of\n      shift workers.\nLID - 10.5555/n1 [doi]\n"
    "AB  - BACKGROUND: Naps help -\n"
    "      mostly.\nFAU - Moss, Ann\nAU  - Moss A\nMH  - *Sleep\n\nPMID- 12\nTI  - A letter.\nAU  - Fern B\n"
)


def test_pubmeds_tags_are_read_with_wrapped_texts_and_no_end_mark():
    first, second = outcomes(MEDLINE, "medline")
    assert texts([first, second]) == [
        ("11", "Naps of shift workers.", "BACKGROUND: Naps help - mostly."),
        ("12", "A letter.", ""),
    ]
    assert first.source["AU"] == ["Moss A"]
    assert first.source["FAU"] == ["Moss, Ann"]


# BibTeX ----------------------------------------------------------------------------------------------------------

BIBTEX = r"""% A library, exported. Mail: me@example.org
@string{jc = "Journal of " # "Coasts"}
@preamble{"\newcommand{\x}{y}"}
@comment{jabref-meta: {not = {an entry}}}

@Article{moss2024,
  title    = {The {B}altic at {\aa}rhus: {{Nested}} braces},
  author   = "Moss, Ann and {\"O}man, Bo",
  journal  = jc # {, New Series},
  month    = feb,
  year     = 2024,
  abstract = {Two lines
of text with 50\% "quotes", commas, and a = sign.},
  keywords = {sea}, keywords = {ice}
}
@book(fern, title = "Ferns (and {"}mosses{"})", year = "1999")
@misc {, title={No key} , note = {x},}
"""


def test_bibtex_is_read_with_names_quotes_and_inner_braces():
    first, second, third = outcomes(BIBTEX, "bibtex")
    assert (first.id, first.row) == ("moss2024", 6)
    assert first.title == r"The {B}altic at {\aa}rhus: {{Nested}} braces"
    assert first.abstract == 'Two lines\nof text with 50\\% "quotes", commas, and a = sign.'
    assert first.source["journal"] == "Journal of Coasts, New Series"
    assert (first.source["month"], first.source["keywords"]) == ("February", "sea\nice")
    assert (first.source["ENTRYTYPE"], first.source["ID"]) == ("article", "moss2024")
    assert (second.id, second.title) == ("fern", 'Ferns (and {"}mosses{"})')
    assert (third.id, third.title) == ("row-17", "No key")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("@article{a, title = {Open, year = 2000\n", "still open where the next entry begins on line"),
        ('@article{a, title = "Open, year = {2000}}\n', "quote of field 'title' is not closed"),
        ("@article{a, title = {One}}, year = {2000}\n}\n", "a brace too many"),
        ("@article{a, title {One}}\n", "should begin"),
        ("@article{a, title = , year = 2000}\n", "field 'title' has no value"),
        ("@article{a, title = {One} year 2000}\n", "field after 'title' should begin"),
    ],
)
def test_a_broken_bibtex_entry_is_refused_by_its_line_and_the_rest_goes_on(broken, reason):
    good = "@misc{%s, title={Good}, abstract={Text.}}\n"
    before, refusal, after = outcomes(good % "x" + broken + good % "y", "bibtex")
    assert [before.id, after.id] == ["x", "y"]
    assert isinstance(refusal, Refusal)
    assert refusal.row == 2
    assert reason in refusal.reason


def test_a_bibtex_file_cut_short_refuses_its_last_entry():
    record, refusal = outcomes("@misc{a, title={One}}\n@misc{b, title={Two},\n abstract={It brea", "bibtex")
    assert record.title == "One"
    assert "open at the end of the file" in refusal.reason


# XML -------------------------------------------------------------------------------------------------------------

PUBMED_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN"
 "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">
<PubmedArticleSet>
"""
PUBMED_ARTICLE = """<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM">
<PMID Version="1">21</PMID>
<Article PubModel="Print"><Journal><ISSN IssnType="Print">0000-0001</ISSN><Title>Journal of Naps</Title></Journal>
<ArticleTitle>Naps of <i>Apis</i> at 4&#xb0;C &amp; below.</ArticleTitle>
<Abstract><AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Bees nap.</AbstractText>
<AbstractText Label="UNLABELLED">We watched H<sub>2</sub>O.</AbstractText>
<CopyrightInformation>(c) Us</CopyrightInformation></Abstract>
<AuthorList CompleteYN="Y"><Author ValidYN="Y"><LastName>Moss</LastName></Author>
<Author ValidYN="Y"><LastName>Fern</LastName></Author></AuthorList></Article>
<MeshHeadingList><MeshHeading><DescriptorName UI="D1">Bees</DescriptorName></MeshHeading></MeshHeadingList>
</MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType="doi">10.5555/b</ArticleId></ArticleIdList></PubmedData>
</PubmedArticle>
"""
PUBMED_BOOK = """<PubmedBookArticle><BookDocument><PMID Version="1">22</PMID>
<Book><BookTitle book="x">A book of bees</BookTitle></Book><ArticleTitle>A chapter</ArticleTitle>
<Abstract><AbstractText>On hives.</AbstractText></Abstract></BookDocument></PubmedBookArticle>
"""
PUBMED_TEXTS = [
    ("21", "Naps of Apis at 4°C & below.", "BACKGROUND: Bees nap.\nWe watched H2O."),
    ("22", "A chapter", "On hives."),
]
PUBMED = PUBMED_HEAD + PUBMED_ARTICLE + PUBMED_BOOK + "</PubmedArticleSet>\n"


def test_pubmed_xml_is_read_with_its_labels_and_all_its_fields():
    article, book = outcomes(PUBMED)
    assert texts([article, book]) == PUBMED_TEXTS
    assert [article.row, book.row] == [1, 2]
    assert article.source["AuthorList"]["Author"][1] == {"@ValidYN": "Y", "LastName": "Fern"}
    assert article.source["PubmedData"]["ArticleIdList"]["ArticleId"] == {"@IdType": "doi", "#text": "10.5555/b"}
    assert book.source["Book"] == {"BookTitle": {"@book": "x", "#text": "A book of bees"}}


def test_pubmed_xml_is_read_whatever_the_pieces_it_comes_in(monkeypatch):
    for size in range(1, 200, 7):
        monkeypatch.setattr("classifier.formats.xmlrecords._BLOCK", size)
        monkeypatch.setattr("classifier.formats.xmlrecords._FIRST", 10_000)
        assert texts(outcomes(PUBMED, "xml")) == PUBMED_TEXTS


def test_an_empty_pubmed_set_is_no_error():
    assert outcomes(PUBMED_HEAD + "</PubmedArticleSet>") == []
    assert outcomes("<PubmedArticleSet/>") == []


NSF = """<?xml version="1.0" encoding="UTF-8"?>
<rootTag><Award><AwardTitle>Ice &amp; light</AwardTitle><AGENCY>NSF</AGENCY><AwardAmount>10</AwardAmount>
<Organization><Code>1</Code><Division><LongName>Ice</LongName></Division></Organization>
<AbstractNarration>Light in ice.&lt;br/&gt;Seen twice.</AbstractNarration><AwardID>2400003</AwardID>
<Investigator><LastName>Moss</LastName></Investigator><Investigator><LastName>Fern</LastName></Investigator>
</Award></rootTag>"""


def test_an_nsf_award_in_xml_is_read():
    record = only(outcomes(NSF))
    assert texts([record]) == [("2400003", "Ice & light", "Light in ice.<br/>Seen twice.")]
    assert [one["LastName"] for one in record.source["Investigator"]] == ["Moss", "Fern"]
    assert record.source["Organization"]["Division"] == {"LongName": "Ice"}


def test_the_nsf_api_in_xml_is_read():
    xml = "<response><award><id>9</id><title>Fog</title><abstractText>Fog lifts.</abstractText></award></response>"
    assert texts(outcomes(xml)) == [("9", "Fog", "Fog lifts.")]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (PUBMED_ARTICLE.replace("&amp;", "&"), "not well-formed XML at line 4"),
        (PUBMED_ARTICLE.replace("&amp;", "&eacute;"), "named entity"),
        (PUBMED_ARTICLE.replace("</PubmedArticle>", ""), "not well-formed"),
        (PUBMED_ARTICLE.replace("Bees nap", "B\udce9es nap"), "not valid UTF-8 at byte offset"),
        (
            PUBMED_ARTICLE.replace("Bees nap.", "B.").replace(
                "<LastName>Fern", "<x>" * 200 + "</x>" * 200 + "<LastName>F"
            ),
            "nested",
        ),
    ],
)
def test_one_broken_xml_record_is_refused_and_the_rest_goes_on(broken, reason):
    xml = PUBMED_HEAD + PUBMED_ARTICLE + broken + PUBMED_ARTICLE + "</PubmedArticleSet>"
    found = outcomes(xml.encode(errors="surrogateescape"))
    assert [type(one) for one in found] == [Record, Refusal, Record]
    assert reason in found[1].reason


BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE rootTag [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">\n'
    '<!ENTITY file SYSTEM "file:///etc/passwd">]>\n<rootTag><Award><AwardTitle>&b;&file;</AwardTitle></Award></rootTag>'
)


def test_entities_are_refused_before_anything_is_expanded_or_fetched():
    with pytest.raises(InputError, match=r"declares entities.*<!ENTITY"):
        outcomes(BOMB)


@pytest.mark.parametrize("at", [len(PUBMED) - 15, len(PUBMED) - 200, len(PUBMED_HEAD) + 300])
def test_xml_cut_short_gives_its_whole_records_and_then_an_error(at):
    found = []
    with pytest.raises(InputError, match="truncated"):
        found.extend(read(io.BytesIO(PUBMED[:at].encode())))
    assert texts(found) == PUBMED_TEXTS[: len(re.findall("</Pubmed(Book)?Article>", PUBMED[:at]))]


def test_xml_in_another_encoding_or_of_another_kind_says_what_is_known():
    with pytest.raises(InputError, match="says it is in ISO-8859-1; only UTF-8"):
        outcomes(NSF.replace("UTF-8", "ISO-8859-1"))
    with pytest.raises(InputError, match="first element is feed"):
        outcomes("<feed><entry><title>x</title></entry></feed>")


# Which format it is ----------------------------------------------------------------------------------------------

SAMPLES = {
    "ris": (RIS, [".ris", ".txt"]),
    "wos": (WOS, [".ciw", ".isi", ".txt"]),
    "medline": (MEDLINE, [".nbib", ".txt"]),
    "bibtex": (BIBTEX, [".bib", ".bibtex", ".txt"]),
    "pubmed": (PUBMED, [".xml", ".txt"]),
    "nsf": (NSF, [".xml", ".txt"]),
    "tsv": ("PT\tTI\tAB\tUT\nJ\tHedges\tOld.\tWOS:1\n", [".txt"]),
    "csv": ("id,title\n1,Hedges\n", [".txt"]),
    "jsonl": ('{"title": "Hedges"}\n{"title": "Reeds"}\n', [".txt"]),
}


@pytest.mark.parametrize(("name", "suffix"), [(name, suffix) for name in SAMPLES for suffix in SAMPLES[name][1]])
def test_a_format_is_told_by_its_suffix_or_by_how_it_begins_packed_or_not(tmp_path, name, suffix):
    text = SAMPLES[name][0].encode()
    expected = [type(one) for one in outcomes(text)]
    assert Record in expected
    plain, packed = tmp_path / f"export{suffix}", tmp_path / f"EXPORT{suffix.upper()}.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    assert [type(one) for one in read(plain)] == [type(one) for one in read(packed)] == expected


def test_a_part_of_a_dump_that_ends_in_gz_alone_is_told_by_its_content(tmp_path):
    path = tmp_path / "part_000.gz"
    path.write_bytes(gzip.compress(b'{"title": "Hedges"}\n{"title": "Reeds"}\n'))
    assert [one.title for one in read(path)] == ["Hedges", "Reeds"]


LINES = st.lists(
    st.sampled_from(
        re.split(
            "~",
            'TY  - JOUR~TI  - x~ER  -~ER~PT J~PMID- 1~AB y~@a{k,~title={x}~}~"~<Award>~</Award>~é~\udcff~&~(~)'
            "~<AwardTitle>x</AwardTitle>",
        )
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(["ris", "wos", "medline", "bibtex", "xml"]))
def test_no_text_makes_a_reader_crash(lines, format):
    data = "\n".join(lines).encode(errors="surrogateescape")
    with contextlib.suppress(InputError):
        assert {type(one) for one in read(io.BytesIO(data), format=format)} <= {Record, Refusal}


@given(st.lists(st.sampled_from([RIS, RIS.replace("AB  - Reeds bend.\n", ""), "TY  - JOUR\nER  -\n", "noise\n\n"])))
def test_ris_records_in_are_records_plus_refusals(parts):
    begun = sum(part.startswith("TY") for part in parts)
    if begun:
        assert len(outcomes("".join(parts), "ris")) == begun
