// The editor of a text: every change goes to the server, which keeps it and says what the gate holds of it.
import { latest, newId, post } from "./calls.js";
import { el } from "./tree.js";

export class Editor {
  // `on`: judged(checks), pane(found) and complain(error), as the page has them
  // `taken`: another text to begin with
  constructor(row, texts, on, taken = null) {
    this.field = el("textarea", "");
    this.field.id = "editor";
    this.field.spellcheck = false;
    this.field.dir = "auto";
    this.field.setAttribute("aria-label", "The text, to edit");
    this.field.value = taken ?? row.standing.draft ?? row.standing.text ?? texts.completion;
    this.saved = el("span", "saved", "");
    this.saved.setAttribute("role", "status");
    this.preview = el("div", "preview");
    const keys = el("span", "hint", el("kbd", "", "Ctrl Enter"), " keep ", el("kbd", "", "Esc"), " leave it as a draft");
    const left = row.panes.find((pane) => pane.side === "before");
    const own = el("section", "pane arm-target", el("h2", "", "Edit", this.saved, keys), this.field, this.preview);
    this.box = el("div", left ? "panes editing" : "panes inline editing", left ? on.pane(left) : null, own);
    this.box.id = "panes";
    this.keeper = latest(async (text) => {
      const answer = await post("draft", { id: newId(), row_id: row.row_id, target: row.target, text });
      if (this.field.value === text) this.saved.textContent = "saved";
      on.judged(answer.checks);
      this.preview.replaceChildren(on.pane(answer.pane));
    });
    this.field.addEventListener("input", () => this.changed(on));
    if (taken !== null || row.standing.draft !== null) this.changed(on);
  }

  changed(on) {
    this.saved.textContent = "\u2026";
    this.fit();
    this.keeper.send(this.field.value).catch(on.complain);
  }

  fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight + 4, 520)}px`;
  }

  focus() {
    this.field.focus();
    this.fit();
  }

  done() { return this.keeper.done(); }

  get text() { return this.field.value; }
}
