"""The hook of the documentation: its tables replace the sentences that a checkout shows."""

import pytest

from scripts.docs_hook import DOCS, TABLES, dataset_table, with_tables


@pytest.mark.shipped
@pytest.mark.parametrize("page", TABLES)
def test_tables_replace_the_sentences_of_a_checkout(page: str) -> None:
    built = with_tables((DOCS / page).read_text(encoding="utf-8"), page)
    for sentence, table in TABLES[page].items():
        assert sentence not in built
        assert table() in built


def test_a_page_without_its_sentence_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"docs/models/nano\.md lacks the sentence"):
        with_tables("# The embedded model\n", "models/nano.md")


def test_a_page_without_tables_stays_as_it_is() -> None:
    assert with_tables("# Install\n", "install.md") == "# Install\n"


def test_datasets_are_in_one_table_each() -> None:
    public, own = dataset_table(public=True), dataset_table(public=False)
    assert "| DRIVE |" in public
    assert "| DRIVE |" not in own
    assert "| folder |" in own
