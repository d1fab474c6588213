// Decisions about rows without a server: kept by the browser at once, saved as the file that `recast review --commit
// --decisions` reads. A page without #review-data offers none.
const deciding = (() => {
  const source = document.getElementById("review-data");
  if (!source) return null;
  const { button, el } = rowBrowser;
  const { version, version_id: id, reasons } = JSON.parse(source.textContent);
  const KEYS = { a: "accept", f: "expert", x: "suspect", d: "defer" };
  const SAID = { accept: "accepted", expert: "expert kept", suspect: "expert suspected", defer: "deferred", edit: "edited" };
  const memory = `recast-review-${id}`;
  const read = () => { try { return JSON.parse(localStorage.getItem(memory)) ?? {}; } catch { return {}; } };
  const kept = { reviewer: "reviewer", events: [], ...read() };
  let safe = true;
  let editing = null;

  const keep = () => {
    try {
      localStorage.setItem(memory, JSON.stringify(kept));
      safe = true;
    } catch { safe = false; }
  };
  addEventListener("beforeunload", (event) => { if (!safe) event.preventDefault(); });

  const name = (row) => `${row.id}\n${row.target}`;
  const standing = (row) => kept.events.findLast((event) => `${event.row_id}\n${event.target}` === name(row));
  const pending = new Map(); // reasons and notes of rows that are not decided yet
  const words = (row) => pending.get(name(row)) ?? { reasons: standing(row)?.reasons ?? [], note: standing(row)?.note ?? "" };
  const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  const decide = (action, row, around, text) => {
    const { reasons: chosen, note } = words(row);
    kept.events.push({
      id: newId(), kind: "decide", row_id: row.id, target: row.target, at: new Date().toISOString(), seen: row.seen, action,
      ...text === undefined ? {} : { text }, ...chosen.length ? { reasons: chosen } : {}, ...note ? { note } : {}, queue: "page",
    });
    pending.delete(name(row));
    editing = null;
    keep();
    around.changed();
    around.next();
  };

  const word = (row, change, around) => {
    pending.set(name(row), { ...words(row), ...change });
    const last = standing(row);
    if (last) {
      Object.assign(last, pending.get(name(row)));
      keep();
    }
    around?.render();
  };

  const undo = (around) => {
    kept.events.pop();
    keep();
    around.changed();
  };

  const save = () => {
    const head = { review: 1, version, version_id: id, reviewer: kept.reviewer };
    const lines = [head, ...kept.events].map((line) => `${JSON.stringify(line)}\n`);
    const link = el("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
    link.download = `${version.replace(/[^\w.-]/g, "-")}.decisions.jsonl`;
    link.click();
    URL.revokeObjectURL(link.href);
  };

  const editor = (row, around) => {
    const field = el("textarea", "edit");
    field.value = standing(row)?.text ?? row.diff.filter(([op]) => op >= 0).map(([, part]) => part).join("");
    field.setAttribute("aria-label", "The text, to edit");
    field.spellcheck = false;
    return el("div", "editor", field, button("keep the edit", () => decide("edit", row, around, field.value)),
      button("leave", () => { editing = null; around.render(); }));
  };

  const bar = (row, about) => {
    if (!row.seen) return null;
    const { reasons: chosen, note } = words(row);
    const acts = Object.entries(KEYS).map(([key, action]) => {
      const made = button("", () => decide(action, row, about()));
      made.append(el("kbd", "", key), ` ${{ accept: "accept", expert: "keep the expert", suspect: "suspect", defer: "defer" }[action]}`);
      return made;
    });
    const edit = button("", () => { editing = name(row); about().render(); });
    edit.append(el("kbd", "", "e"), " edit");
    edit.disabled = row.clipped;
    const why = reasons.map(([reason, label], number) => {
      const made = button("", () => toggle(number, row, about()));
      made.append(el("kbd", "", String(number + 1)), ` ${label}`);
      made.setAttribute("aria-pressed", String(chosen.includes(reason)));
      return made;
    });
    const field = el("input");
    field.type = "text";
    field.id = "decide-note";
    field.value = note;
    field.placeholder = "note (n)";
    field.setAttribute("aria-label", "Note");
    field.addEventListener("input", () => word(row, { note: field.value }));
    const who = el("input");
    who.type = "text";
    who.value = kept.reviewer;
    who.setAttribute("aria-label", "Who decides");
    who.addEventListener("input", () => { kept.reviewer = who.value || "reviewer"; keep(); });
    const saving = button(`save ${kept.events.length} decisions`, save);
    saving.disabled = !kept.events.length;
    const box = el("section", "decide", el("div", "acts", ...acts, edit), el("div", "why", ...why), field,
      editing === name(row) ? editor(row, about()) : null,
      el("p", "saving", el("span", "", said(row) ? `${said(row)} by ` : "by "), who, saving,
        el("span", "", safe ? "kept in this browser" : "this browser keeps nothing: save before you close")));
    box.setAttribute("aria-label", "Decide");
    return box;
  };

  const toggle = (number, row, around) => {
    const reason = reasons[number][0];
    const chosen = words(row).reasons;
    word(row, { reasons: chosen.includes(reason) ? chosen.filter((other) => other !== reason) : [...chosen, reason] }, around);
  };

  const said = (row) => {
    const action = standing(row)?.action;
    return action ? SAID[action] : "";
  };

  // whether the key was one of ours
  const key = (pressed, row, around) => {
    if (pressed === "u" && kept.events.length) undo(around);
    else if (!row.seen) return false;
    else if (KEYS[pressed]) decide(KEYS[pressed], row, around);
    else if (pressed === "e" && !row.clipped) {
      editing = name(row);
      around.render();
      document.querySelector(".decide .edit")?.focus();
    } else if (pressed === "n") document.getElementById("decide-note")?.focus();
    else if (/^[1-9]$/.test(pressed) && reasons[pressed - 1]) toggle(pressed - 1, row, around);
    else return false;
    return true;
  };

  return { bar, key, said };
})();
