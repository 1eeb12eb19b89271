/** Filter, pause and keys. */
import { el } from './dom.js'

const KEYS = [
  ['/', 'filter'],
  ['Esc', 'close what is open, clear the filter'],
  ['p', 'pause, go on'],
  ['j k ↓ ↑', 'next, previous peer'],
  ['Enter', 'open or close a peer'],
  ['t', 'what happened'],
  ['?', 'this']
]

export class Tools {
  paused = false
  /** What is looked for, in lower case. */
  words = []
  #table
  #changed
  #filter = el('input', { id: 'filter', type: 'search', placeholder: 'Filter ( / )', 'aria-label': 'Filter services and peers', oninput: () => this.#search() })
  #pause = el('button', { id: 'pause', type: 'button', 'aria-pressed': 'false', onclick: () => this.#toggle() }, 'Pause')
  #help = el('dialog', { 'aria-label': 'Keys' }, el('dl', {}, ...KEYS.flatMap(([key, what]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)])),
    el('form', { method: 'dialog' }, el('button', {}, 'Close')))

  constructor (table, changed) {
    this.#table = table
    this.#changed = changed
    document.getElementById('tools').append(this.#filter, this.#pause, el('button', { type: 'button', 'aria-label': 'Keys', onclick: () => this.#help.showModal() }, '?'))
    document.body.append(this.#help)
    document.querySelector('#timeline ol').setAttribute('tabindex', '0')
    addEventListener('keydown', event => this.#key(event))
  }

  #search () {
    this.words = this.#filter.value.toLowerCase().split(/\s+/).filter(word => word !== '')
    for (const section of this.#table.sections.values()) this.#table.filter(section, this.words)
    this.#changed()
  }

  #toggle () {
    this.paused = !this.paused
    this.#pause.textContent = this.paused ? 'Go on' : 'Pause'
    this.#pause.setAttribute('aria-pressed', String(this.paused))
    this.#changed()
  }

  #key (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#help.open) return
    if (event.key === 'Escape') return this.#escape()
    if (event.target.matches?.('input, select, textarea')) return
    const does = {
      '/': () => this.#filter.focus(),
      p: () => this.#toggle(),
      j: () => this.#move(1),
      k: () => this.#move(-1),
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      t: () => document.querySelector('#timeline ol').focus(),
      '?': () => this.#help.showModal()
    }[event.key]
    if (does === undefined || (event.key.startsWith('Arrow') && !document.activeElement.matches('.peer button'))) return
    event.preventDefault()
    does()
  }

  /** Closes what the focus is in; else clears the filter. */
  #escape () {
    const { activeElement } = document
    const row = [...this.#table.sections.values()].flatMap(({ rows }) => [...rows.values()]).find(({ detail, button }) => detail !== null && (button === activeElement || detail.element.contains(activeElement)))
    if (row !== undefined) {
      row.button.focus()
      row.detail.close()
    } else if (this.#filter.value !== '') {
      this.#filter.value = ''
      this.#search()
    } else activeElement.blur?.()
  }

  #move (by) {
    const buttons = this.#table.buttons()
    const at = buttons.indexOf(document.activeElement)
    const next = buttons[at === -1 ? (by > 0 ? 0 : buttons.length - 1) : at + by]
    next?.focus()
    next?.scrollIntoView({ block: 'nearest' })
  }
}
