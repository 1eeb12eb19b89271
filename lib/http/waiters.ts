/** Promises that wait for something to become true. Whoever changes anything calls `check`. */
export class Waiters {
  #closed: Error | null = null
  readonly #waiting = new Map<() => boolean, (error?: Error) => void>()

  /**
   * Resolves when `isTrue` is, at once if it is already; rejects with `late()` after `timeout` ms, if one is given, and
   * when the waiters are closed.
   */
  async until (isTrue: () => boolean, timeout?: number, late?: () => Error): Promise<void> {
    if (isTrue()) return
    if (this.#closed !== null) throw this.#closed
    await new Promise<void>((resolve, reject) => {
      // A look of its own for each wait, so that two waits for the same thing are two.
      const look = (): boolean => isTrue()
      const timer = timeout === undefined ? undefined : setTimeout(() => end(late?.()), timeout)
      const end = (error?: Error): void => {
        this.#waiting.delete(look)
        clearTimeout(timer)
        if (error === undefined) resolve()
        else reject(error)
      }
      this.#waiting.set(look, end)
    })
  }

  check (): void {
    for (const [look, end] of this.#waiting) if (look()) end()
  }

  /** Ends every wait with `error`, those to come included. */
  close (error: Error): void {
    this.#closed = error
    for (const end of this.#waiting.values()) end(error)
  }
}
