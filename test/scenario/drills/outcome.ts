import { Stage, type Drill } from './stage.js'

/** Ending all that a drill has started may take this long (ms). */
const END_WITHIN = 30_000

export interface Result {
  readonly outcome: 'ok' | 'failed'
  /** What to print of it. */
  readonly line: string
}

/** Runs one drill on a stage of its own, which is gone afterwards. Never rejects. */
export async function runDrill (drill: Drill, onStage: (stage: Stage | null) => void = () => {}): Promise<Result> {
  const name = drill.name.padEnd(46)
  const stage = new Stage()
  onStage(stage)
  const started = performance.now()
  const complaints: string[] = []
  const stray = (error: unknown): void => { complaints.push(`unhandled: ${wordsOf(error)}`) }
  process.on('unhandledRejection', stray).on('uncaughtException', stray)
  try {
    await within(drill.run(stage), drill.bound * 1000)
  } catch (error) {
    complaints.push(wordsOf(error))
  }
  for (const step of [() => stage.judge(), () => stage.end()]) {
    await within(step(), END_WITHIN).catch(error => { complaints.push(wordsOf(error)) })
  }
  process.off('unhandledRejection', stray).off('uncaughtException', stray)
  onStage(null)
  const { made, failed, stale } = stage.requests
  const seconds = (ms: number): string => (ms / 1000).toFixed(1).padStart(5)
  const outcome = complaints.length === 0 ? 'ok' : 'failed'
  return {
    outcome,
    line: [`${outcome.padEnd(7)} ${name}${seconds(performance.now() - started)} s  ${String(made).padStart(5)} requests, ${failed} failed, stale ${seconds(stale)} s`,
      ...complaints.map(complaint => `        ${complaint.replaceAll('\n', '\n        ')}`)].join('\n')
  }
}

async function within (work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${ms / 1000} s`)), ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

function wordsOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
