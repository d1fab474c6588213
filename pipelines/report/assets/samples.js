// The browser of rows. Every node is made with createElement and textContent, so a row that contains
// markup shows as its characters.
(() => {
  const source = document.getElementById("samples-data");
  if (!source) return;
  const samples = JSON.parse(source.textContent);
  const list = document.getElementById("sample-list");
  const view = document.getElementById("sample-view");
  const search = document.getElementById("sample-search");
  const filters = document.getElementById("sample-filters");
  const order = document.getElementById("sample-sort");
  const count = document.getElementById("sample-count");
  const SVG = "http://www.w3.org/2000/svg";
  const MINUS = "\u2212";
  const state = { shown: [], at: 0, decision: "", sideBySide: true };

  const words = (key) => key.replaceAll("_", " ");
  const fixed = (value, digits = 2) => value === null ? "\u2013" : value.toFixed(digits).replace("-", MINUS);
  const el = (name, className, ...children) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children.filter((child) => child !== null));
    return node;
  };
  const svg = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const fate = (decision) =>
    ["rewrite", "repair", "edited", "generated", "expert", "fallback"].includes(decision) ? `fate-${decision}` : "fate-all";
  const preview = (sample) => {
    const user = sample.prompt.filter(([role]) => role === "user").pop() ?? sample.prompt.at(-1);
    return (user ? user[1] : sample.id).replace(/\s+/g, " ").slice(0, 90);
  };
  for (const [place, sample] of samples.entries()) {
    sample.place = place;
    const kept = sample.diff.every(([op]) => op === 0);
    sample.gain = !kept && sample.nll[0] !== null && sample.nll[1] !== null ? sample.nll[0] - sample.nll[1] : null;
    sample.haystack = [
      sample.id, sample.task, sample.decision, sample.reason, words(sample.reason), sample.answer ?? "",
      ...sample.prompt.map((message) => message[1]), ...sample.diff.map((part) => part[1]),
    ].join("\n").toLowerCase();
  }

  const row = (sample, place) => {
    const top = el("span", "row-top", el("b", "", words(sample.decision)),
      el("span", "", sample.gain !== null ? `NLL ${sample.gain > 0 ? MINUS : "+"}${Math.abs(sample.gain).toFixed(2)}` : words(sample.reason)));
    const item = el("li", fate(sample.decision), top, el("span", "row-text", preview(sample)));
    item.role = "option";
    item.id = `sample-${sample.place}`;
    item.addEventListener("click", () => select(place));
    return item;
  };

  const diffText = (sample, keep) => {
    const box = el("pre", "text");
    for (const [op, part] of sample.diff) {
      if (!keep.includes(op)) continue;
      if (op === 0) box.append(part);
      else box.append(el(op < 0 ? "del" : "ins", "", part));
    }
    box.tabIndex = 0;
    return box;
  };
  const pane = (arm, name, note, box) => el("div", `pane ${arm}`, el("h4", "", name, el("span", "", note)), box);

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
    }
    return box;
  };

  const modeSwitch = () => {
    const box = el("div", "view-mode");
    for (const [name, value] of [["side by side", true], ["inline", false]]) {
      const button = el("button", "", name);
      button.type = "button";
      button.setAttribute("aria-pressed", String(state.sideBySide === value));
      button.addEventListener("click", () => { state.sideBySide = value; render(); });
      box.append(button);
    }
    return box;
  };

  const render = () => {
    const sample = state.shown[state.at];
    if (!sample) {
      view.replaceChildren(el("p", "empty", "No sample matches."));
      return;
    }
    const css = fate(sample.decision);
    const same = sample.diff.every(([op]) => op === 0);
    const reason = sample.reason ? el("span", "", words(sample.reason)) : null;
    const head = el("div", "sample-head", el("span", `badge ${css}`, words(sample.decision)), reason,
      sample.task ? el("span", "", words(sample.task)) : null, el("code", "", sample.id + (sample.target ? `/${sample.target}` : "")),
      same ? null : modeSwitch());
    const prompt = el("div", "prompt", ...sample.prompt.map(([role, content]) =>
      el("p", "", el("span", "role", role), content)));
    const changed = sample.formatOnly ? "only the format changed"
      : `${Math.round(100 * sample.distance)} % of words changed`;
    const panes = el("div", state.sideBySide && !same ? "panes" : "panes inline");
    if (same) panes.append(pane("arm-reference", "Expert\u2019s text, kept", "", diffText(sample, [0])));
    else if (state.sideBySide) {
      panes.append(pane("arm-reference", "Expert", "", diffText(sample, [0, -1])),
        pane("arm-target", "Rewrite", changed, diffText(sample, [0, 1])));
    } else panes.append(pane("arm-target", "Expert to rewrite", changed, diffText(sample, [0, -1, 1])));
    const answer = sample.answer === null ? null : el("p", "why", "Reference answer ", el("b", "", sample.answer));
    view.replaceChildren(head, prompt, panes, ...[answer, checks(sample), nllBars(sample), candidates(sample)].filter(Boolean));
    view.scrollTop = 0;
  };

  const select = (place, scroll = true) => {
    state.at = Math.max(0, Math.min(place, state.shown.length - 1));
    for (const item of list.children) item.setAttribute("aria-selected", "false");
    const item = list.children[state.at];
    if (item) {
      item.setAttribute("aria-selected", "true");
      list.setAttribute("aria-activedescendant", item.id);
      if (scroll) {
        if (item.offsetTop < list.scrollTop + list.offsetTop) list.scrollTop = item.offsetTop - list.offsetTop;
        const under = item.offsetTop - list.offsetTop + item.offsetHeight - list.clientHeight;
        if (under > list.scrollTop) list.scrollTop = under;
      }
      count.textContent = `${state.at + 1} of ${state.shown.length}`;
    } else {
      list.removeAttribute("aria-activedescendant");
      count.textContent = "0 samples";
    }
    render();
  };

  const refresh = () => {
    const needles = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.shown = samples.filter((sample) => (!state.decision || sample.decision === state.decision)
      && needles.every((needle) => sample.haystack.includes(needle)));
    const by = order.value;
    if (by !== "order") state.shown.sort((a, b) => (b[by] ?? -Infinity) - (a[by] ?? -Infinity));
    list.replaceChildren(...state.shown.map(row));
    select(0);
  };

  const kinds = [...new Set(samples.map((sample) => sample.decision))];
  for (const kind of kinds.length > 1 ? ["", ...kinds] : []) {
    const n = kind ? samples.filter((sample) => sample.decision === kind).length : samples.length;
    const button = el("button", "", `${kind ? words(kind) : "all"} ${n}`);
    button.type = "button";
    button.setAttribute("aria-pressed", String(!kind));
    button.addEventListener("click", () => {
      state.decision = kind;
      for (const other of filters.children) other.setAttribute("aria-pressed", String(other === button));
      refresh();
    });
    filters.append(button);
  }
  search.addEventListener("input", refresh);
  order.addEventListener("change", refresh);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); select(state.at + step); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && document.activeElement === search) { search.blur(); return; }
    if (["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement?.tagName)) return;
    const section = document.getElementById("samples");
    const bring = () => {
      const box = section.getBoundingClientRect();
      if (box.top > innerHeight * 0.6 || box.bottom < 200) section.scrollIntoView();
    };
    if (event.key === "j") { select(state.at + 1); bring(); }
    else if (event.key === "k") { select(state.at - 1); bring(); }
    else if (event.key === "s") { state.sideBySide = !state.sideBySide; render(); }
    else if (event.key === "/") { event.preventDefault(); bring(); search.focus(); }
  });
  const wanted = /^#row=(.+)$/.exec(location.hash);
  refresh();
  if (wanted) {
    const place = state.shown.findIndex((sample) => encodeURIComponent(sample.id) === wanted[1]);
    if (place >= 0) { select(place); document.getElementById("samples").scrollIntoView(); }
  }
})();
