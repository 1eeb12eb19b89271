/** An opened row: what there is to know of one peer. Asked for when it is opened, and every two seconds while it is. */
import { actions } from './actions.js'
import { el } from './dom.js'
import { line } from './timeline.js'
import { clipped, clock, figure, ms, plain } from './words.js'

const EVERY = 2000

/** Opens a row. `stage` knows `base`, whether there are `actions`, whether it is `paused`, and the time `now`. */
export function open (row, stage) {
  const parts = el('div', { class: 'parts' }, 'Loading…')
  const url = `${stage.base}services/${encodeURIComponent(row.service)}/peers/${encodeURIComponent(row.key)}`
  const update = async () => {
    try {
      const answer = await fetch(url, { headers: { accept: 'application/json' } })
      const body = await answer.json()
      if (answer.ok) replace(parts, show(body, stage.now()))
      else parts.replaceChildren(`status ${answer.status}: ${clipped(String(body.message), 300)}`)
    } catch (error) {
      parts.replaceChildren(`cannot be loaded: ${error.message}`)
    }
  }
  const timer = setInterval(() => { if (!stage.paused()) update() }, EVERY)
  const element = el('tr', { role: 'row', class: 'detail' }, el('td', { role: 'cell' }, parts, ...(stage.actions() ? [actions(url, row.key, update)] : [])))
  update()
  row.button.setAttribute('aria-expanded', 'true')
  row.element.after(element)
  row.detail = {
    element,
    close () {
      clearInterval(timer)
      element.remove()
      row.button.setAttribute('aria-expanded', 'false')
      row.detail = null
    }
  }
}

/** What is as before stays, so that it can be read, scrolled and marked. */
function replace (parent, parts) {
  const is = [...parent.children]
  if (is.length !== parts.length) parent.replaceChildren(...parts)
  else parts.forEach((part, i) => { if (!part.isEqualNode(is[i])) is[i].replaceWith(part) })
}

function show ({ codes, errors, latency, checks, registration, load, events, weight, priority, zone, ejections }, now) {
  const most = Math.max(1, ...latency.map(([,, n]) => n))
  return [
    part('Answers since first seen', list([...codes.map(([code, n]) => [code, n]), ...Object.entries(errors).filter(([, n]) => n > 0)], 'none yet')),
    part('Latency, last 60 s', latency.length === 0
      ? 'no answers'
      : el('div', { class: 'bars' }, ...latency.flatMap(([from, to, n]) => [el('span', {}, `${ms(from)} – ${ms(to)} ms`), el('meter', { min: 0, max: most, value: n }), el('span', {}, String(n))]))),
    part('Last checks', checks.length === 0
      ? 'none'
      : el('ol', {}, ...checks.toReversed().map(({ ok, status, error, count, from, to, slowestMs }) => el('li', {}, `${ok ? '✓' : '✕'} ${status ?? (ok ? 'connected' : '')} ${plain(error ?? '')} × ${count}, ${clock(from, now)} – ${clock(to, now)}, slowest ${ms(slowestMs)} ms`)))),
    part('Registration', list([
      ['key', registration.key], ['revision', registration.modRevision], ['lease', registration.lease ?? 'none'], ['started', registration.startAt ?? '–'],
      ['priority', priority], ['zone', zone ?? '–'], ['ejections', ejections], ...Object.entries(registration.params).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
      ...(weight.override === null ? [] : [['weight by hand', `${figure(weight.override.weight)} until ${clock(weight.override.until, now)}: ${weight.override.reason}`]]),
      ...(load === null ? [] : [['load report', JSON.stringify(load)]])
    ])),
    part('Events', events.length === 0 ? 'none' : el('ol', {}, ...events.toReversed().map(record => line(record, now))))
  ]
}

function part (title, content) {
  return el('div', {}, el('h3', {}, title), content)
}

function list (pairs, none = '') {
  return pairs.length === 0 ? none : el('dl', {}, ...pairs.flatMap(([name, value]) => [el('dt', {}, plain(String(name))), el('dd', {}, plain(String(value)))]))
}
