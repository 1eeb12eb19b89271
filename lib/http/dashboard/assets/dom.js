/** Elements. Text is always text: nothing here, and nothing on this page, makes markup of what it is given. */

/**
 * An element with these properties: `class`, `data-…`, `aria-…` and the like are attributes, `on…` listeners.
 * @type {(tag: string, properties?: Record<string, any>, ...children: (Node | string)[]) => any}
 */
export function el (tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children)
}

/** The same for pictures. @type {(tag: string, properties?: Record<string, any>, ...children: (Node | string)[]) => any} */
export function svg (tag, properties = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children)
}

function fill (element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

/** Changes a text only when it is another one: most are not, and each change costs a layout. @type {(element: Element, text: string) => void} */
export function say (element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** @type {(element: Element, name: string, value: string) => void} */
export function set (element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}
