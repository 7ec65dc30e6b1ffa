from sam2lora.adapters.model_card import readme


def test_model_card_lists_the_facts_of_the_card(make_card):
    card = make_card(
        validation={"dice": 0.8125},
        data={"DRIVE": 16},
        training={"steps": 600, "optimizer": {"learning_rate": 0.001}},
        started_from={"name": "older", "digest": "f" * 64},
        license="CC BY 4.0",
        purpose="Vessels of adults.",
        limits="Never tried on children.",
        commands=["train this", "then that"],
        results={"DRIVE": {"dice": 0.79}},
    )
    page = readme(card)
    assert page.startswith("---\nlibrary_name: peft\n")
    for part in (
        "# vessel-test",
        "Not a medical device",
        "sam2lora predict IMAGE --target vessel --model nano --adapter",
        "PeftModel.from_pretrained",
        card.base.identity,
        "| dice | 0.8125 |",
        "| DRIVE | 16 |",
        '| optimizer | {"learning_rate": 0.001} |',
        "older",
        "**Intended use:** Vessels of adults.",
        "**Limits:** Never tried on children.",
        "    train this\n    then that",
        '| DRIVE | {"dice": 0.79} |',
        "CC BY 4.0",
        "35456 (1.13 % of the base)",
    ):
        assert part in page
    assert "hash of the training data" not in page, "unknown values are left out"


def test_model_card_describes_a_detail_head_only_where_there_is_one(make_card):
    assert "Detail head" not in readme(make_card())
    text = readme(make_card(detail_head={"channels": [4, 6, 8]}))
    assert "## Detail head" in text
    assert "| channels | \\[4, 6, 8\\] |" in text


def test_untrusted_text_cannot_add_rows_or_markup(make_card):
    page = readme(
        make_card(
            license="mine\n\n# Owned | <img src=x> [a](b)",
            data={"a|b": "`c`"},
            limits="# Owned",
            commands=["a\n```\n# Owned"],
        )
    )
    _, head, body = page.split("---\n")
    assert "\n# Owned" not in page
    assert r"# Owned \| \<img src=x\> \[a\](b) |" in body
    assert head.count("\n") == 5
    assert "| a\\|b | \\`c\\` |" in page
