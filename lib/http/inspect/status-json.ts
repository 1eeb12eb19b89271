import type { Status } from './status.js'

/** So many peers are written between two steps. */
const STEP = 64

/**
 * The status as JSON, step by step, and beside it what of it is not changed by the clock alone: that is the same text as long
 * as nothing has happened.
 */
export function * written ({ services, ...top }: Status): Generator<undefined, { json: string, timeless: string }> {
  const texts: string[] = []
  for (const { peers, ...service } of services) {
    const lines: string[] = []
    for (const peer of peers) {
      lines.push(JSON.stringify(peer))
      if (lines.length % STEP === 0) yield
    }
    texts.push(`${JSON.stringify(service).slice(0, -1)},"peers":[${lines.join(',')}]}`)
    yield
  }
  const all = `"services":[${texts.join(',')}]}`
  const { now: _now, registry: { lastVerifiedAt: _at, stalenessMs: _ms, ...registry }, ...rest } = top
  return { json: `${JSON.stringify(top).slice(0, -1)},${all}`, timeless: `${JSON.stringify({ ...rest, registry })}${all}` }
}
