import { BadOptionError } from '../errors.js'
import { ERROR_KINDS, type Outcome } from '../logger/outcome.js'
import type { Pick } from '../picker/picker.js'
import type { Peer, Scheme } from '../store/peer.js'

/** A peer as `app.upstreams.pick` hands it out; `slowStart` is ms. */
export interface PublicPeer {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly scheme: Scheme
  readonly weight: number
  readonly status: string
  readonly slowStart: number
  readonly checkUrl: string | null
  readonly params: Readonly<Record<string, unknown>>
}

export interface PublicPick {
  readonly peer: PublicPeer
  /** Health was ignored for this pick, because too few peers are healthy. */
  readonly panic: boolean
  /** Closes the pick with what it came to; only the first call counts. `ms` until the last byte or the error. */
  readonly done: (outcome: Outcome) => void
}

/** A pick for users' hands: plain data, and a `done` that works on its own and checks what it is given. */
export function publicPick (pick: Pick, now: () => number): PublicPick {
  return {
    peer: publicPeer(pick.peer),
    panic: pick.panic,
    done: outcome => pick.done(checked(outcome), now())
  }
}

function publicPeer ({ id, host, port, scheme, weight, status, slowStart, checkUrl, params }: Peer): PublicPeer {
  return { id, host, port, scheme, weight, status, slowStart, checkUrl, params }
}

function checked (outcome: Outcome): Outcome {
  const { status, error, ms } = outcome as { status?: unknown, error?: unknown, ms?: unknown }
  const isKnown = error === undefined
    ? Number.isInteger(status) && Number(status) >= 100 && Number(status) <= 999
    : ERROR_KINDS.some(kind => kind === error)
  if (isKnown && typeof ms === 'number' && ms >= 0 && ms < Infinity) return outcome
  throw new BadOptionError('outcome', `{ status: 100…999, ms } or { error: ${ERROR_KINDS.join(' | ')}, ms }`, outcome)
}
