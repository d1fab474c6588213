// The browser of rows that pages share: a list with search, filters and keys, and beside it the row that is chosen.
// Every node is made with createElement and textContent, so a row that contains markup shows as its characters.
const rowBrowser = (() => {
  const words = (key) => key.replaceAll("_", " ");
  const el = (name, className, ...children) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children.filter((child) => child !== null));
    return node;
  };
  const button = (label, press) => {
    const node = el("button", "", label);
    node.type = "button";
    node.addEventListener("click", () => press(node));
    return node;
  };
  // what of row.diff, [op, text] with op 0 both, -1 before and 1 after, has an op in `keep`
  const text = (row, keep) => {
    const box = el("pre", "text");
    for (const [op, part] of row.diff) {
      if (!keep.includes(op)) continue;
      box.append(op === 0 ? part : el(op < 0 ? "del" : "ins", "", part));
    }
    box.tabIndex = 0;
    return box;
  };
  const pane = (arm, name, note, box) =>
    el("div", `pane ${arm}`, el("h4", "", name, note ? el("span", "", note) : null), box);
  const preview = (row) => {
    const message = row.prompt.filter(([role]) => role === "user").pop() ?? row.prompt.at(-1);
    const said = message ? message[1] : row.diff.map((part) => part[1]).join("");
    return said.replace(/\s+/g, " ").slice(0, 90) || row.id;
  };

  // Shows the rows of #row-data. `page` knows what is theirs alone:
  //   noun                            what one is called
  //   kind(row), label(kind), css(kind)   what the filters choose by, in words, in colour
  //   words(row)                      what the search looks through beside id, prompt and texts
  //   aside(row)                      what stands at the right of its line in the list
  //   oneText(row)                    whether there is nothing to put side by side
  //   facts(row)                      nodes after the badge
  //   panes(row, sideBySide, render)  the texts
  //   details(row)                    nodes under the texts
  //   key(name, row, list)            what another key does; list: render, next, and changed() where a line says otherwise
  const browse = (page) => {
    const source = document.getElementById("row-data");
    if (!source) return;
    const rows = JSON.parse(source.textContent);
    const [list, view, search, filters, count, order] = ["list", "view", "search", "filters", "count", "sort"]
      .map((part) => document.getElementById(`row-${part}`));
    const section = list.closest("section");
    const state = { shown: [], at: 0, kind: "", sideBySide: true };
    for (const [place, row] of rows.entries()) {
      row.place = place;
      row.haystack = [row.id, ...page.words(row), ...row.prompt.map((message) => message[1]),
        row.diff.map((part) => part[1]).join("")].join("\n").toLowerCase();
    }

    const line = (row, place) => {
      const kind = page.kind(row);
      const node = el("li", page.css(kind),
        el("span", "row-top", el("b", "", page.label(kind)), el("span", "", page.aside(row))),
        el("span", "row-text", preview(row)));
      node.role = "option";
      node.id = `row-${row.place}`;
      node.addEventListener("click", () => select(place));
      return node;
    };

    const modeSwitch = () => {
      const box = el("div", "view-mode");
      for (const [name, value] of [["side by side", true], ["inline", false]]) {
        const choice = button(name, () => { state.sideBySide = value; render(); });
        choice.setAttribute("aria-pressed", String(state.sideBySide === value));
        box.append(choice);
      }
      return box;
    };

    const render = () => {
      const row = state.shown[state.at];
      if (!row) {
        view.replaceChildren(el("p", "empty", `No ${page.noun} matches.`));
        return;
      }
      const kind = page.kind(row);
      const head = el("div", "row-head", el("span", `badge ${page.css(kind)}`, page.label(kind)), ...page.facts(row),
        el("code", "", row.id + (row.target ? `/${row.target}` : "")), page.oneText(row) ? null : modeSwitch());
      const prompt = el("div", "prompt", ...row.prompt.map(([role, content]) =>
        el("p", "", el("span", "role", role), content)));
      view.replaceChildren(head, ...row.prompt.length ? [prompt] : [], page.panes(row, state.sideBySide, render),
        ...page.details(row).filter(Boolean));
      view.scrollTop = 0;
    };

    const changed = () => {
      const now = line(state.shown[state.at], state.at);
      now.setAttribute("aria-selected", "true");
      list.children[state.at].replaceWith(now);
      render();
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
      count.textContent = node ? `${state.at + 1} of ${state.shown.length}` : `0 ${page.noun}s`;
      render();
    };

    const around = { render, changed, next: () => select(state.at + 1) };
    page.around = around;

    const refresh = () => {
      const needles = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      state.shown = rows.filter((row) => (!state.kind || page.kind(row) === state.kind)
        && needles.every((needle) => row.haystack.includes(needle)));
      const by = order?.value ?? "order";
      if (by !== "order") state.shown.sort((a, b) => (b[by] ?? -Infinity) - (a[by] ?? -Infinity));
      list.replaceChildren(...state.shown.map(line));
      select(0);
    };

    const kinds = [...new Set(rows.map(page.kind))];
    for (const kind of kinds.length > 1 ? ["", ...kinds] : []) {
      const n = kind ? rows.filter((row) => page.kind(row) === kind).length : rows.length;
      const filter = button(`${kind ? page.label(kind) : "all"} ${n}`, (pressed) => {
        state.kind = kind;
        for (const other of filters.children) other.setAttribute("aria-pressed", String(other === pressed));
        refresh();
      });
      filter.setAttribute("aria-pressed", String(!kind));
      filters.append(filter);
    }
    search.addEventListener("input", refresh);
    order?.addEventListener("change", refresh);
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); select(state.at + step); }
    });
    const bring = () => {
      const box = section.getBoundingClientRect();
      if (box.top > innerHeight * 0.6 || box.bottom < 200) section.scrollIntoView();
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && document.activeElement === search) { search.blur(); return; }
      if (["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement?.tagName)) return;
      if (event.key === "j") { select(state.at + 1); bring(); }
      else if (event.key === "k") { select(state.at - 1); bring(); }
      else if (event.key === "s") { state.sideBySide = !state.sideBySide; render(); }
      else if (event.key === "/") { event.preventDefault(); bring(); search.focus(); }
      else if (state.shown[state.at] && page.key?.(event.key, state.shown[state.at], around)) event.preventDefault();
    });
    refresh();
    const wanted = /^#row=(.+)$/.exec(location.hash);
    const place = wanted ? state.shown.findIndex((row) => encodeURIComponent(row.id) === wanted[1]) : -1;
    if (place >= 0) { select(place); section.scrollIntoView(); }
  };

  return { browse, button, el, pane, text, words };
})();
