import { el } from './dom.js'

/** Shows a notice in `place`, or none. The same one stays as it is, so that a command in it can be marked and copied. */
export function showNotice (place, notice) {
  const text = JSON.stringify(notice)
  if (place.shown === text) return
  place.shown = text
  place.replaceChildren(...(notice === null ? [] : [noticeOf(notice)]))
}

function noticeOf ({ tone, title, text, code }) {
  return el('div', { class: `notice ${tone}` }, ...(title === '' ? [] : [el('strong', {}, title), ' ']), el('span', {}, text), ...(code === undefined ? [] : [el('code', {}, code)]))
}
