/** Prometheus' text format, version 0.0.4. */

/** What it is sent as. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const PREFIX = 'fastify_upstream_'

/** About so many letters are written at a time. */
const CHUNK = 65_536

/** One value; a bigint keeps all its digits. `labels` are as `labelled` writes them, `part` is a histogram's: `_sum`. */
export interface Sample {
  readonly part?: string
  readonly labels?: string
  readonly value: number | bigint
}

/** A family in pieces, so that a large one leaves others their turn; one without samples is left out. */
export function * family (name: string, type: 'gauge' | 'counter' | 'histogram', help: string, samples: Iterable<Sample>): Generator<string, void> {
  const full = PREFIX + name
  const head = `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n`
  let text = head
  let isEmpty = true
  for (const { part = '', labels, value } of samples) {
    isEmpty = false
    text += labels === undefined ? `${full}${part} ${value}\n` : `${full}${part}{${labels}} ${value}\n`
    if (text.length < CHUNK) continue
    yield text
    text = ''
  }
  if (!isEmpty) yield text
}

/** Names and values as they stand between the braces. */
export function labelled (labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`).join(',')
}

function escaped (value: string): string {
  return value.replace(/[\\"\n]/g, found => found === '\n' ? '\\n' : `\\${found}`)
}
