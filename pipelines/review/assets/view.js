// A row as elements: its head, the question, the two texts, and beside them what is known of it.
import { build, button, el } from "./tree.js";

const words = (key) => (key ?? "").replaceAll("_", " ");
const DONE = {
  accept: "accepted", expert: "expert kept", edit: "edited", suspect: "expert suspected", defer: "deferred",
};
const SIGNS = {
  margin: ["near the gate\u2019s limit", "A check failed, could not decide, or left a score near those of texts that it refused"],
  candidates: ["few passed", "Few of the candidates that were sampled for this row passed the gate"],
  hesitation: ["hesitant", "Its writer was less sure of it than of most other rewrites"],
  likelihood: ["less likely", "The backbone finds this text less likely than the expert\u2019s"],
  language: ["other language", "The text reads as another language than the expert\u2019s"],
  answers: ["other answers", "Most candidates that were sampled for this row end in another number"],
  numbers: ["new numbers", "It has numbers that neither the question nor the expert gives"],
  lost: ["words lost", "Most of the expert\u2019s words do not occur in it"],
};
const ARM = { before: "arm-reference", after: "arm-target", both: "arm-target" };

const chip = (text, className, tip) => {
  const made = el("span", `chip ${className ?? ""}`, text);
  if (tip) {
    made.dataset.tip = tip;
    made.tabIndex = 0;
  }
  return made;
};

const copied = (row) => row.row_id + (row.target ? `/${row.target}` : "");

export const head = (row, total, view) => {
  const modes = el("div", "view-mode");
  modes.setAttribute("role", "group");
  modes.setAttribute("aria-label", "How the texts stand");
  for (const [name, label] of [["side", "side by side"], ["inline", "inline"], ["raw", "raw"]]) {
    const choice = button("view", "", label);
    choice.dataset.view = name;
    choice.setAttribute("aria-pressed", String(view === name));
    modes.append(choice);
  }
  const signs = Object.keys(row.signs).map((name) => chip(...[SIGNS[name][0], "sign", SIGNS[name][1]]));
  return el("header", "row-head",
    el("b", "place", `${(row.place + 1).toLocaleString()}`, el("span", "", ` / ${total.toLocaleString()}`)),
    chip(words(row.decision), `decision-${row.decision}`), row.reason ? el("span", "word", words(row.reason)) : null,
    row.task ? el("span", "word", row.task) : null, ...signs, el("code", "", copied(row)), modes);
};

export const question = (row) => {
  const box = el("section", "question", ...row.question.map(build));
  box.setAttribute("aria-label", "Question");
  if (row.answer !== null && row.answer !== "") {
    box.append(el("p", "answer", "Answer ", el("b", "", row.answer.slice(0, 300))));
  }
  return box;
};

export const pane = (found) => {
  const box = el("section", `pane ${ARM[found.side]}`,
    el("h2", "", found.name, found.note ? el("span", "", found.note) : null),
    el("div", "prose", ...found.nodes.map(build)));
  box.setAttribute("aria-label", found.name);
  return box;
};

export const panes = (row) => {
  const box = el("div", row.panes.length > 1 ? "panes" : "panes inline", ...row.panes.map(pane));
  box.id = "panes";
  return box;
};

export const standing = (row) => {
  const found = row.standing;
  const box = el("div", "standing");
  box.id = "standing";
  box.setAttribute("aria-live", "polite");
  if (found.theirs) {
    box.append(el("div", "theirs", el("b", "", `${found.theirs.by} says ${DONE[found.theirs.action]}`),
      found.theirs.note ? el("span", "", ` \u201c${found.theirs.note}\u201d`) : null,
      found.theirs.nodes.length ? el("div", "prose small", ...found.theirs.nodes.map(build)) : null));
  }
  if (found.action) {
    box.append(el("p", `done done-${found.action}`, el("b", "", DONE[found.action]), ` by ${found.by}`));
  } else if (found.draft !== null) box.append(el("p", "done", el("b", "", "an edit is begun"), " \u2014 e goes on"));
  else if (!found.theirs) box.append(el("p", "done quiet", "not decided"));
  return box;
};

export const checks = (told, title) => {
  const box = el("section", "gate", el("h2", "", title, el("span", `verdict ${told.status}`, told.status)));
  box.setAttribute("aria-live", "polite");
  if (told.open.length) {
    box.append(el("ul", "checks", ...told.open.map((check) => el("li", check.status,
      el("b", "", words(check.name)), el("span", "unseen", ` ${check.status}: `),
      el("span", "", ...(check.message.length ? check.message.map(build) : [words(check.reason)]))))));
  }
  if (told.passed.length) {
    const passed = el("p", "passed", `${told.passed.length} check${told.passed.length > 1 ? "s" : ""} passed`);
    passed.dataset.tip = told.passed.map(words).join(", ");
    passed.tabIndex = 0;
    box.append(passed);
  }
  return box;
};

const NAMES = [["demonstration", "expert", "arm-reference"], ["completion", "this text", "arm-target"],
  ["self", "its own", "arm-base"]];

export const likelihood = (row) => {
  const found = NAMES.filter(([name]) => typeof row.nll[name] === "number");
  if (!found.length) return null;
  const most = Math.max(...found.map(([name]) => row.nll[name]), 0.01);
  const bars = found.map(([name, said, arm]) => {
    const bar = el("span", "bar");
    bar.style.setProperty("--share", String(Math.max(row.nll[name] / most, 0.01)));
    return el("li", arm, el("span", "name", said), bar, el("b", "", row.nll[name].toFixed(2)));
  });
  const box = el("section", "likelihood", el("h2", "", "Surprise to the backbone", el("span", "", "nats a token")),
    el("ul", "", ...bars));
  const kept = el("p", "caption", "means over each text; no figure is kept for each token");
  box.append(kept);
  if (typeof row.rate === "number") kept.before(el("p", "caption", `${Math.round(row.rate * 100)} % of its candidates passed`));
  return box;
};

export const reasons = (row, list) => {
  const chosen = row.standing.reasons;
  const box = el("section", "reasons", el("h2", "", "Reasons"));
  const keys = list.map(([name, label], number) => {
    const choice = button("reason", "", el("kbd", "", String(number + 1)), el("span", "", label));
    choice.dataset.reason = name;
    choice.setAttribute("aria-pressed", String(chosen.includes(name)));
    return choice;
  });
  box.append(el("div", "reason-list", ...keys));
  return box;
};

export const note = (row) => {
  const field = el("textarea", "");
  field.id = "note";
  field.rows = 2;
  field.maxLength = 4000;
  field.value = row.standing.note;
  field.placeholder = "A word about this row";
  field.spellcheck = false;
  field.setAttribute("aria-label", "Note");
  const saved = el("span", "saved", "");
  saved.id = "note-saved";
  return el("section", "note", el("h2", "", "Note", el("kbd", "", "n"), saved), field);
};

export const more = (found) => {
  const candidates = el("details", "others", el("summary", "", el("span", "", found.sampled
    ? `${found.candidates.length} other candidate${found.candidates.length === 1 ? "" : "s"}` : "No candidates are kept"),
  el("kbd", "", "c")));
  candidates.id = "candidates";
  const listed = el("div", "listed");
  candidates.append(listed);
  for (const [number, each] of found.candidates.entries()) {
    const take = each.text === null ? null : button("take", "plain", "Edit from this");
    if (take) take.dataset.number = String(number);
    listed.append(el("div", `candidate ${each.status}`,
      el("p", "candidate-head", el("b", "", each.status), each.chosen ? " chosen, before it was changed" : "",
        each.reason ? ` ${words(each.reason)}` : "", typeof each.nll === "number" ? ` \u00b7 ${each.nll.toFixed(2)} nats` : "",
        each.attempt ? " \u00b7 repair" : "", each.times > 1 ? ` \u00b7 ${each.times} times` : "", take),
      each.says.length ? el("p", "says", each.says.join(" ")) : null, el("div", "prose small", ...each.nodes.map(build))));
  }
  const history = el("details", "others", el("summary", "", el("span", "", `History: ${found.history.length} `
    + `text${found.history.length === 1 ? "" : "s"}`), el("kbd", "", "h")));
  history.id = "history";
  for (const event of found.history) {
    history.append(el("div", "event", el("p", "candidate-head", el("b", "", event.version), ` ${words(event.decision)}`,
      event.reason ? ` (${words(event.reason)})` : "", ` \u00b7 ${event.by}, ${event.at.slice(0, 16).replace("T", " ")}`,
      event.message ? ` \u00b7 ${event.message}` : ""),
    el("div", "prose small", ...event.nodes.map(build), event.cut ? el("p", "caption", "cut") : null)));
  }
  const facts = Object.entries(found.meta).slice(0, 30).map(([name, value]) =>
    el("div", "", el("dt", "", name), el("dd", "", typeof value === "string" ? value : JSON.stringify(value))));
  if (found.source) facts.unshift(el("div", "", el("dt", "", "source"), el("dd", "", found.source)));
  const box = el("div", "", candidates, history);
  if (facts.length) {
    box.append(el("details", "others", el("summary", "", el("span", "", "More of the row")), el("dl", "facts-list", ...facts)));
  }
  return box;
};
