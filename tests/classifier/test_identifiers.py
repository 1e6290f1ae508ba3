"""Whoever writes an arXiv identifier in whatever way must be understood, and no other identifier may be touched."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifier.identifiers import canonical_id

MONTHS = st.tuples(st.integers(7, 90), st.integers(1, 12)).filter(lambda month: month >= (7, 4))


@st.composite
def arxiv_numbers(draw: st.DrawFn) -> str:
    """An identifier as arXiv writes it, without prefix."""
    year, month = draw(MONTHS)
    places = 4 if year < 15 else 5
    return f"{year:02}{month:02}.{draw(st.integers(1, 10**places - 1)):0{places}}"


@given(arxiv_numbers(), st.sampled_from(["", "arxiv:", "arXiv:", "https://arxiv.org/abs/"]), st.integers(0, 12))
def test_any_way_of_writing_it_gives_one_identifier(number: str, prefix: str, version: int) -> None:
    written = prefix + number + (f"v{version}" if version else "")
    assert canonical_id(written) == f"arxiv:{number}"


@given(arxiv_numbers(), st.integers(-3, 3))
@example("0705.2633", 0)  # lost its first zero
@example("1001.4200", 0)  # lost its last ones
@example("1803.01034", -1)  # gained a tail
def test_a_floating_point_number_on_the_way_is_undone(number: str, steps: int) -> None:
    value = float(number)
    mangled = value + steps * 2.3e-13  # readers of numbers are off by a step of a double, or a few
    assert canonical_id(f"arxiv:{mangled!r}") == f"arxiv:{number}"


@given(st.one_of(st.text(), st.from_regex(r"(arxiv:)?[0-9a-z./:v-]{1,16}", fullmatch=True)))
def test_the_canonical_identifier_stays_as_it_is(identifier: str) -> None:
    once = canonical_id(identifier)
    assert canonical_id(once) == once


@given(st.from_regex(r"(nsf|sbir|sbirtopic|acl|osd|own|10\.1109):?/?[0-9A-Za-z._-]{1,20}", fullmatch=True))
def test_identifiers_of_other_sources_are_untouched(identifier: str) -> None:
    assert canonical_id(identifier) == identifier


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("arxiv:705.2633", "arxiv:0705.2633"),
        ("arxiv:1001.42", "arxiv:1001.4200"),
        ("arxiv:1803.0103399999998", "arxiv:1803.01034"),
        ("arxiv:1412.9999", "arxiv:1412.9999"),
        ("arxiv:1501.0001", "arxiv:1501.00010"),
        ("http://export.arxiv.org/pdf/1803.01034v2.pdf", "arxiv:1803.01034"),
        ("arXiv:1803.01034v1 [cs.RO]", "arxiv:1803.01034"),
        ("10.48550/arXiv.1803.01034", "arxiv:1803.01034"),
        ("arxiv:hep-th/9901001", "arxiv:hep-th/9901001"),
        ("hep-th/9901001v3", "arxiv:hep-th/9901001"),
        ("https://arxiv.org/abs/math.GT/0309136", "arxiv:math/0309136"),
    ],
)
def test_known_ways_of_writing_an_identifier(written: str, canonical: str) -> None:
    assert canonical_id(written) == canonical


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "row-3",
        "1001.42",  # bare, and not as arXiv writes it: may be anybody's
        "12.5",
        "arxiv:1203.12345",  # no rounding explains the fifth digit: to drop it would name another paper
        "arxiv:1203.0",
        "arxiv:1203.99999999999999",
        "arxiv:1313.1234",
        "arxiv:0703.1234",
        "arxiv:9912.12345",
        "works/9901001",  # as an archive's, but no archive has the name
        "cs/9913001",
    ],
)
def test_what_is_no_arxiv_identifier_is_untouched(identifier: str) -> None:
    assert canonical_id(identifier) == identifier
