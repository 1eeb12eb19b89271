/** What the schema of the status is made of. Types are kept to the letter, so that tools can derive the status' type from it. */

/** An object that has all of `properties` and nothing else. */
export function closed<const Properties extends Readonly<Record<string, object>>> (title: string, description: string, properties: Properties) {
  return { title, description, type: 'object', properties, required: Object.keys(properties) as Array<keyof Properties & string>, additionalProperties: false } as const
}

/** The same value, which nobody can change any more at any depth. */
export function frozen<T> (value: T): T {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(Object.freeze(value))) frozen(part)
  return value
}

/** The same where there may be `null` instead. */
export function closedOrNull<const Properties extends Readonly<Record<string, object>>> (title: string, description: string, properties: Properties) {
  return { ...closed(title, description, properties), type: ['object', 'null'] } as const
}

/** A list of what `items` says. */
export function listOf<const Items extends object> (title: string, description: string, items: Items) {
  return { title, description, type: 'array', items } as const
}

/** One of these words. */
export function oneOf<const Words extends readonly string[]> (description: string, words: Words) {
  return { description, type: 'string', enum: words } as const
}

/** Any text, or one that may be `null`. */
export function text (description: string) {
  return { description, type: 'string' } as const
}

/** Text, or `null`. */
export function textOrNull (description: string) {
  return { description, type: ['string', 'null'] } as const
}

/** True or false. */
export function yesOrNo (description: string) {
  return { description, type: 'boolean' } as const
}

/** A whole number from 0. */
export function count (description: string) {
  return { description, type: 'integer', minimum: 0 } as const
}

/** A number from 0. */
export function amount (description: string) {
  return { description, type: 'number', minimum: 0 } as const
}

/** A number from 0, or `null`. */
export function amountOrNull (description: string) {
  return { description, type: ['number', 'null'], minimum: 0 } as const
}

/** A number from 0 to 1. */
export function share (description: string) {
  return { description: `${description} (0…1)`, type: 'number', minimum: 0, maximum: 1 } as const
}

/** A number from 0 to 1, or `null`. */
export function shareOrNull (description: string) {
  return { description: `${description} (0…1)`, type: ['number', 'null'], minimum: 0, maximum: 1 } as const
}

/** As toISOString() writes it. */
const ISO = '^(?:\\d{4}|[+-]\\d{6})-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$'

/** A point in time. */
export function time (description: string) {
  return { description: `${description} (ISO 8601, UTC, ms)`, type: 'string', pattern: ISO } as const
}

/** A point in time, or `null`. */
export function timeOrNull (description: string) {
  return { description: `${description} (ISO 8601, UTC, ms)`, type: ['string', 'null'], pattern: ISO } as const
}

/** A whole number of 64 bits, as text: JavaScript's numbers would round it. */
export function bigNumber (description: string) {
  return { description: `${description} (decimal)`, type: 'string', pattern: '^\\d+$' } as const
}

/** The same, or `null`. */
export function bigNumberOrNull (description: string) {
  return { description: `${description} (decimal)`, type: ['string', 'null'], pattern: '^\\d+$' } as const
}

/** What peers and services have of the last time in common. */
export const rates = {
  rps: amount('Requests per second over the last 60 s, or over statsWindow when that is shorter'),
  errorRate: shareOrNull('Share of 5xx and failures among the requests of that time; null without any'),
  latencyMs: closed('Latency', 'Percentiles of that time, until the last byte (ms)', {
    p50: amountOrNull('Half of the requests took no longer (ms); null without any'),
    p90: amountOrNull('Nine in ten took no longer (ms); null without any'),
    p99: amountOrNull('99 in a hundred took no longer (ms); null without any')
  })
} as const
