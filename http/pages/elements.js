// The only place that makes elements: untrusted text, such as a guest's name, is set as text, never as markup.

export const part = (id) => document.getElementById(id);

/** The name of a guest who is forgotten. */
export const FORGOTTEN = "forgotten guest";

/** Makes an element with a class, attributes, and children that are elements or text. */
export function element(kind, className = "", attributes = {}, ...children) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Places an element in grid columns. */
export function across(made, column, columns) {
  made.style.gridColumn = `${column} / span ${columns}`;
  return made;
}
