import type { Peer, Scheme } from '../../store/peer.js'
import { hasControl } from './address.js'

/** The fields of a peer that a value may set, by the peer's own names and in its units. */
export type Known = Pick<Peer,
  'weight' | 'status' | 'slowStart' | 'checkUrl' | 'startAt' | 'scheme' | 'priority' | 'zone' | 'maxInflight'>

/** How one field is read. */
export interface Field<T> {
  /** What it may be called; the first one that is there counts. */
  readonly names: readonly string[]
  /** What a good value is, for the message about a bad one. */
  readonly expected: string
  readonly fallback: T
  /** The value in the peer's unit, or undefined when `raw` is bad. `raw` is neither null nor undefined. */
  readonly read: (raw: unknown) => T | undefined
}

/** No two parts of it can take the same digit, so a long text costs no more than its length. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i
const PATH = /^\/[\x21-\x7e]*$/

const MAX_WEIGHT = 1e6
const MAX_COUNT = 1e9
/** The last that is asked. */
export const MAX_PRIORITY = 1000
/** The last second that a `Date` can print. */
const MAX_EPOCH = 8.64e12
const MAX_STATUS = 64
const MAX_ZONE = 256
const MAX_PATH = 2048
const MS = 1000

function numeric (raw: unknown, max: number): number | undefined {
  let number = NaN
  if (typeof raw === 'number') number = raw
  else if (typeof raw === 'string' && DECIMAL.test(raw.trim())) number = Number(raw)
  // Adding 0 makes -0 a plain 0.
  return number >= 0 && number <= max ? number + 0 : undefined
}

function whole (raw: unknown, max: number): number | undefined {
  const number = numeric(raw, max)
  return Number.isInteger(number) ? number : undefined
}

function milliseconds (raw: unknown, maxSeconds: number): number | undefined {
  const seconds = numeric(raw, maxSeconds)
  return seconds === undefined ? undefined : Math.round(seconds * MS)
}

function text (raw: unknown, max: number): string | undefined {
  return typeof raw === 'string' && raw.length <= max && !hasControl(raw) ? raw : undefined
}

/** An empty text says "none", as an absent field does. */
function path (raw: unknown): string | null | undefined {
  if (raw === '') return null
  return typeof raw === 'string' && raw.length <= MAX_PATH && PATH.test(raw) ? raw : undefined
}

function zone (raw: unknown): string | null | undefined {
  return raw === '' ? null : text(raw, MAX_ZONE)
}

function scheme (raw: unknown): Scheme | undefined {
  return raw === 'http' || raw === 'https' ? raw : undefined
}

function flag (raw: unknown): boolean | undefined {
  if (raw === 1 || raw === true) return true
  return raw === 0 || raw === false ? false : undefined
}

/** Every known field. Seconds become milliseconds here and nowhere else. */
export const FIELDS: { readonly [K in keyof Known]: Field<Known[K]> } = {
  weight: {
    names: ['weight'],
    expected: `a number from 0 to ${MAX_WEIGHT}`,
    fallback: 1,
    read: raw => numeric(raw, MAX_WEIGHT)
  },
  status: {
    names: ['status'],
    expected: `a text of 1 to ${MAX_STATUS} characters`,
    fallback: 'up',
    read: raw => raw === '' ? undefined : text(raw, MAX_STATUS)
  },
  slowStart: {
    names: ['slow_start', 'slowStart'],
    expected: `seconds from 0 to ${MAX_COUNT}`,
    fallback: 0,
    read: raw => milliseconds(raw, MAX_COUNT)
  },
  checkUrl: {
    names: ['checkurl', 'check_url', 'checkUrl'],
    expected: `a path that starts with "/", of at most ${MAX_PATH} visible ASCII characters`,
    fallback: null,
    read: path
  },
  startAt: {
    names: ['start_at', 'startAt'],
    expected: `seconds since 1970 from 0 to ${MAX_EPOCH}`,
    fallback: null,
    read: raw => milliseconds(raw, MAX_EPOCH)
  },
  scheme: { names: ['scheme'], expected: '"http" or "https"', fallback: 'http', read: scheme },
  priority: {
    names: ['priority'],
    expected: `a whole number from 0 to ${MAX_PRIORITY}`,
    fallback: 0,
    read: raw => whole(raw, MAX_PRIORITY)
  },
  zone: { names: ['zone'], expected: `a text of at most ${MAX_ZONE} characters`, fallback: null, read: zone },
  maxInflight: {
    names: ['max_inflight', 'maxInflight'],
    expected: `a whole number from 0 to ${MAX_COUNT}`,
    fallback: 0,
    read: raw => whole(raw, MAX_COUNT)
  }
}

/** nginx-upsync's flags: `down` takes a peer out, `backup` gives it priority 1. */
export const FLAGS: { readonly down: Field<boolean>, readonly backup: Field<boolean> } = {
  down: { names: ['down'], expected: '0 or 1', fallback: false, read: flag },
  backup: { names: ['backup'], expected: '0 or 1', fallback: false, read: flag }
}

/** Names of free fields, shown and never interpreted; later ones win. */
export const PARAMS: readonly string[] = ['Params', 'params']

/** Holds fields one level down. */
export const METADATA = 'Metadata'

/** Every name that means something; what has another one is kept in `params`. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set([
  ...Object.values(FIELDS).flatMap(field => field.names),
  ...Object.values(FLAGS).flatMap(field => field.names),
  ...PARAMS,
  METADATA
])
