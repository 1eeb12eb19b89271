/** For how long one slice of a longer work may hold the event loop, ms. */
const SLICE = 5

/**
 * Works until `work` is done, and lets others go first after each slice: requests do not wait for those who only look. Stops,
 * and gives null, once it is no longer wanted.
 */
export async function inSlices<T> (work: Generator<undefined, T>, now: () => number): Promise<T>
export async function inSlices<T> (work: Generator<undefined, T>, now: () => number, isWanted: () => boolean): Promise<T | null>
export async function inSlices<T> (work: Generator<undefined, T>, now: () => number, isWanted = () => true): Promise<T | null> {
  for (;;) {
    const end = now() + SLICE
    let step = work.next()
    while (step.done !== true && now() < end) step = work.next()
    if (step.done === true) return step.value
    await new Promise(resolve => setImmediate(resolve))
    if (!isWanted()) return null
  }
}

/** Works in one go. */
export function atOnce<T> (work: Generator<undefined, T>): T {
  let step = work.next()
  while (step.done !== true) step = work.next()
  return step.value
}
