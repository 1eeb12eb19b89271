import type { FastifyBaseLogger } from 'fastify'
import { SyncError } from '../errors.js'
import type { Gateway } from './gateway.js'

/** Waits for the first listing as long as `start` says, then goes on without it or refuses to. */
export async function synced ({ registry, waiters, settings: { start } }: Gateway, log: FastifyBaseLogger): Promise<void> {
  const late = (): Error => new SyncError(registry.lastError ?? `nothing heard within ${start.wait} ms`)
  try {
    await waiters.until(() => registry.synced, start.wait, late)
  } catch (error) {
    if (registry.isReady) return log.warn(error, 'starting by the snapshot file, without the registry')
    if (start.onFail === 'throw') throw error
    log.warn(error, 'starting without the registry; its services answer 503 until it can be read')
  }
}
