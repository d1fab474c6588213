// What the browser of rows shows of the rows in which two versions differ.
(() => {
  const { button, el, pane, text, words } = rowBrowser;
  const FOLDED = ["blanks", "format"];
  const SAYS = { answer: "final answer", blanks: "white space only", format: "format only", words: "words" };
  const unfolded = new Set();

  const flip = (row) => {
    const [was, now] = row.decision;
    return was !== now && was && now ? `${was} \u2192 ${now}` : now ?? was ?? "";
  };
  const oneSided = (row) => row.op === "add" || row.op === "remove";

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

  const panes = (row, sideBySide, render) => {
    if (FOLDED.includes(row.edit) && !unfolded.has(row.place)) {
      const open = button("show it", () => { unfolded.add(row.place); render(); });
      return el("div", "", el("p", "folded", `Only ${row.edit === "blanks" ? "white space" : "the format"} changed.`, open),
        el("div", "panes inline", pane("arm-target", "Now", "", text(row, [0, 1]))));
    }
    const box = el("div", sideBySide && !oneSided(row) ? "panes" : "panes inline");
    if (row.op === "add") box.append(pane("arm-target", "Added", "", text(row, [1])));
    else if (row.op === "remove") box.append(pane("arm-reference", "Removed", "", text(row, [-1])));
    else if (sideBySide) {
      box.append(pane("arm-reference", "Before", "", text(row, [0, -1])), pane("arm-target", "After", "", text(row, [0, 1])));
    } else box.append(pane("arm-target", "Before and after", "", text(row, [0, -1, 1])));
    return box;
  };

  const facts = (row) => {
    const known = row.nll.every((value) => value !== null && value !== undefined);
    return [flip(row), words(row.reason), known ? `NLL ${row.nll[0].toFixed(2)} \u2192 ${row.nll[1].toFixed(2)}` : ""]
      .filter(Boolean).map((fact) => el("span", "", fact));
  };

  const page = {
    noun: "row",
    kind: (row) => row.edit,
    label: (edit) => SAYS[edit] ?? edit,
    css: (edit) => `edit-${edit.split(" ")[0]}`,
    words: (row) => [row.edit, row.reason, ...row.decision, ...row.answers, ...row.columns.flat()],
    aside: (row) => deciding?.said(row) || flip(row),
    oneText: oneSided,
    facts,
    panes,
    details: (row) => [answers(row), columns(row), deciding?.bar(row, () => page.around)],
    key: (name, row, around) => deciding?.key(name, row, around),
  };
  rowBrowser.browse(page);
})();
