"""What a training text must not hold: keys that open something, and data that name a person.

    masked, counts = mask("write to ann@corp.com", SECRETS | PERSONAL)    # "write to [EMAIL]", {"email": 1}

Secrets are known by the form that their issuer gives them, personal data by form and check digit, so that the numbers
of a calculation are none. A password without a form of its own, a name and a postal address are not found: no rule
tells them from other words.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

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

# Characters of an IBAN by country (ISO 13616, registry of SWIFT).
_IBAN = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
# First digits of a card's number and its lengths (ISO/IEC 7812, as the large networks use it).
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
)
_NOBODY = re.compile(  # RFC 2606
    r"@(?:.*\.)?(?:example\.(?:com|net|org|edu)|[\w-]+\.(?:example|invalid|test|localhost))$", re.IGNORECASE
)


def _iban(text: str) -> str | None:
    """The IBAN that `text` begins with; words in capitals may follow it."""
    length = _IBAN.get(text[:2], 0)
    signs = 0
    for at, sign in enumerate(text, 1):
        signs += sign != " "
        if signs == length:
            plain = text[:at].replace(" ", "")
            digits = "".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])
            return text[:at] if int(digits) % 97 == 1 else None
    return None


def _card(text: str) -> str | None:
    digits = re.sub(r"\D", "", text)
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    right = sum(d - 9 * (d > 9) for d in doubled) % 10 == 0  # Luhn
    return text if right and _CARDS.fullmatch(digits) else None


_CHECKED: dict[str, Callable[[str], str | None]] = {
    "iban": _iban,
    "card": _card,
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
