import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Fields, Message } from '../fixtures/http-bytes.js'
import { ask, play, type RawPeer } from '../fixtures/raw.js'
import type { Exchanged } from './exchange.js'

/** A message as it is compared: bodies over 300 bytes by length and digest. */
export interface Seen {
  line: string
  headers: Array<readonly [string, string]>
  framing: string
  body: string
  trailers: Fields
}

/** One exchange through one gateway. `atPeer` is what the peer read, a string where it could not. */
export interface Observed {
  atPeer: Seen[]
  atClient: Seen[]
  interim: Seen[]
  /** The client read its answer to the end. */
  complete: boolean
}

const PEER_DATE = 'Wed, 21 Oct 2015 07:28:00 GMT'

function seen ({ line, headers, framing, body, trailers }: Message, peer: RawPeer): Seen {
  return {
    line,
    // The gateway's own clock and the peer's port are no difference; a peer's date is.
    headers: headers.map(([name, value]) => [name, name.toLowerCase() === 'date' && value !== PEER_DATE ? 'now' : value === peer.id ? 'peer' : value] as const),
    framing,
    body: body.length <= 300 ? body.toString('latin1') : `${body.length} bytes, ${createHash('sha1').update(body).digest('hex')}`,
    trailers
  }
}

/** Sends the exchange's request to the gateway at `port`, has the peer answer as the exchange says, and tells what both saw. */
export async function observe (port: number, peer: RawPeer, { asked, request, answer, after }: Exchanged): Promise<Observed> {
  peer.forget()
  peer.options = {
    answer: (socket: Socket) => {
      play(socket, answer).then(() => {
        if (after === 'end') socket.end()
        if (after === 'reset') socket.resetAndDestroy()
      }, () => {})
    }
  }
  const { answers, interim, complete } = await ask(port, request, {
    methods: [asked.method ?? 'GET'],
    // Bare repeats a GET after 503 for up to 2.5 s.
    patience: 5000
  })
  const faults = peer.faults.map(({ message }): Seen => ({ line: message, headers: [], framing: 'none', body: '', trailers: [] }))
  return {
    atPeer: [...peer.requests.map(message => seen(message, peer)), ...faults],
    atClient: answers.map(message => seen(message, peer)),
    interim: interim.map(message => seen(message, peer)),
    complete
  }
}
