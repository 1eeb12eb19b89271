/** Promises that wait for something to become true. Whoever changes anything calls `check`. */
export class Waiters {
  readonly #waiting = new Set<() => void>()

  /**
   * Resolves when `isTrue` is, at once if it is already. With `timeout` (ms) it rejects with `late()` after that time;
   * the wait keeps no process alive.
   */
  async until (isTrue: () => boolean, timeout?: number, late?: () => Error): Promise<void> {
    if (isTrue()) return
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        this.#waiting.delete(look)
        clearTimeout(timer)
        settle()
      }
      const look = (): void => { if (isTrue()) end(resolve) }
      this.#waiting.add(look)
      const timer = timeout === undefined ? undefined : setTimeout(() => end(() => reject(late?.())), timeout).unref()
    })
  }

  check (): void {
    for (const look of this.#waiting) look()
  }
}
