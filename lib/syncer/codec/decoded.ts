import type { Decoded, Registration } from './registration.js'

/** Peers, and the fields of them that were bad. Frozen, and so are its lists. */
export function peers (registrations: readonly Registration[], errors: readonly string[]): Decoded {
  return Object.freeze({
    kind: 'peers',
    peers: Object.freeze([...registrations]),
    errors: Object.freeze([...errors])
  })
}

/** Raw settings of a service; `value` is already plain and frozen. */
export function settings (service: string, value: Readonly<Record<string, unknown>>): Decoded {
  return Object.freeze({ kind: 'settings', service, value })
}

/** A key that its format does not care for. */
export const IGNORED: Decoded = Object.freeze({ kind: 'ignored' })

/** Nothing can be made of it, whatever the key said before. */
export function invalid (error: string): Decoded {
  return Object.freeze({ kind: 'invalid', error })
}

/** A bad value: peers that the key named before stay as they were, a key without any is invalid. */
export function refused (error: string, previous: readonly Registration[]): Decoded {
  return previous.length > 0 ? peers(previous, [error]) : invalid(error)
}
