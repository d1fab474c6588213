"""Secrets and personal data: found by form and check digit, named or masked, and numbers of calculations left alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from recast.curate.curation.filters import CurateConfig, columns_of, curate
from recast.curate.curation.private import PERSONAL, compiled, mask, masked, secrets
from recast.pipelines.config import Config

ALL = compiled(secrets() | PERSONAL)
# made for these tests and joined here, so that nothing that searches the checkout takes them for keys
MADE = {
    "private_key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA " + "PRIVATE KEY-----",
    "aws_key": "AKIA" + "ABCDEFGHIJKLMNOP",
    "aws_secret": "aws_secret_key=" + "aB3/" * 10,
    "github_token": "ghp_" + "a1B2" * 9,
    "gitlab_token": "glpat-" + "a1B2" * 5,
    "slack_token": "xoxb-" + "1234567890-abcdef",
    "slack_webhook": "https://hooks.slack.com/" + "services/T0000/B0000/abcdefgh",
    "openai_key": "sk-" + "a1B2" * 12,
    "anthropic_key": "sk-ant-" + "api03-" + "a1B2" * 23,
    "huggingface_token": "hf_" + "aB" * 17,
    "google_key": "AIza" + "a1B2c" * 7,
    "stripe_key": "sk_live_" + "a1B2" * 6,
    "twilio_key": "SK" + "a1b2" * 8,
    "sendgrid_key": "SG." + "a" * 22 + "." + "b" * 43,
    "npm_token": "npm_" + "a1B2" * 9,
    "pypi_token": "pypi-AgE" + "a1B2" * 20,
    "telegram_token": "123456789" + ":AA" + "a" * 33,
    "azure_key": "AccountKey=" + "a" * 86 + "==",
    "jwt": "eyJhbGciOiJI." + "eyJzdWIiOiIx." + "a" * 20,
    "url_password": "postgres://ann:" + "s3cret",
    "cloudant_key": "cloudant_password = " + "ab12" * 16,
    "discord_token": "M" + "a1B2" * 6 + ".aBc1-_." + "a1B" * 9,
    "gitlab_key": "glft-" + "a1B2" * 5,
    "ibm_cloud_key": "ibm_cloud_iam_key = " + "aB1-" * 11,
    "mailchimp_key": "a1b2" * 8 + "-us12",
    "softlayer_key": "softlayer_api_key = " + "a1b2" * 16,
    "square_secret": "sq0csp-" + "a1B2" * 10 + "abc",
    "email": "ann.lee+x@mail.corp.com",
    "iban": "DE89 3704 0044 0532 0130 00",
    "card": "4111 1111 1111 1111",
    "phone": "+49 (30) 1234-5678",
}


@pytest.mark.parametrize("kind", secrets() | PERSONAL)
def test_every_kind_is_masked_and_nothing_else_of_the_text(kind: str) -> None:
    counts: Counter[str] = Counter()
    after = "@db.corp.com/x AND MORE" if kind == "url_password" else " AND MORE"
    assert mask(f"before {MADE[kind]}{after}", ALL, counts) == f"before [{kind.upper()}]{after}"
    assert counts == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # Luhn says 1, not 2
        "1234 5678 9012 3452",  # Luhn is right, but no network begins with 1234
        "DE88 3704 0044 0532 0130 00",  # 89 is the check that ISO 7064 gives
        "3 * 4111111111111111.5 = 12333333333333334.5",
        "0.4111111111111111",
        "you@example.com",
        "2025-08-01 12:30:45.123456",
        "12 + 345 = 357, and 1-2-3",
        "a = b @ c.T",
        "sk-learn and hf_hub_download are libraries",
        "0000 0000 0000 0000",
        "+1 123 456 7890 is no number: in North America no area begins with 1",
        "+12 + 345 678 9012 = 345 678 9024",
        "(212) 055-1234",
        "3.14159265359 and 5.5714285714",
    ],
)
def test_numbers_and_words_are_left_alone(text: str) -> None:
    counts: Counter[str] = Counter()
    assert mask(text, ALL, counts) == text and not counts


def test_the_check_of_an_iban_is_that_of_iso_13616() -> None:
    right = [
        "GB82 WEST 1234 5698 7654 32",
        "FR1420041010050500013M02606",
        "NO9386011117947",
        "BE68 5390 0754 7034",
    ]
    for text in right:
        assert mask(text, ALL, Counter()) == "[IBAN]", text
        swapped = re.sub(r"(\d)(\d)(?=\D*\d?$)", lambda m: m[2] + m[1] if m[1] != m[2] else m[1] + "9", text)
        if swapped != text:
            assert mask(swapped, ALL, Counter()) == swapped


@pytest.mark.parametrize(
    "text",
    [
        "+44 20 7946 0958",
        "+49 (30) 1234-5678",
        "+33 1 42 68 53 00",
        "(212) 555-2368",
        "212-555-2368",
        "+91 98765 43210",
    ],
)
def test_telephone_numbers_are_those_of_their_country(text: str) -> None:
    assert mask(f"Call {text}, please.", ALL, Counter()) == "Call [PHONE], please."


def row(n: int, completion: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Who answers letter number {n} of this week?"}]
    return {
        "row_id": f"r{n}",
        "messages": messages,
        "completion": completion,
        "demonstration": completion,
        **more,
    }


def test_rows_are_removed_with_the_kind_and_never_with_the_secret() -> None:
    rows = [row(0, "Nobody writes letters today."), row(1, f"Write to {MADE['email']} for that."),
            row(2, f"Log in with {MADE['aws_key']} then."), row(3, "Ask Ann.", meta={"by": MADE["iban"]})]  # fmt: skip
    outcome = curate(
        rows, CurateConfig(secrets="remove", personal="remove", near_duplicate=None, min_words=None)
    )
    assert outcome.reasons == ["", "personal_data", "secret", "personal_data"]
    assert outcome.details == {1: "holds 1 email", 2: "holds 1 aws key", 3: "holds 1 iban"}
    assert curate(rows, CurateConfig(near_duplicate=None, min_words=None)).reasons == [""] * 4
    assert set(columns_of(CurateConfig(personal="mask"))) - set(columns_of(CurateConfig())) == {
        "demonstration",
        "meta",
    }


def test_masking_covers_every_text_of_a_row_and_is_noted_in_its_meta() -> None:
    mail = MADE["email"]
    before = row(
        1, f"It is {mail}.", answer=mail, meta={"seen": [mail], "n": 1}, nll_completion=0.5, num_tokens=9
    )
    after, counts = masked(before, compiled(PERSONAL))
    assert counts == {"email": 3}
    assert after["completion"] == after["demonstration"] == "It is [EMAIL]." and after["answer"] == "[EMAIL]"
    assert after["meta"] == {"seen": ["[EMAIL]"], "n": 1, "masked": {"email": 3}}
    assert after["nll_completion"] is after["num_tokens"] is None
    clean = row(2, "Nothing here.", meta=None)
    assert masked(clean, compiled(PERSONAL)) == (clean, {})


def test_the_settings_are_part_of_a_run_only_where_they_are_used() -> None:
    plain = Config().identity("curate")
    assert "secrets" not in plain and "personal" not in plain
    used = Config.of({"curate": {"secrets": "mask"}}).identity("curate")
    assert used == plain | {"secrets": "mask"}
