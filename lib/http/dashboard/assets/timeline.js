/** What happened, newest first. */
import { el } from './dom.js'
import { tell } from './story.js'

/** How many lines are shown. */
const LINES = 150

export class Timeline {
  #list = document.querySelector('#timeline ol')
  #first = ''
  #seen = new Set()

  show ({ records, now }, words) {
    const key = `${records[0]?.id} ${records.at(-1)?.id} ${words.join(' ')}`
    if (key === this.#first) return
    const isFirst = this.#first === ''
    this.#first = key
    const fitting = records.filter(record => words.length === 0 || words.every(word => textOf(record).includes(word)))
    this.#list.replaceChildren(...fitting.slice(0, LINES).map(record => line(record, now, !isFirst && !this.#seen.has(record.id))))
    this.#seen = new Set(records.map(({ id }) => id))
  }
}

function textOf ({ service, peer, event, state, reason, what, by }) {
  return [service, peer, event, state, reason, what, by].join(' ').toLowerCase()
}

/** One line; `isNews` when it has just come. */
export function line (record, now, isNews = false) {
  const { at, glyph, tone, about, text } = tell(record, now)
  return el('li', { 'data-id': record.id, class: isNews && 'news' }, el('time', { datetime: record.at }, at), ' ', el('span', { class: tone }, glyph), ' ', el('bdi', { class: 'about' }, about), ' ', el('span', {}, text))
}
