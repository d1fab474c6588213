"""Formulas as text that is read: `\\frac{1}{2} \\times x^2` as a fraction, a sign and a raised 2.

Reads LaTeX as people and models write it into demonstrations, not all of it: a command that is not known stays as it is
written. Nothing is computed and nothing is lost but signs that only format.
"""

from __future__ import annotations

import re

from recast.pipelines.review.paint import Node, Painted

_SIGNS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "ast": "∗", "star": "⋆", "circ": "∘", "bullet": "•",
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "sim": "∼", "simeq": "≃",
    "equiv": "≡", "cong": "≅", "propto": "∝", "ll": "≪", "gg": "≫", "lt": "<", "gt": ">", "in": "∈", "notin": "∉",
    "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "cup": "∪", "cap": "∩", "setminus": "∖", "emptyset": "∅",
    "varnothing": "∅", "forall": "∀", "exists": "∃", "neg": "¬", "land": "∧", "wedge": "∧", "lor": "∨", "vee": "∨",
    "to": "→", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "implies": "⟹", "iff": "⟺", "mapsto": "↦",
    "Leftrightarrow": "⇔", "leftrightarrow": "↔", "uparrow": "↑", "downarrow": "↓", "infty": "∞", "partial": "∂",
    "nabla": "∇", "sum": "∑", "prod": "∏", "int": "∫", "oint": "∮", "angle": "∠", "degree": "°", "perp": "⊥",
    "parallel": "∥", "mid": "∣", "nmid": "∤", "triangle": "△", "square": "□", "therefore": "∴", "because": "∵",
    "ldots": "…", "dots": "…", "cdots": "⋯", "vdots": "⋮", "ddots": "⋱", "prime": "′", "ell": "ℓ", "hbar": "ℏ",
    "Re": "ℜ", "Im": "ℑ", "aleph": "ℵ", "oplus": "⊕", "otimes": "⊗", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊",
    "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "lvert": "|", "rvert": "|", "vert": "|", "Vert": "‖", "checkmark": "✓",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "quad": "\u2003", "qquad": "\u2003\u2003",
}  # fmt: skip
_NAMES = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim max min gcd lcm det mod deg dim ker "
    "arg sup inf Pr".split()
)
_GROUPS = frozenset(
    "text mathrm mathbf mathit mathsf mathtt mathbb mathcal textbf textit textrm boldsymbol bm mbox hbox operatorname "
    "underline overline bar vec hat".split()
)
_BOXES = frozenset(("boxed", "fbox"))
_NOTHING = frozenset(
    "left right big Big bigl bigr Bigl Bigr displaystyle textstyle limits nolimits hline".split()
)
_SPACES = frozenset(",;:! ")
_DEEPEST = 24
_COMMAND = re.compile(r"\\(?:([A-Za-z]+)\*?|(.))", re.DOTALL)
_PLAIN = re.compile(r"[^\\{}^_&~]+")


def formula(painted: Painted, start: int, end: int, depth: int = 0) -> list[Node]:
    """The characters `start` to `end`, which stand inside a formula."""
    if depth > _DEEPEST:
        return painted.leaf(start, end)
    out: list[Node] = []
    at, text = start, painted.text
    while at < end:
        sign = text[at]
        if sign == "\\":
            nodes, at = command(painted, at, end, depth)
            out += nodes
        elif sign in "^_":
            low, high, after = _argument(painted, at + 1, end)
            out += painted.hidden(at, at + 1)
            out.append(["sup" if sign == "^" else "sub", {}, *formula(painted, low, high, depth + 1)])
            at = after
        elif sign in "{}":
            out += painted.hidden(at, at + 1)
            at += 1
        elif sign in "&~":
            out += painted.sign("\u2002" if sign == "&" else "\u00a0", at, at + 1)
            at += 1
        else:
            found = _PLAIN.match(text, at, end)
            after = found.end() if found else at + 1
            out += painted.leaf(at, after)
            at = after
    return out


def command(painted: Painted, at: int, end: int, depth: int = 0) -> tuple[list[Node], int]:
    """The command whose backslash stands at `at`, with what it takes, and the place after it."""
    found = _COMMAND.match(painted.text, at, end)
    if found is None:
        return painted.leaf(at, at + 1), at + 1
    after, name = found.end(), found[1]
    if name is None:
        return _escaped(painted, found[2], at, after), after
    if name in _SIGNS:
        return painted.sign(_SIGNS[name], at, after), after
    if name in _NAMES:
        return painted.sign(name, at, after), after
    if name in _NOTHING:
        return painted.hidden(at, after), after
    if name in ("begin", "end"):
        _, _, after = _argument(painted, after, end)
        return painted.hidden(at, after), after
    if name in ("frac", "dfrac", "tfrac", "cfrac"):
        low, high, then = _argument(painted, after, end)
        under, below, last = _argument(painted, then, end)
        above = ["span", {"class": "above"}, *formula(painted, low, high, depth + 1)]
        beneath = ["span", {"class": "beneath"}, *formula(painted, under, below, depth + 1)]
        return [*painted.hidden(at, after), ["span", {"class": "frac"}, above, ["i", {}, "/"], beneath]], last
    if name == "sqrt":
        if after < end and painted.text[after] == "[" and (close := painted.text.find("]", after, end)) > 0:
            index: list[Node] = [["sup", {}, *painted.leaf(after + 1, close)]]
            after = close + 1
        else:
            index = []
        low, high, last = _argument(painted, after, end)
        root = ["span", {"class": "root"}, *formula(painted, low, high, depth + 1)]
        return [*index, *painted.sign("√", at, after), root], last
    if name in _GROUPS or name in _BOXES:
        low, high, last = _argument(painted, after, end)
        inner = (
            formula(painted, low, high, depth + 1) if name in _BOXES else _words(painted, low, high, depth)
        )
        if name in _BOXES:
            return [*painted.hidden(at, after), ["span", {"class": "boxed"}, *inner]], last
        return [*painted.hidden(at, after), *inner], last
    return painted.leaf(at, after), after


def known(name: str) -> bool:
    """Whether a command means something outside a formula, too."""
    return name in _SIGNS or name in _GROUPS or name in _BOXES or name in ("frac", "dfrac", "tfrac", "sqrt")


def _words(painted: Painted, start: int, end: int, depth: int) -> list[Node]:
    """The words of a `\\text`, in which only commands are special."""
    out: list[Node] = []
    at = start
    while at < end:
        slash = painted.text.find("\\", at, end)
        if slash != at:
            out += painted.leaf(at, end if slash < 0 else slash)
        if slash < 0:
            break
        nodes, at = command(painted, slash, end, depth + 1)
        out += nodes
    return out


def _escaped(painted: Painted, sign: str, at: int, after: int) -> list[Node]:
    if sign == "\\":
        return [*painted.hidden(at, after), ["br", {}]]
    if sign in _SPACES:
        return painted.sign("" if sign == "!" else "\u2009", at, after)
    return painted.sign(sign, at, after) if sign in "{}$%&#_" else painted.leaf(at, after)


def _argument(painted: Painted, at: int, end: int) -> tuple[int, int, int]:
    """(from, to, place after) of what a command takes: a group, a command, or one sign."""
    text = painted.text
    while at < end and text[at] in " \n":
        at += 1
    if at >= end:
        return end, end, end
    if text[at] == "{":
        close = painted.braces.get(at)
        return (at + 1, close, close + 1) if close is not None and close < end else (at + 1, end, end)
    if text[at] == "\\" and (found := _COMMAND.match(text, at, end)):
        return at, found.end(), found.end()
    return at, at + 1, at + 1
