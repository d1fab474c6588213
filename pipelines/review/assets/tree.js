// Elements from trees that the server sends: [tag, {attribute: text}, ...children] or text. Only the tags and attributes
// named here are made, and text goes into text nodes, so what a row holds can be shown and never run.
const TAGS = new Set(("p pre code span del ins mark table thead tbody tr th td div h3 strong em b i sup sub br details " +
  "summary").split(" "));
const ATTRIBUTES = new Set(["class", "dir", "title", "data-tip", "data-language"]);

export const build = (node) => {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, ...children] = node;
  if (!TAGS.has(tag)) throw new Error(`no element ${tag}`);
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (ATTRIBUTES.has(name)) made.setAttribute(name, value);
  }
  if (attributes["data-tip"]) made.tabIndex = 0;
  made.append(...children.map(build));
  return made;
};

// an element of the page itself: el("p", "quiet", "text", child, null)
export const el = (tag, className, ...children) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
};

export const button = (action, className, ...children) => {
  const made = el("button", className, ...children);
  made.type = "button";
  made.dataset.do = action;
  return made;
};
