import type { Upstream } from '../../picker/exchange.js'

/** Which peer's answer this is, after how many attempts and how many milliseconds. */
export const DEBUG_HEADER = 'x-upstream'

/** A service's name may be as long as it likes. */
const LONGEST = 200

/**
 * `shop/10.1.1.3:8080; attempts=2; ms=14`. `status` is that of the answer, which may be an earlier attempt's when later ones
 * came to nothing; null for none. A peer that is not known is `-`.
 */
export function debugHeader ({ service, peer, attempts }: Upstream, status: number | null, ms: number): string {
  const of = attempts.findLast(attempt => attempt.status === status)?.peer ?? peer ?? '-'
  return `${fieldText(service.slice(0, LONGEST))}/${fieldText(of)}; attempts=${attempts.length}; ms=${Math.round(ms)}`
}

/** What may stand in a header stays, and what ends a part of this one is escaped with the rest, as in a URL. */
function fieldText (text: string): string {
  return text.replace(/[^\x21-\x7e]+|[%;,"]/g, part => encodeURIComponent(part.replace(/[\ud800-\udfff]/gu, '\ufffd')))
}
