import type { Numbered } from './journal.js'

/** Hears of everything that happens. */
export type Ear = (happening: Numbered) => unknown

/** Who listens. */
export interface Ears {
  /** From now on `ear` hears of everything; returns what ends that. */
  readonly add: (ear: Ear) => () => void
  /** Tells all of them. What one of them does that is told itself comes after this, so that all hear the same order. */
  readonly tell: (happening: Numbered) => void
}

/** Nobody yet. What an ear throws, or rejects with, goes to `failed` and stops nobody. */
export function ears (failed: (error: unknown) => void): Ears {
  const listening = new Set<{ readonly ear: Ear }>()
  const waiting: Numbered[] = []
  let isTelling = false
  return {
    add: ear => {
      const entry = { ear }
      listening.add(entry)
      return () => { listening.delete(entry) }
    },
    tell: happening => {
      if (listening.size === 0) return
      waiting.push(happening)
      if (isTelling) return
      isTelling = true
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        // Who has gone since the last one was told hears no more of it.
        for (const entry of [...listening]) if (listening.has(entry)) hear(entry.ear, next, failed)
      }
      isTelling = false
    }
  }
}

function hear (ear: Ear, happening: Numbered, failed: (error: unknown) => void): void {
  try {
    const heard = ear(happening)
    if (isThenable(heard)) heard.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

/** A promise, of whatever make. */
function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
