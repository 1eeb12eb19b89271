import { ejection } from './ejection.js'
import { latency } from './latency.js'
import { slowStart } from './slow-start.js'

/** The pictures of docs, by file name. The simulation has no chance and no clock of its own: they are the same each time. */
export function figures (): Map<string, string> {
  return new Map([['slow-start.svg', slowStart()], ['ejection.svg', ejection()], ['latency.svg', latency()]])
}
