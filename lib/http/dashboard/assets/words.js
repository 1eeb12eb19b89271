// @ts-check
/** Numbers, times and names as the page shows them. No DOM here: the server renders the first page by these, the script all later ones. */

/** @typedef {import('../../inspect/status.js').PeerStatus} PeerStatus */

/** State → its glyph and tone. Peers and services share the words that both have. A tone is never the only sign. */
const STATES = /** @type {const} */ ({
  maintenance: ['■', 'off'],
  draining: ['▽', 'off'],
  down: ['✕', 'bad'],
  ejected: ['⊘', 'bad'],
  probing: ['◌', 'warn'],
  warming: ['◐', 'warn'],
  degraded: ['▲', 'warn'],
  healthy: ['●', 'good'],
  unknown: ['○', 'none'],
  panic: ['‼', 'bad'],
  empty: ['○', 'off'],
  live: ['●', 'good'],
  static: ['●', 'good'],
  syncing: ['◌', 'warn'],
  snapshot: ['▲', 'warn'],
  stale: ['▲', 'bad']
})

/** @type {(state: string) => { glyph: string, tone: string }} */
export function lookOf (state) {
  const [glyph, tone] = Object.hasOwn(STATES, state) ? STATES[/** @type {keyof STATES} */ (state)] : ['○', 'none']
  return { glyph, tone }
}

const SERVICES = ['down', 'panic', 'degraded', 'empty', 'healthy']
const PEERS = ['down', 'ejected', 'probing', 'degraded', 'warming', 'draining', 'maintenance']

/** Problems first, then by name. @type {(a: { name: string, state: string }, b: { name: string, state: string }) => number} */
export function byTrouble (a, b) {
  return SERVICES.indexOf(a.state) - SERVICES.indexOf(b.state) || (a.name < b.name ? -1 : 1)
}

/** @type {(a: PeerStatus, b: PeerStatus) => number} */
export function peersByTrouble (a, b) {
  return rank(a.state) - rank(b.state) || (a.id === b.id ? (a.scheme < b.scheme ? -1 : 1) : a.id < b.id ? -1 : 1)
}

/** @type {(state: string) => number} */
function rank (state) {
  const place = PEERS.indexOf(state)
  return place === -1 ? PEERS.length : place
}

/** A length of time, ms, in one unit. @type {(ms: number) => string} */
export function span (ms) {
  const s = Math.max(0, ms) / 1000
  if (s < 10) return `${s.toFixed(1)} s`
  if (s < 120) return `${Math.round(s)} s`
  if (s < 7200) return `${Math.round(s / 60)} min`
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`
}

/** A point in time as logs have it: UTC, the day only when it is another one. @type {(iso: string, now: number) => string} */
export function clock (iso, now) {
  const isToday = iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10)
  return `${isToday ? '' : `${iso.slice(0, 10)} `}${iso.slice(11, 19)}Z`
}

/** @type {(share: number | null) => string} */
export function percent (share) {
  return share === null ? '–' : `${(share * 100).toFixed(1)} %`
}

/** Milliseconds without their unit. @type {(value: number | null) => string} */
export function ms (value) {
  return value === null ? '–' : value < 10 ? value.toFixed(1) : String(Math.round(value))
}

/** Up to three significant places. @type {(value: number) => string} */
export function figure (value) {
  return value !== 0 && Math.abs(value) < 100 ? String(Number(value.toPrecision(3))) : String(Math.round(value))
}

/** What is not seen itself, or turns the direction of what is. */
const HIDDEN = /[\p{Cc}\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu

/** Foreign text amid ours: what is hidden in it is shown as a sign of its own. @type {(text: string) => string} */
export function plain (text) {
  return text.replace(HIDDEN, '�')
}

/** A name where it stands alone. @type {(name: string) => string} */
export function called (name) {
  return name.trim() === '' ? JSON.stringify(name) : plain(name)
}

/** A name that is too long for where it stands, amid other text. @type {(text: string, length: number) => string} */
export function clipped (text, length) {
  const signs = [...text.slice(0, 4 * length)]
  return plain(signs.length <= length && text.length <= 4 * length ? text : `${signs.slice(0, length - 1).join('')}…`)
}

/** One word of a shell's command line; what is hidden in it stands there as bash, zsh and ksh read it. @type {(text: string) => string} */
export function quoted (text) {
  if (plain(text) !== text) {
    // Byte by byte, in octal: so it means the same in any locale.
    const bytes = (/** @type {string} */ sign) => [...new TextEncoder().encode(sign)].map(byte => `\\${byte.toString(8).padStart(3, '0')}`).join('')
    const escaped = text.replace(/['\\]/g, '\\$&').replace(HIDDEN, bytes)
    return `$'${escaped}'`
  }
  return /^[\w/.:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
