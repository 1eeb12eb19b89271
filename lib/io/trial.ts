import type { Duplex } from 'node:stream'
import type { ErrorKind } from '../logger/outcome.js'
import type { Exchange } from '../picker/exchange.js'
import type { Pick } from '../picker/picker.js'
import type { Answer, Recipient } from './recipient.js'
import type { Body } from './upload.js'

/** An attempt as its owner sees it. */
export interface Trial extends Answer {
  readonly pick: Pick
  /** Epoch ms. */
  readonly startedAt: number
  /** Whether bytes of the request may have left this machine. */
  readonly isSent: boolean
  /** Nothing more will come of it. */
  readonly isOver: boolean
  /** The answer may be bettered by another attempt; until then it waits. */
  hold: () => void
  /** This answer is the one that stands. */
  give: (recipient: Recipient) => void
  /** Ends it, whatever it is doing, as `kind`. */
  stop: (kind: ErrorKind, error: Error) => void
}

/** Whose attempt it is: told what came of it, decides what comes next. */
export interface Owner {
  readonly exchange: Exchange
  /** What the client sends. */
  readonly body: Body
  /** Epoch ms. */
  now: () => number
  /** How long the attempt may still wait for headers, ms. */
  patience: (trial: Trial) => number
  /** No headers came in time. */
  late: (trial: Trial) => void
  answered: (trial: Trial, at: number) => void
  failed: (trial: Trial, kind: ErrorKind, cause: Error) => void
  /** The peer has agreed to another protocol; `socket` is the connection. */
  upgraded: (trial: Trial, socket: Duplex) => void
  /** The error that a client is told. */
  errorFor: (kind: ErrorKind, cause: Error) => Error
}
