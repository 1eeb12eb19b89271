/**
 * `npm run test:drills` puts real etcd processes and real sockets through what breaks in the world; with words after `--` only
 * the drills that have one of them in their name. One line for each; the exit code is 1 when one failed.
 */
import { constants } from 'node:os'
import { drills } from './drills.js'
import { runDrill, type Result } from './outcome.js'
import type { Stage } from './stage.js'

let current: Stage | null = null

async function main (words: readonly string[]): Promise<number> {
  const chosen = drills.filter(({ name }) => words.length === 0 || words.some(word => name.includes(word)))
  if (chosen.length === 0) {
    console.error(`No drill has ${words.join(' or ')} in its name:\n${drills.map(({ name }) => name).join('\n')}`)
    return 1
  }
  const started = performance.now()
  const results: Result[] = []
  for (const drill of chosen) {
    const result = await runDrill(drill, stage => { current = stage })
    results.push(result)
    console.log(result.line)
  }
  const count = (outcome: Result['outcome']): number => results.filter(result => result.outcome === outcome).length
  console.log(`${count('ok')} ok, ${count('failed')} failed in ${((performance.now() - started) / 1000).toFixed(0)} s`)
  return count('failed') > 0 ? 1 : 0
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    const leave = (): void => process.exit(128 + constants.signals[signal])
    setTimeout(leave, 3000)
    Promise.resolve(current?.end()).then(leave, leave)
  })
}

process.exitCode = await main(process.argv.slice(2))
// Each drill has ended what it started. Whatever keeps the process alive nevertheless is a defect of a drill or of the gateway.
setTimeout(() => {
  console.error(`still alive: ${process.getActiveResourcesInfo().join(', ')}`)
  process.exit(1)
}, 5000).unref()
