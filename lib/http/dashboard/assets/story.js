// @ts-check
/** What happened, in words. No DOM here: see words.js. */
import { clipped, clock, lookOf, plain } from './words.js'

/** @typedef {import('../../news/records.js').UpstreamRecord} UpstreamRecord */

/** Event → glyph, tone and words. */
const EVENTS = /** @type {const} */ ({
  added: ['+', 'good', 'registered'],
  changed: ['~', 'none', 'changed'],
  removed: ['−', 'off', 'deregistered'],
  settings: ['~', 'none', 'settings changed'],
  eject: ['⊘', 'bad', 'ejected'],
  probe: ['◌', 'warn', 'probing'],
  restore: ['●', 'good', 'back in'],
  spare: ['▲', 'warn', 'failing, kept in'],
  down: ['✕', 'bad', 'down'],
  up: ['●', 'good', 'up'],
  expire: ['○', 'none', 'ended'],
  panic: ['‼', 'bad', 'panic'],
  calm: ['●', 'good', 'panic over'],
  action: ['✎', 'none', ''],
  error: ['▲', 'bad', 'trouble'],
  clear: ['●', 'good', 'trouble over'],
  resync: ['~', 'warn', 'listed again']
})

/**
 * One line of the timeline: when, what about, and what: why, until when, by whom, and which revision of etcd brought it.
 * @type {(record: UpstreamRecord, now: number) => { at: string, glyph: string, tone: string, about: string, text: string }}
 */
export function tell ({ event, type, at, service, peer, state, reason, until, revision, what, by }, now) {
  const known = Object.hasOwn(EVENTS, event) ? EVENTS[/** @type {keyof EVENTS} */ (event)] : undefined
  const look = lookOf(state ?? '')
  const [glyph, tone, word] = known ?? [look.glyph, look.tone, `is ${state ?? event}`]
  const done = event === 'action' ? `${what} by ${by ?? 'the application'}` : word
  const parts = [
    reason === null ? done : `${done}: ${reason}`,
    ...(until === null ? [] : [`until ${clock(until, now)}`]),
    ...(revision === null ? [] : [`revision ${revision}`])
  ]
  return { at: clock(at, now), glyph, tone, about: type === 'registry' ? 'registry' : clipped(peer === null ? service ?? '' : `${service} ${peer}`, 120), text: plain(parts.join(' · ')) }
}
