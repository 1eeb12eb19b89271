/** Services and their peers: elements are made once, and then only what is otherwise than before is changed. */
import { el, say, set, svg } from './dom.js'
import { cells, COLUMNS, facts, lesson, spark, SPARK } from './view.js'
import { byTrouble, called, lookOf, peersByTrouble, plain } from './words.js'
import { showNotice } from './notice.js'

const SPARK_AT = COLUMNS.findIndex(([name]) => name === 'spark')
const STATE_AT = COLUMNS.findIndex(([name]) => name === 'state')
const PEER_AT = COLUMNS.findIndex(([name]) => name === 'peer')

/** One peer. */
class Row {
  constructor (service, key, toggle) {
    this.service = service
    this.key = key
    this.detail = null
    this.button = el('button', { type: 'button', 'aria-expanded': 'false', onclick: () => toggle(this) })
    this.requests = svg('path', { class: 'requests' })
    this.errors = svg('path', { class: 'errors' })
    this.picture = svg('svg', { width: SPARK.width, height: SPARK.height, role: 'img' }, this.requests, this.errors)
    this.cells = COLUMNS.map(([name]) => el('td', { role: 'cell', class: name }))
    this.cells[PEER_AT].append(this.button)
    this.cells[SPARK_AT].append(this.picture)
    this.element = el('tr', { role: 'row', 'data-peer': key }, ...this.cells)
  }

  show ({ status, history }, now) {
    const texts = cells(status, history, now)
    texts.forEach((text, i) => {
      if (i === SPARK_AT) set(this.picture, 'aria-label', text)
      else say(i === PEER_AT ? this.button : this.cells[i], text)
    })
    set(this.cells[STATE_AT], 'class', `state word ${lookOf(status.state).tone}`)
    const paths = spark(history, now)
    set(this.requests, 'd', paths.requests)
    set(this.errors, 'd', paths.errors)
    this.words = `${this.service} ${this.key} ${status.state} ${status.reason ?? ''} ${status.zone ?? ''}`.toLowerCase()
  }

  /** All but what is in use. */
  hide (isUnwanted) {
    const isHidden = isUnwanted && !isInUse(this.element) && !(this.detail !== null && isInUse(this.detail.element))
    this.element.hidden = isHidden
    if (this.detail !== null) this.detail.element.hidden = isHidden
    return isHidden
  }
}

/** One service. */
class Section {
  rows = new Map()

  constructor (name, base) {
    this.word = el('span')
    this.reason = el('span', { class: 'reason' })
    this.facts = el('p', { class: 'facts' })
    this.lesson = el('div')
    this.body = el('tbody', { role: 'rowgroup' })
    const headings = COLUMNS.map(([name, heading]) => el('th', { role: 'columnheader', scope: 'col', class: name }, heading))
    this.table = el('div', { class: 'scroll' }, el('table', { role: 'table' }, el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...headings)), this.body))
    const link = el('a', { href: `${base}services/${encodeURIComponent(name)}` }, el('bdi', {}, called(name)))
    this.element = el('section', { 'data-service': name }, el('h2', {}, link, ' ', this.word, ' ', this.reason), this.facts, this.lesson, this.table)
  }

  show (service, registry) {
    const { glyph, tone } = lookOf(service.state)
    say(this.word, `${glyph} ${service.state}`)
    set(this.word, 'class', `word ${tone}`)
    say(this.reason, plain(service.reason ?? ''))
    say(this.facts, facts(service))
    showNotice(this.lesson, lesson(registry, service))
    this.table.hidden = service.peersTotal === 0
  }
}

/** Whether what is typed goes to something in it. */
const isInUse = element => element.contains(document.activeElement)

/**
 * Puts `elements` in this order into `parent`, and moves only those that are elsewhere. The one in use stays where it is, and
 * the others move around it: what is moved loses the focus. Nor does it move in the window.
 */
function order (parent, elements) {
  if (elements.length === parent.childElementCount && elements.every((element, i) => element === parent.children[i])) return
  const { activeElement } = document
  const top = () => activeElement.getBoundingClientRect().top
  const before = top()
  const still = elements.find(element => element.parentNode === parent && isInUse(element))
  let place = parent.firstElementChild
  for (const element of elements) {
    if (element === still) {
      while (place !== still) place = beyond(place, () => parent.append(place))
    }
    if (element === place) place = place.nextElementSibling
    else parent.insertBefore(element, place)
  }
  while (place !== null) place = beyond(place, () => place.remove())
  if (activeElement.closest('#services') !== null) scrollBy(0, top() - before)
}

/** The element that was after this one before `work`. */
function beyond ({ nextElementSibling }, work) {
  work()
  return nextElementSibling
}

/** All services. */
export class Table {
  sections = new Map()
  #main = el('main', { id: 'services' })
  #isShown = false

  /** `toggle` is called with a row that is to be opened or closed. */
  constructor (base, toggle) {
    this.base = base
    this.toggle = toggle
  }

  /** Brings all up to date, step by step: after each the page may be painted, and `words` may give others. */
  * show (model, words) {
    const { now } = model
    const at = this.#focused()
    const { activeElement: was } = document
    for (const [name, { rows }] of this.sections) {
      const known = model.services.get(name)
      if (known === undefined) {
        for (const row of [...rows.values()]) this.#drop(rows, row)
        this.sections.delete(name)
      } else for (const [key, row] of rows) if (!known.peers.has(key)) this.#drop(rows, row)
    }
    const services = [...model.services.values()].sort((a, b) => byTrouble(a.service, b.service))
    for (const { service, peers } of services) {
      const section = this.sections.get(service.name) ?? new Section(service.name, this.base)
      this.sections.set(service.name, section)
      section.show(service, model.registry)
      for (const [key, peer] of peers) {
        const row = section.rows.get(key) ?? new Row(service.name, key, this.toggle)
        section.rows.set(key, row)
        row.show(peer, now)
        yield
      }
      const sorted = [...peers.values()].sort((a, b) => peersByTrouble(a.status, b.status))
      const rows = sorted.map(({ status }) => section.rows.get(`${status.scheme}://${status.id}`))
      order(section.body, rows.flatMap(({ element, detail }) => detail === null ? [element] : [element, detail.element]))
      this.filter(section, words())
      yield
    }
    order(this.#main, services.map(({ service }) => this.sections.get(service.name).element))
    // Whoever was at a peer that has left goes on beside it; who has gone away by himself does not.
    if (at !== -1 && !was.isConnected && document.activeElement === document.body) this.buttons().slice(0, at + 1).at(-1)?.focus({ preventScroll: true })
    if (this.#isShown) return
    this.#isShown = true
    document.getElementById('services').replaceWith(this.#main)
  }

  /** Hides what has not all of these words. */
  filter (section, words) {
    let isAny = words.length === 0
    for (const row of section.rows.values()) {
      const isHidden = row.hide(!words.every(word => row.words.includes(word)))
      isAny ||= !isHidden
    }
    const name = section.element.dataset.service.toLowerCase()
    section.element.hidden = !isAny && !(section.rows.size === 0 && words.every(word => name.includes(word)))
  }

  /** The buttons of all rows that are shown, from top to bottom. */
  buttons () {
    return [...this.#main.querySelectorAll('section:not([hidden]) tr:not([hidden]) > .peer button')]
  }

  /** The place of the row that the focus is in, among those that are shown; -1 when it is elsewhere. */
  #focused () {
    const tr = document.activeElement.closest('#services tr')
    const row = tr?.matches('.detail') ? tr.previousElementSibling : tr
    return row ? this.buttons().indexOf(row.querySelector('.peer button')) : -1
  }

  #drop (rows, row) {
    rows.delete(row.key)
    row.detail?.close()
  }
}
