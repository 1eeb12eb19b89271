/** How the demo ends: whatever ends it, what was started is stopped, the last first, before the process is gone. */
import { constants } from 'node:os'

/** Ending takes at most this long (ms). What is left then notices by itself that its parent is gone. */
const PATIENCE = 3000

const stops: Array<() => unknown> = []
let isEnding = false

/** `stop` will be called, and awaited, at the end; also when the end has begun already. Call it right after a start. */
export function atEnd (stop: () => unknown): void {
  stops.push(stop)
}

/** Stops everything and ends the process. A second call changes nothing. */
export async function end (code: number): Promise<void> {
  if (isEnding) return
  isEnding = true
  setTimeout(() => process.exit(code), PATIENCE)
  // Something may still be starting meanwhile: it adds itself here and is stopped like the rest.
  for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await Promise.resolve().then(stop).catch(() => {})
  process.exit(code)
}

/** Runs `main` and ends with its exit code; or earlier, when a signal, a closed pipe or an error says so. */
export function run (main: () => Promise<number>): void {
  const fail = (error: unknown): void => {
    // What breaks because everything is being stopped is no news; and Ctrl-C may reach a child before it reaches us.
    setTimeout(() => {
      if (!isEnding) console.error(error instanceof Error ? error.message : error)
      end(1)
    }, 20)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => { end(128 + constants.signals[signal]) })
  }
  process.on('uncaughtException', fail)
  // Nobody reads on (`| head`), or the terminal is gone.
  process.stdout.on('error', () => { end(0) })
  process.stderr.on('error', () => {})
  // Started with a channel to a parent: without that parent it is over too.
  process.on('disconnect', () => { end(1) })
  main().then(end, fail)
}
