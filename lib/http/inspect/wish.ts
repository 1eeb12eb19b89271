import { BadOptionError, OptionsError } from '../../errors.js'
import { boolean, duration, keysOf, layOver, number, oneOf, text, type Checks, type Read } from '../../options/check.js'
import { exactly, given } from '../../options/names.js'
import { asked } from './bad-request.js'

/** How long an operator's override lasts unless said otherwise (ms). */
export const OVERRIDE_FOR = 15 * 60_000

/** What an operator wants of a peer; what he did not say is null. */
export interface Wish {
  readonly weight: number | null
  readonly status: 'up' | 'drain' | 'down' | null
  /** How long it is to last on this gateway, ms. */
  readonly for: number | null
  readonly reason: string | null
  readonly scope: 'local' | 'registry'
  readonly force: boolean
  readonly check: boolean
}

const yes: Read<boolean> = (value, path) => {
  if (value !== true) throw new BadOptionError(path, 'true', value)
  return value
}

const checks: Checks<Wish> = {
  weight: number({ min: 0, max: 1e6 }),
  status: oneOf('up', 'drain', 'down'),
  for: duration,
  reason: text(/^[^\p{Cc}]{1,500}$/u, 'text of 1 to 500 characters, none of them a control character'),
  scope: oneOf('local', 'registry'),
  force: boolean,
  check: yes
}
const names = exactly(keysOf(checks))
const nothing: Wish = Object.freeze({ weight: null, status: null, for: null, reason: null, scope: 'local', force: false, check: false })

/** Reads the body of an action. Throws FST_UPSTREAM_BAD_OPTION with 400, naming the field that is wrong. */
export function readWish (body: unknown): Wish {
  return asked(() => {
    const wish = layOver(checks, given(body, 'body', names, 'a JSON object'), nothing)
    if (wish.weight === null && wish.status === null) {
      if (!wish.check) throw new OptionsError('one of "body.weight", "body.status" and "body.check" is needed')
      if (wish.scope === 'registry') throw new OptionsError('"body.scope" needs "body.weight" or "body.status" beside it')
    }
    if (wish.for === null) return wish
    // A registration stays until it is changed again, and what is ended or asked has no end.
    if (wish.scope === 'registry') throw new OptionsError('"body.for" is for the scope "local": what the registry says has no end')
    if (wish.weight === null && (wish.status === null || wish.status === 'up')) throw new OptionsError('"body.for" needs something that lasts: "body.weight", or "body.status" that is not "up"')
    return wish
  })
}
