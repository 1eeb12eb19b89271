/** Has something to send, when what has happened by then allows it. */
export interface Due {
  /** Whether it is to wait for another turn of the loop. */
  waits: () => boolean
  send: () => void
}

let due: Due[] = []

function sendAll (): void {
  const all = due
  due = []
  for (const one of all) {
    if (one.waits()) sendSoon(one)
    else one.send()
  }
}

/** Has `one` send when all events of this turn of the loop have been seen. One immediate for all: each costs as much as a pick. */
export function sendSoon (one: Due): void {
  if (due.push(one) === 1) setImmediate(sendAll)
}
