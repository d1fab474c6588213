// The review: one row at a time, one key a decision. What a key asks for is done in the order of the keys, and shown as
// done when the server has it on disk.
import { get, latest, newId, post, Refused } from "./calls.js";
import { el } from "./tree.js";
import * as view from "./view.js";
import { Editor } from "./edit.js";

const [rowBox, side, said, count, rate, progress, filterBar, help] =
  ["row", "side", "said", "count", "rate", "progress", "filter-bar", "help"].map((id) => document.getElementById(id));
const AHEAD = 2;
const state = { facts: null, row: null, mode: "side", editor: null, opened: new Set(), generation: 0 };
const shelf = new Map(); // rows that were fetched ahead, by place

// rows

const fetched = (place) => {
  const name = `${state.generation}/${state.mode}/${place}`;
  if (!shelf.has(name)) {
    const promise = get(`row/${place}?view=${state.mode}`);
    promise.catch(() => shelf.delete(name));
    shelf.set(name, promise);
    if (shelf.size > 40) shelf.delete(shelf.keys().next().value);
  }
  return shelf.get(name);
};

const forget = () => {
  state.generation += 1;
  shelf.clear();
};

const show = async (place) => {
  if (place === null || place === undefined) return finished();
  const row = await fetched(place);
  state.row = row;
  state.editor = null;
  draw();
  scrollTo(0, 0);
  for (let next = place + 1; next <= Math.min(place + AHEAD, state.facts.total - 1); next += 1) fetched(next).catch(() => {});
  tellMore(row);
};

const gate = () => `Gate ${state.facts.gate}`;

const draw = () => {
  const row = state.row;
  rowBox.replaceChildren(view.head(row, state.facts.total, state.mode), view.question(row), view.panes(row),
    el("div", "more"));
  side.replaceChildren(...[view.standing(row), view.checks(row.checks, gate()), view.likelihood(row),
    view.reasons(row, state.facts.reasons), view.note(row)].filter(Boolean));
  rowBox.dataset.place = String(row.place);
  rowBox.dataset.row = row.row_id;
  performance.mark("row");
};

const finished = () => {
  const enough = sure(state.facts.active);
  const title = enough ? `${enough}.` : "All of it is decided.";
  state.last = state.row?.place ?? state.last;
  state.row = null;
  rowBox.replaceChildren(el("div", "finished", el("h1", "", title),
    enough ? el("p", "", "That is what was asked for; j goes on all the same.") : null,
    el("p", "", "Commit it: ", el("code", "", `recast review ${state.facts.version} --commit`)),
    el("p", "quiet", "/ brings rows back (is:deferred, is:suspect, or no filter); g goes to a row; u undoes.")));
  side.replaceChildren();
  delete rowBox.dataset.place;
  delete rowBox.dataset.row;
  announce(title);
};

let waits = 0;
const tellMore = (row) => {
  clearTimeout(waits);
  waits = setTimeout(async () => {
    try {
      const found = await get(`more?row=${encodeURIComponent(row.row_id)}&target=${row.target}`);
      if (state.row !== row) return;
      state.more = found;
      rowBox.querySelector(".more")?.replaceChildren(view.more(found));
      for (const id of state.opened) open(id, true);
    } catch (error) {
      if (state.row === row) rowBox.querySelector(".more")?.replaceChildren(el("p", "caption", error.message));
    }
  }, 350);
};

const open = (id, opens) => {
  const box = document.getElementById(id);
  if (box) box.open = opens;
};

// progress

const told = (answer) => {
  const { row: _row, standing: _standing, ...facts } = answer;
  Object.assign(state.facts, facts);
  const { done, rows, total, estimate, active } = state.facts;
  progress.max = Math.max(rows, 1);
  progress.value = Math.min(done, rows);
  count.textContent = `${done.toLocaleString()} of ${rows.toLocaleString()}`;
  const hourly = state.facts.rate;
  rate.textContent = [hourly ? `${Math.round(hourly).toLocaleString()} rows an hour` : "",
    active ? sure(active) || `${percent(active.low)} to ${percent(active.high)} refused, ${left(active)}` : "",
    estimate ? `${percent(estimate.refused / estimate.rows)} refused (95 %: ${percent(estimate.low)} to ${percent(estimate.high)})` : ""]
    .filter(Boolean).join(" \u00b7 ");
  filterBar.hidden = !state.facts.filter || filterBar.contains(document.activeElement);
  if (state.facts.filter && !filterBar.querySelector("input")) {
    filterBar.hidden = false;
    filterBar.replaceChildren(el("span", "", `${total.toLocaleString()} rows: `, el("code", "", state.facts.filter)));
  }
};

const sure = (active) => active?.sure ? `95 % sure: ${active.sure} ${percent(active.below)} are refused` : "";
const left = (active) => active.left === null ? `not fewer than ${percent(active.below)}, by how it looks`
  : `about ${active.left.toLocaleString()} rows until below ${percent(active.below)}`;
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const announce = (text) => { said.textContent = text; };

const complain = (error) => {
  if (!(error instanceof Refused)) throw error;
  const box = el("p", "complaint", error.message);
  box.setAttribute("role", "alert");
  document.querySelector(".complaint")?.remove();
  document.getElementById("actions").before(box);
  setTimeout(() => box.remove(), 9000);
};

// deciding

const NAMED = { accept: "Accepted", expert: "Expert kept", edit: "Edited", suspect: "Expert suspected", defer: "Deferred" };

const decide = async (action, text) => {
  const row = state.row;
  if (!row) return;
  await noting.done();
  const answer = await post("decide", {
    id: newId(), kind: "decide", row_id: row.row_id, target: row.target, seen: row.seen, action, place: row.place,
    ...text === undefined ? {} : { text },
  });
  row.standing = answer.standing;
  told(answer);
  announce(`${NAMED[action]}.`);
  await show(answer.open);
};

const undo = async () => {
  const answer = await post("undo", { id: newId() });
  told(answer);
  forget();
  announce("Undone.");
  if (answer.place !== null) await show(answer.place);
};

const redraw = (answer, row) => {
  row.standing = answer.standing;
  told(answer);
  if (state.row === row) side.querySelector("#standing")?.replaceWith(view.standing(row));
};

const reason = async (name) => {
  const row = state.row;
  if (!row || !name) return;
  const chosen = row.standing.reasons;
  const reasons = chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name];
  const answer = await post("decide", {
    id: newId(), kind: "reasons", row_id: row.row_id, target: row.target, reasons, place: row.place,
  });
  redraw(answer, row);
  side.querySelector(".reasons")?.replaceWith(view.reasons(row, state.facts.reasons));
};

const noting = latest(async ({ row, note }) => {
  const answer = await post("decide", { id: newId(), kind: "note", row_id: row.row_id, target: row.target, note, place: row.place });
  row.standing = answer.standing;
  const saved = document.getElementById("note-saved");
  if (saved && state.row === row) saved.textContent = noting.newest === note ? "saved" : "\u2026";
});

side.addEventListener("input", (event) => {
  if (event.target.id !== "note") return;
  document.getElementById("note-saved").textContent = "\u2026";
  noting.newest = event.target.value;
  noting.send({ row: state.row, note: event.target.value }).catch(complain);
});

// editing

// `taken`: the text of a candidate, to begin with
const edit = async (taken = null) => {
  const row = state.row;
  if (!row || (state.editor && taken === null)) return;
  await state.editor?.done();
  if (state.mode === "raw") state.mode = "side";
  const texts = await get(`texts?row=${encodeURIComponent(row.row_id)}&target=${row.target}`);
  if (state.row !== row) return;
  state.editor = new Editor(row, texts, {
    judged: (checks) => side.querySelector(".gate")?.replaceWith(view.checks(checks, `${gate()}, as edited`)),
    pane: view.pane,
    complain,
  }, taken);
  document.getElementById("panes").replaceWith(state.editor.box);
  state.editor.focus();
};

const keepEdit = async () => {
  const editor = state.editor;
  if (!editor) return;
  await editor.done();
  try {
    await decide("edit", editor.text);
  } catch (error) {
    complain(error);
    if (error.kind === "NeedsNote") document.getElementById("note")?.focus();
  }
};

const leaveEdit = async () => {
  if (!state.editor) return;
  await state.editor.done();
  forget();
  await show(state.row.place);
};

// going about

const asked = (label, value, act) => {
  const field = el("input", "");
  field.type = "text";
  field.value = value;
  field.spellcheck = false;
  field.autocomplete = "off";
  field.setAttribute("aria-label", label);
  const close = () => {
    filterBar.replaceChildren();
    filterBar.hidden = true;
    told({});
  };
  field.addEventListener("keydown", async (event) => {
    event.stopPropagation();
    if (event.key === "Escape") { close(); rowBox.focus(); }
    if (event.key !== "Enter") return;
    try {
      await act(field.value);
      close();
      rowBox.focus();
    } catch (error) { complain(error); }
  });
  filterBar.replaceChildren(el("label", "", `${label} `), field);
  filterBar.hidden = false;
  field.focus();
  field.select();
};

const filter = () => asked("Filter: words, is:deferred, sql: nll_completion > 1", state.facts.filter, async (wanted) => {
  const answer = await post("filter", { wanted });
  told(answer);
  forget();
  await show(answer.open ?? 0);
});

const goTo = () => asked("Go to a number or a row\u2019s id", "", async (wanted) => {
  const { place } = await get(`find?wanted=${encodeURIComponent(wanted.trim())}`);
  await show(place);
});

const step = (by) => {
  const place = (state.row?.place ?? state.last ?? state.facts.total) + by;
  if (place >= 0 && place < state.facts.total) return show(place);
};

const look = async (mode) => {
  state.mode = mode;
  if (state.row) await show(state.row.place);
};

const toggle = (id) => {
  if (state.opened.has(id)) state.opened.delete(id);
  else state.opened.add(id);
  open(id, state.opened.has(id));
  if (state.opened.has(id)) document.getElementById(id)?.scrollIntoView({ block: "nearest" });
};

const ACTS = {
  accept: () => state.editor ? keepEdit() : decide("accept"),
  expert: () => decide("expert"), suspect: () => decide("suspect"), defer: () => decide("defer"),
  edit: () => state.editor ? keepEdit() : edit(),
  undo, filter, goto: goTo, help: () => help.showModal(), close: () => help.close(),
  next: () => step(1), previous: () => step(-1),
  note: () => document.getElementById("note")?.focus(),
  candidates: () => toggle("candidates"), history: () => toggle("history"),
  flip: () => look(state.mode === "side" ? "inline" : "side"), raw: () => look(state.mode === "raw" ? "side" : "raw"),
  view: (pressed) => look(pressed.dataset.view), reason: (pressed) => reason(pressed.dataset.reason),
  take: async (pressed) => {
    await edit(state.more.candidates[Number(pressed.dataset.number)].text);
    scrollTo(0, 0);
  },
};
const KEYS = {
  a: "accept", f: "expert", e: "edit", x: "suspect", d: "defer", u: "undo", j: "next", k: "previous", n: "note",
  c: "candidates", h: "history", s: "flip", r: "raw", g: "goto", "/": "filter", "?": "help",
};

let chain = Promise.resolve();
const act = (what) => {
  chain = chain.then(what).catch((error) => {
    try { complain(error); } catch { console.error(error); }
  });
};

document.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-do]");
  if (pressed) act(() => ACTS[pressed.dataset.do](pressed));
});

document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "TEXTAREA"].includes(event.target.tagName);
  if (typing) {
    if (event.key === "Escape") {
      event.target.blur();
      rowBox.focus();
      if (event.target.id === "editor") act(leaveEdit);
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && state.editor) act(keepEdit);
    else if (event.key === "Enter" && event.target.id === "note" && !event.shiftKey) {
      event.preventDefault();
      if (state.editor) state.editor.focus(); else rowBox.focus();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const number = Number(event.key);
  if (event.key.length === 1 && number >= 1 && number <= 9) act(() => reason(state.facts.reasons[number - 1]?.[0]));
  else if (KEYS[event.key]) {
    event.preventDefault();
    act(() => ACTS[KEYS[event.key]]());
  }
});

help.addEventListener("click", (event) => { if (event.target === help) help.close(); });

act(async () => {
  state.facts = await get("facts");
  told({});
  await show(state.facts.open);
  rowBox.focus();
});
