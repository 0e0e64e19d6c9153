// What the page and the documentation make their elements by. Nothing is put in but as text.

export const at = (id) => document.getElementById(id);

export function made(tag, { text, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}
