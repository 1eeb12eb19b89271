import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ActionSettings } from '../../options.js'
import { inRotation, isEligible } from '../../store/condition.js'
import * as overrides from '../../store/overrides.js'
import type { PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import { Refusal, Unreachable } from '../../syncer/refusal.js'
import { failure } from './bad-request.js'
import { find, findPeer } from './find.js'
import type { Gateway } from '../gateway.js'
import { hideIn } from './redact.js'
import { isOwn } from './same-origin.js'
import { statusOf, type PeerStatus } from './status.js'
import { OVERRIDE_FOR, readWish, type Wish } from './wish.js'

/** No body of an action is longer, bytes. */
const LONGEST = 16_384
/** How long this gateway may take to hear of its own change of the registry, and to get an answer beyond a check's time, ms. */
const APPLIED_WITHIN = 5000
const SPARE = 1000

const JSON_BODY = /^application\/json[ \t]*(?:;|$)/i

/** The one route that changes anything, for those whom `authorize` knows. */
export function actions (gateway: Gateway, settings: ActionSettings) {
  return async (app: FastifyInstance): Promise<void> => {
    const crew = new Crew(gateway)
    // Whatever parsers the application has: a body is JSON, and nothing else.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'))
    const route = { bodyLimit: LONGEST, onRequest: refuseOthers }
    app.patch<{ Params: { service: string, peer: string } }>('/services/:service/peers/:peer', route, async (request, reply) => {
      const by = await authorized(request, settings)
      const wish = readWish(request.body)
      const service = find(gateway, request.params.service)
      const { isApplied, peer } = await crew.act(service, findPeer(service, request.params.peer), wish, by)
      return await reply.code(isApplied ? 200 : 202).header('cache-control', 'no-store').send(peer)
    })
  }
}

async function refuseOthers (request: FastifyRequest): Promise<void> {
  if (!isOwn(request)) throw failure(403, 'an action needs the header x-upstreams-action, and comes from this very origin')
  if (!JSON_BODY.test(request.headers['content-type'] ?? '')) throw failure(415, 'the body of an action is application/json')
}

/** Who it is, in words. Throws (403) for nobody, and says no more than that. */
async function authorized (request: FastifyRequest, { authorize }: ActionSettings): Promise<string> {
  try {
    const who = await authorize(request)
    if (who) return nameOf(who)
    request.log.warn('an action was refused: not authorized')
  } catch (error) {
    request.log.warn(error, 'an action was refused: authorize failed')
  }
  throw failure(403, 'not authorized')
}

function nameOf (who: unknown): string {
  const name = typeof who === 'object' && who !== null && 'name' in who ? who.name : who
  return typeof name === 'string' && name.trim() !== '' ? name.replace(/\p{Cc}/gu, '?').slice(0, 100) : 'an operator'
}

interface Done { readonly isApplied: boolean, readonly peer: PeerStatus }

/** Carries actions out. */
class Crew {
  readonly #gateway: Gateway
  /** Whom the registry is about to take out: nobody may lean on them. */
  readonly #leaving = new Set<PeerState>()

  constructor (gateway: Gateway) {
    this.#gateway = gateway
  }

  async act (service: Service, state: PeerState, wish: Wish, by: string): Promise<Done> {
    const isOut = wish.weight === 0 || wish.status === 'drain' || wish.status === 'down'
    if (isOut && !wish.force && this.#isLast(service, state)) {
      throw failure(409, 'it is the last peer of its service that can take requests; "force" takes it out all the same')
    }
    const { lastCheck } = state
    if (wish.check && !this.#gateway.hurry(service, state)) throw failure(409, 'there is nothing to check of this peer')
    let isApplied = true
    if (wish.scope === 'registry') isApplied = await this.#amend(service, state, wish, by, isOut)
    else this.#override(service, state, wish, by, isOut)
    if (wish.check) await this.#checked(service, state, lastCheck)
    const peer = statusOf(this.#gateway, service, state, this.#gateway.now())
    if (peer === null) throw failure(404, 'the peer has left meanwhile')
    return { isApplied, peer }
  }

  /** Would nobody be left whom the picker could choose? In panic health is not asked. */
  #isLast (service: Service, state: PeerState): boolean {
    const { panic } = this.#gateway.picker.plan(service, this.#gateway.now())
    const canTake = panic ? inRotation : isEligible
    return canTake(state) && ![...service.peers.values()].some(other => other !== state && canTake(other) && !this.#leaving.has(other))
  }

  /** On this gateway, for a while. */
  #override (service: Service, state: PeerState, wish: Wish, by: string, isOut: boolean): void {
    const { weight, status } = wish
    const now = this.#gateway.now()
    const until = now + (wish.for ?? OVERRIDE_FOR)
    const why = wish.reason === null ? by : `${by}: ${wish.reason}`
    if (status === 'up') overrides.recover(service, state)
    if (status === 'drain') overrides.drain(service, state, now, until, `drained by ${why}`)
    if (status === 'down') overrides.takeDown(service, state, now, until, `set down by ${why}`)
    if (weight !== null) overrides.weigh(service, state, weight, now, until, `weight ${weight} by ${why}`)
    if (isOut) this.#gateway.transport.release(state)
    const lasts = weight !== null || (status !== null && status !== 'up')
    this.#tell(service, state, wish, by, lasts ? until : null)
    this.#gateway.changed()
  }

  /** In the registry, for all gateways. Resolves with whether this one has heard of it. */
  async #amend (service: Service, state: PeerState, wish: Wish, by: string, isOut: boolean): Promise<boolean> {
    const { weight, status } = wish
    if (isOut) this.#leaving.add(state)
    try {
      const revision = await this.#gateway.amend(service, state, { ...(weight !== null && { weight }), ...(status !== null && { status }) })
      this.#tell(service, state, wish, by, null)
      return await this.#applied(revision)
    } catch (error) {
      if (error instanceof Refusal) throw failure(409, hideIn(error.message))
      if (!(error instanceof Unreachable)) throw error
      // It may have been written all the same.
      this.#tell(service, state, wish, by, null, ', without an answer')
      throw failure(503, hideIn(error.message))
    } finally {
      this.#leaving.delete(state)
    }
  }

  async #applied (revision: bigint): Promise<boolean> {
    const { syncer, waiters } = this.#gateway
    const isThere = (): boolean => syncer.reached >= revision
    await waiters.until(isThere, APPLIED_WITHIN).catch(() => {})
    return isThere()
  }

  /** Until a check has ended that was not there before; what it came to is in the status. */
  async #checked ({ settings: { check } }: Service, state: PeerState, before: PeerState['lastCheck']): Promise<void> {
    const isOver = (): boolean => state.lastCheck !== before || state.isRemoved
    await this.#gateway.waiters.until(isOver, (check === false ? 0 : check.timeout) + SPARE).catch(() => {})
  }

  #tell (service: Service, state: PeerState, wish: Wish, by: string, until: number | null, how = ''): void {
    const { weight, status, scope, reason, force, check } = wish
    const changes = [status, weight === null ? null : `weight ${weight}`].filter(change => change !== null).join(' and ')
    const where = changes === '' ? null : `${changes} ${scope === 'registry' ? 'in the registry' : 'on this gateway'}${how}${force ? ', by force' : ''}`
    const what = [where, check ? 'check' : null].filter(part => part !== null).join(' and ')
    this.#gateway.news.acted({ at: this.#gateway.now(), service, state, by, what, reason, until })
  }
}
