// What the browser of rows shows of a report's samples.
(() => {
  const { el, pane, text, words } = rowBrowser;
  const SVG = "http://www.w3.org/2000/svg";
  const MINUS = "\u2212";
  const fixed = (value, digits = 2) => value === null ? "\u2013" : value.toFixed(digits).replace("-", MINUS);
  const svg = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const fate = (decision) =>
    ["rewrite", "repair", "edited", "generated", "expert", "fallback"].includes(decision) ? `fate-${decision}` : "fate-all";
  const kept = (sample) => sample.diff.every(([op]) => op === 0);

  const nllBars = (sample) => {
    const lines = [["expert", sample.nll[0], "arm-reference"], ["rewrite", sample.nll[1], "arm-target"],
      ["own samples", sample.nll[2], "arm-base"]].filter((line) => line[1] !== null);
    if (sample.decision === "fallback" || sample.decision === "expert") {
      lines.splice(0, lines.length, ...lines.filter((line) => line[0] !== "rewrite"));
    }
    if (lines.length < 2) return null;
    const most = Math.max(...lines.map((line) => line[1]), 0.01);
    const drawing = svg("svg", { viewBox: `0 0 520 ${lines.length * 20}`, role: "img",
      "aria-label": lines.map((line) => `${line[0]} ${fixed(line[1])}`).join(", ") });
    for (const [turn, [name, value, arm]] of lines.entries()) {
      const group = svg("g", { class: arm });
      const wide = Math.max(340 * Math.max(value, 0) / most, 1);
      group.append(
        svg("text", { x: 0, y: turn * 20 + 13 }, name),
        svg("rect", { x: 104, y: turn * 20 + 5, width: wide, height: 9, rx: 2 }),
        svg("text", { x: 110 + wide, y: turn * 20 + 13.5, class: "num" }, fixed(value)));
      drawing.append(group);
    }
    return el("div", "nlls", el("h4", "", "NLL, nats a token"), drawing);
  };

  const checks = (sample) => {
    if (!sample.checks.length) return null;
    const signs = { pass: "\u2713", fail: "\u2715", undecided: "?" };
    return el("ul", "strip", ...sample.checks.map((check) => {
      const item = el("li", check.status in signs ? check.status : "", el("b", "", signs[check.status] ?? "?"),
        words(check.name), check.score === null ? null : ` ${fixed(check.score)}`);
      item.dataset.tip = [words(check.name), words(check.status) + (check.reason ? `: ${words(check.reason)}` : ""),
        check.message].filter(Boolean).join("\n");
      return item;
    }));
  };

  const candidates = (sample) => {
    const others = sample.candidates.filter((candidate) => !candidate.chosen);
    if (!others.length) return null;
    const box = el("details", "others", el("summary", "", `${others.length} other candidate${others.length > 1 ? "s" : ""}`));
    box.open = sample.decision === "fallback";
    for (const candidate of others) {
      const css = { accepted: "fate-rewrite", rejected: "fate-fallback" }[candidate.status] ?? "fate-edited";
      const facts = [candidate.reason ? words(candidate.reason) : "", candidate.attempt ? `repair ${candidate.attempt}` : "",
        candidate.nll === null ? "" : `NLL ${fixed(candidate.nll)}`].filter(Boolean).join(", ");
      box.append(el("p", `candidate-head ${css}`, el("b", "", candidate.status), facts ? ` \u00b7 ${facts}` : ""),
        el("pre", "text", candidate.text));
      if (candidate.cut) box.append(cut(candidate));
    }
    return box;
  };

  // what was cut from a sample before the gate, on both sides of what was kept
  const cut = (candidate) => {
    const [before, after, rules] = candidate.cut;
    const box = el("details", "cut", el("summary", "", `Cut from the sample before the gate: ${rules.map(words).join(", ")}`));
    for (const [where, span] of [["before it", before], ["after it", after]]) {
      if (span.trim()) box.append(el("p", "candidate-head", where), el("pre", "text", span));
    }
    return box;
  };

  const chosenCut = (sample) => {
    const candidate = sample.candidates.find((one) => one.chosen && one.cut);
    return candidate ? cut(candidate) : null;
  };

  const panes = (sample, sideBySide) => {
    const same = kept(sample);
    const changed = sample.formatOnly ? "only the format changed"
      : `${Math.round(100 * sample.distance)} % of words changed`;
    const box = el("div", sideBySide && !same ? "panes" : "panes inline");
    if (same) box.append(pane("arm-reference", "Expert\u2019s text, kept", "", text(sample, [0])));
    else if (sideBySide) {
      box.append(pane("arm-reference", "Expert", "", text(sample, [0, -1])),
        pane("arm-target", "Rewrite", changed, text(sample, [0, 1])));
    } else box.append(pane("arm-target", "Expert to rewrite", changed, text(sample, [0, -1, 1])));
    return box;
  };

  const answer = (sample) =>
    sample.answer === null ? null : el("p", "why", "Reference answer ", el("b", "", sample.answer));

  rowBrowser.browse({
    noun: "sample",
    kind: (sample) => sample.decision,
    label: words,
    css: fate,
    words: (sample) => [sample.task, sample.decision, sample.reason, words(sample.reason), sample.answer ?? ""],
    aside: (sample) => sample.gain !== null
      ? `NLL ${sample.gain > 0 ? MINUS : "+"}${Math.abs(sample.gain).toFixed(2)}` : words(sample.reason),
    oneText: kept,
    facts: (sample) => [sample.reason, sample.task].filter(Boolean).map((fact) => el("span", "", words(fact))),
    panes,
    details: (sample) => [answer(sample), checks(sample), nllBars(sample), chosenCut(sample), candidates(sample)],
  });
})();
