"""What a training text must not hold: keys that open something, and data that name a person.

    mask("write to ann@corp.com", compiled(PERSONAL), counts)    # "write to [EMAIL]"; counts: {"email": 1}

Secrets are known by the form that their issuer gives them (detect-secrets knows some of them), personal data by form
and check digit (python-stdnum) or by the numbering plan of the country (phonenumbers), so that the numbers of a
calculation are none. A password without a form of its own, a telephone number without its country's code (but North
America's), a name and a postal address are not found: no rule tells them from other words.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from recast.curate.errors import MissingDependencyError

# kind -> how its issuer writes it
SECRETS: dict[str, str] = {
    "private_key": r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,16384}?"
    r"(?:-----END (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\Z)",  # RFC 7468
    "aws_key": r"\b(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}\b",
    "aws_secret": r"(?i:aws.{0,20}?(?:key|secret).{0,20}?['\"=: ])(?-i:[0-9a-zA-Z/+]{40})(?![0-9a-zA-Z/+=])",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,251})\b",
    "gitlab_token": r"\b(?:glpat|gldt|glrt|glptt|glsoat)-[A-Za-z0-9_-]{20,64}",
    "slack_token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}",
    "slack_webhook": r"https://hooks\.slack\.com/services/T[A-Za-z0-9_]+/B[A-Za-z0-9_]+/[A-Za-z0-9_]{8,}",
    "openai_key": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{48}\b",
    "anthropic_key": r"\bsk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{80,120}",
    "huggingface_token": r"\bhf_[A-Za-z]{34}\b",
    "google_key": r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "stripe_key": r"\b[rs]k_live_[A-Za-z0-9]{24,247}\b",
    "twilio_key": r"\bSK[0-9a-f]{32}\b",
    "sendgrid_key": r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])",
    "npm_token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi_token": r"\bpypi-AgE[A-Za-z0-9_-]{50,250}",
    "telegram_token": r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])",
    "azure_key": r"AccountKey=[A-Za-z0-9+/]{86}==",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",  # RFC 7519
    "url_password": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,64}:[^\s/:@'\"]{3,64}(?=@[\w.-]+)",  # RFC 3986, 3.2.1
}
PERSONAL: dict[str, str] = {
    "email": r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",  # RFC 5321, 4.5.3.1
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Z0-9])",
    "card": r"(?<![\d.,+-])\d(?:[ -]?\d){12,18}(?![\d]|[.,]\d)",
    "phone": r"(?<![\w+.])\+[1-9](?:[ ./()-]{0,2}\d){7,14}(?!\d)"  # ITU E.164
    r"|(?<![\w.(-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.])[2-9]\d\d[-.]\d{4}(?![\w-])",  # North America
}

# First digits of a card's number and its lengths (ISO/IEC 7812, as the large networks use it).
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
)
_DETECTORS = {
    "cloudant_key": ("cloudant", "CloudantDetector"),
    "discord_token": ("discord", "DiscordBotTokenDetector"),
    "gitlab_key": ("gitlab_token", "GitLabTokenDetector"),
    "ibm_cloud_key": ("ibm_cloud_iam", "IbmCloudIamDetector"),
    "mailchimp_key": ("mailchimp", "MailchimpDetector"),
    "softlayer_key": ("softlayer", "SoftlayerDetector"),
    "square_secret": ("square_oauth", "SquareOAuthDetector"),
}
"""Kind -> module and class of detect-secrets, for issuers of which SECRETS has no form. Its others are left out: what
they match is the beginning of a key only, or (random letters, words beside `password`) most often none."""
_NOBODY = re.compile(  # RFC 2606
    r"@(?:.*\.)?(?:example\.(?:com|net|org|edu)|[\w-]+\.(?:example|invalid|test|localhost))$", re.IGNORECASE
)


def secrets() -> dict[str, str]:
    """SECRETS, and those that detect-secrets knows besides. Raises MissingDependencyError."""
    found = dict(SECRETS)
    for kind, (module, detector) in _DETECTORS.items():
        patterns = getattr(_library(f"detect_secrets.plugins.{module}"), detector).denylist
        found[kind] = "|".join(map(_within, patterns))
    return found


def _within(pattern: re.Pattern[str]) -> str:
    """A compiled pattern as a piece of a larger one."""
    return f"(?{'i' if pattern.flags & re.IGNORECASE else ''}:{pattern.pattern})"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as lacking:
        raise MissingDependencyError(
            f"secrets and personal data are found with packages that are not installed ({lacking.name}): "
            "pip install 'recast-sft[private]'"
        ) from lacking


def _iban(text: str) -> str | None:
    """The IBAN that `text` begins with; words in capitals may follow it."""
    iban = _library("stdnum.iban")
    ends = (at for at in range(15, len(text) + 1) if text[at - 1] != " ")
    return next((text[:at] for at in ends if iban.is_valid(text[:at], check_country=False)), None)


def _card(text: str) -> str | None:
    luhn = _library("stdnum.luhn")
    digits = re.sub(r"\D", "", text)
    return text if luhn.is_valid(digits) and _CARDS.fullmatch(digits) else None


def _phone(text: str) -> str | None:
    """The number of a telephone that `text` begins with, where the plan of its country has such numbers."""
    phonenumbers = _library("phonenumbers")
    found = next(iter(phonenumbers.PhoneNumberMatcher(text, "US")), None)
    return text[: found.end] if found is not None and found.start == 0 else None


_CHECKED: dict[str, Callable[[str], str | None]] = {
    "iban": _iban,
    "card": _card,
    "phone": _phone,
    "email": lambda text: None if _NOBODY.search(text) else text,
}


def compiled(kinds: Mapping[str, str]) -> re.Pattern[str]:
    """One pattern of all `kinds`, each a group of its name."""
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()))


def found(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of what `pattern`, from `compiled`, finds in `text`."""
    at = 0
    while match := pattern.search(text, at):
        kind = match.lastgroup or ""
        held = _CHECKED[kind](match[0]) if kind in _CHECKED else match[0]
        if held:
            yield kind, match.start(), match.start() + len(held)
        at = match.start() + len(held) if held else match.start() + 1


def mask(value: Any, pattern: re.Pattern[str], counts: Counter[str]) -> Any:
    """`value`, a text or JSON of texts, with `[EMAIL]` for an e-mail address; `counts` says how many of which kind."""
    if isinstance(value, Mapping):
        return {key: mask(member, pattern, counts) for key, member in value.items()}
    if isinstance(value, list):
        return [mask(member, pattern, counts) for member in value]
    if not isinstance(value, str):
        return value
    pieces, at = [], 0
    for kind, start, end in found(value, pattern):
        pieces += [value[at:start], f"[{kind.upper()}]"]
        at = end
        counts[kind] += 1
    return "".join([*pieces, value[at:]]) if pieces else value


def masked(row: Mapping[str, Any], pattern: re.Pattern[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """`row` of a version with all its texts masked, and how many there were of which kind, noted in its `meta`.

    `messages` and `meta` may be JSON text. Scores of the texts that were are dropped.
    """
    counts: Counter[str] = Counter()
    out = dict(row)
    for name in ("messages", "meta"):
        if isinstance(out.get(name), str):
            out[name] = json.loads(out[name])
    for name in ("messages", "completion", "demonstration", "answer", "meta"):
        if name in out and not (name == "demonstration" and out[name] == row.get("completion")):
            out[name] = mask(out[name], pattern, counts)
    if row.get("demonstration") == row.get("completion"):
        out["demonstration"] = out.get("completion")
    if counts:
        earlier = (out.get("meta") or {}).get("masked") or {}
        out["meta"] = {**(out.get("meta") or {}), "masked": dict(Counter(earlier) + counts)}
        out |= {
            name: None
            for name in ("nll_demonstration", "nll_completion", "nll_self", "num_tokens")
            if name in out
        }
    return out, dict(counts)
