// The browser of a diff's rows. Every node is made with createElement and textContent, so a row that
// contains markup shows as its characters.
(() => {
  const source = document.getElementById("diff-data");
  if (!source) return;
  const rows = JSON.parse(source.textContent);
  const list = document.getElementById("sample-list");
  const view = document.getElementById("sample-view");
  const search = document.getElementById("diff-search");
  const filters = document.getElementById("diff-filters");
  const count = document.getElementById("diff-count");
  const FOLDED = ["blanks", "format"];
  const SAYS = { answer: "final answer", blanks: "white space only", format: "format only", words: "words" };
  const state = { shown: [], at: 0, edit: "", sideBySide: true, unfolded: new Set() };

  const el = (name, className, ...children) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children.filter((child) => child !== null));
    return node;
  };
  const css = (edit) => `edit-${edit.split(" ")[0]}`;
  const said = (edit) => SAYS[edit] ?? edit;
  for (const [place, row] of rows.entries()) {
    row.place = place;
    row.text = row.diff.map((part) => part[1]).join("");
    row.haystack = [row.id, row.edit, row.reason, ...row.decision, ...row.answers, row.text,
      ...row.prompt.map((message) => message[1]), ...row.columns.flat()].join("\n").toLowerCase();
  }

  const item = (row, place) => {
    const flip = row.decision[0] !== row.decision[1] && row.decision[0] && row.decision[1]
      ? `${row.decision[0]} \u2192 ${row.decision[1]}` : row.decision[1] ?? row.decision[0] ?? "";
    const node = el("li", css(row.edit), el("span", "row-top", el("b", "", said(row.edit)), el("span", "", flip)),
      el("span", "row-text", (row.prompt.at(-1)?.[1] ?? row.text).replace(/\s+/g, " ").slice(0, 90) || row.id));
    node.role = "option";
    node.id = `row-${row.place}`;
    node.addEventListener("click", () => select(place));
    return node;
  };

  const text = (row, keep) => {
    const box = el("pre", "text");
    for (const [op, part] of row.diff) {
      if (!keep.includes(op)) continue;
      box.append(op === 0 ? part : el(op < 0 ? "del" : "ins", "", part));
    }
    box.tabIndex = 0;
    return box;
  };
  const pane = (arm, name, box) => el("div", `pane ${arm}`, el("h4", "", name), box);

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

  const answers = (row) => {
    const [was, now] = row.answers;
    if (was === null && now === null) return null;
    const differs = row.edit === "answer";
    const line = el("p", differs ? "pinned differs" : "pinned", differs ? "The final answer changed: " : "Final answer ");
    if (!differs) line.append(el("b", "", now ?? was));
    else line.append(el("b", "", was ?? "none"), " \u2192 ", el("b", "", now ?? "none"));
    return line;
  };

  const columns = (row) => {
    if (!row.columns.length) return null;
    const table = el("table", "columns");
    for (const [name, was, now] of row.columns) {
      table.append(el("tr", "", el("th", "", name), el("td", "", el("del", "", was)), el("td", "", el("ins", "", now))));
    }
    return table;
  };

  const panes = (row) => {
    if (FOLDED.includes(row.edit) && !state.unfolded.has(row.place)) {
      const open = el("button", "", "show it");
      open.type = "button";
      open.addEventListener("click", () => { state.unfolded.add(row.place); render(); });
      return el("div", "", el("p", "folded", `Only ${row.edit === "blanks" ? "white space" : "the format"} changed.`, open),
        el("div", "panes inline", pane("arm-target", "Now", text(row, [0, 1]))));
    }
    const box = el("div", state.sideBySide && row.op !== "add" && row.op !== "remove" ? "panes" : "panes inline");
    if (row.op === "add") box.append(pane("arm-target", "Added", text(row, [1])));
    else if (row.op === "remove") box.append(pane("arm-reference", "Removed", text(row, [-1])));
    else if (state.sideBySide) box.append(pane("arm-reference", "Before", text(row, [0, -1])), pane("arm-target", "After", text(row, [0, 1])));
    else box.append(pane("arm-target", "Before and after", text(row, [0, -1, 1])));
    return box;
  };

  const render = () => {
    const row = state.shown[state.at];
    if (!row) {
      view.replaceChildren(el("p", "empty", "No row matches."));
      return;
    }
    const decision = row.decision.filter((d) => d);
    const flip = decision.length === 2 && decision[0] !== decision[1] ? decision.join(" \u2192 ") : decision.at(-1) ?? "";
    const nll = row.nll.every((value) => value !== null && value !== undefined)
      ? el("span", "", `NLL ${row.nll[0].toFixed(2)} \u2192 ${row.nll[1].toFixed(2)}`) : null;
    const head = el("div", "sample-head", el("span", `badge ${css(row.edit)}`, said(row.edit)), el("span", "", flip),
      row.reason ? el("span", "", row.reason.replaceAll("_", " ")) : null, nll,
      el("code", "", row.id + (row.target ? `/${row.target}` : "")),
      row.op === "add" || row.op === "remove" ? null : modeSwitch());
    const prompt = el("div", "prompt", ...row.prompt.map(([role, content]) => el("p", "", el("span", "role", role), content)));
    view.replaceChildren(head, ...[row.prompt.length ? prompt : null, panes(row), answers(row), columns(row)].filter(Boolean));
    view.scrollTop = 0;
  };

  const select = (place) => {
    state.at = Math.max(0, Math.min(place, state.shown.length - 1));
    for (const node of list.children) node.setAttribute("aria-selected", "false");
    const node = list.children[state.at];
    if (node) {
      node.setAttribute("aria-selected", "true");
      list.setAttribute("aria-activedescendant", node.id);
      const top = node.offsetTop - list.offsetTop;
      if (top < list.scrollTop) list.scrollTop = top;
      list.scrollTop = Math.max(list.scrollTop, top + node.offsetHeight - list.clientHeight);
    } else list.removeAttribute("aria-activedescendant");
    count.textContent = node ? `${state.at + 1} of ${state.shown.length}` : "0 rows";
    render();
  };

  const refresh = () => {
    const needles = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.shown = rows.filter((row) => (!state.edit || row.edit === state.edit)
      && needles.every((needle) => row.haystack.includes(needle)));
    list.replaceChildren(...state.shown.map(item));
    select(0);
  };

  const kinds = [...new Set(rows.map((row) => row.edit))];
  for (const kind of kinds.length > 1 ? ["", ...kinds] : []) {
    const n = kind ? rows.filter((row) => row.edit === kind).length : rows.length;
    const button = el("button", "", `${kind ? said(kind) : "all"} ${n}`);
    button.type = "button";
    button.setAttribute("aria-pressed", String(!kind));
    button.addEventListener("click", () => {
      state.edit = kind;
      for (const other of filters.children) other.setAttribute("aria-pressed", String(other === button));
      refresh();
    });
    filters.append(button);
  }
  search.addEventListener("input", refresh);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); select(state.at + step); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && document.activeElement === search) { search.blur(); return; }
    if (document.activeElement?.tagName === "INPUT") return;
    if (event.key === "j") select(state.at + 1);
    else if (event.key === "k") select(state.at - 1);
    else if (event.key === "s") { state.sideBySide = !state.sideBySide; render(); }
    else if (event.key === "/") { event.preventDefault(); search.focus(); }
  });
  refresh();
  const wanted = /^#row=(.+)$/.exec(location.hash);
  const place = wanted ? state.shown.findIndex((row) => encodeURIComponent(row.id) === wanted[1]) : -1;
  if (place >= 0) select(place);
})();
