import type { ServiceSettings } from '../store/settings.js'

/** What of a request a key may be made of. */
export interface Asked {
  /** Path and query as they came. */
  readonly uri: string
  /** The client's address, null when there is no client. */
  readonly address: string | null
  /** The field of that name, in lower case; a list where it came several times. */
  readonly field: (name: string) => string | string[] | undefined
}

/** Whether the balancer looks at keys. */
export function needsKey ({ balancer }: ServiceSettings): boolean {
  return balancer === 'hash' || typeof balancer === 'object'
}

/** The key by a form of `hashKey` in words; the client's address where the request has no such header or cookie. */
export function keyOf (form: string, asked: Asked): string | null {
  if (form === 'ip') return asked.address
  if (form === 'uri') return asked.uri
  const colon = form.indexOf(':')
  const name = form.slice(colon + 1)
  const found = form.startsWith('cookie:') ? cookieIn(asked.field('cookie'), name) : textOf(asked.field(name.toLowerCase()))
  return found === undefined || found === '' ? asked.address : found
}

/** The value of a cookie as it came; the first one when there are several. */
export function cookieIn (field: string | string[] | undefined, name: string): string | undefined {
  const text = textOf(field)
  if (text === undefined) return undefined
  for (const pair of text.split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

function textOf (field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field.join('; ') : field
}
