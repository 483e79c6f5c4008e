from __future__ import annotations

import sys

import collect
import pytest

DOCUMENT = "# Results\n\n<!-- a -->\n| old |\n<!-- end of a -->\n\nkept\n\n<!-- b -->\n<!-- end of b -->\n"


def test_what_a_benchmark_prints_takes_the_place_of_what_it_printed_before() -> None:
    once = collect.replace(DOCUMENT, "a", "| new |\n")
    assert once == DOCUMENT.replace("old", "new")
    assert collect.replace(once, "b", "text") == once.replace("<!-- b -->\n", "<!-- b -->\ntext\n")


def test_numbers_are_not_replaced_by_not_measured_but_an_empty_section_is_filled_with_it() -> None:
    assert collect.replace(DOCUMENT, "a", "not measured: no CUDA device") == DOCUMENT
    assert "not measured: no CUDA" in collect.replace(DOCUMENT, "b", "not measured: no CUDA device")


def test_an_unknown_section_is_refused_before_anything_is_run(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(collect, "RESULTS", tmp_path / "RESULTS.md")
    collect.RESULTS.write_text(DOCUMENT)
    monkeypatch.setattr(sys, "argv", ["collect.py", "c", "never_run.py"])
    with pytest.raises(ValueError, match="no section 'c'"):
        collect.main()


def test_a_benchmark_that_fails_leaves_the_results_as_they_were(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(collect, "RESULTS", tmp_path / "RESULTS.md")
    collect.RESULTS.write_text(DOCUMENT)
    script = tmp_path / "script.py"
    monkeypatch.setattr(sys, "argv", ["collect.py", "a", str(script)])
    script.write_text("print('| half |'); raise SystemExit(1)")
    with pytest.raises(SystemExit):
        collect.main()
    assert collect.RESULTS.read_text() == DOCUMENT
    script.write_text("print('| whole |')")
    collect.main()
    assert "| whole |" in collect.RESULTS.read_text()


def test_every_section_that_make_fills_is_in_the_results() -> None:
    makefile = collect.RESULTS.parents[1] / "Makefile"
    sections = [line.split()[1] for line in makefile.read_text().splitlines() if "COLLECT) " in line]
    assert len(sections) >= 9
    for section in sections:
        collect.replace(collect.RESULTS.read_text(), section, "")
