import { CLIENT_CLOSED } from '../logger/outcome.js'

/** Why an attempt was stopped; nobody is there to be told but the log, under nginx's status for it. */
export class ClientLeft extends Error {
  readonly statusCode = CLIENT_CLOSED

  constructor () {
    super('the client left before it was answered')
  }
}

/** What a client is told that did not send what it announced; no peer's fault. */
export class UploadLate extends Error {
  readonly statusCode = 408

  constructor () {
    super('the rest of the request did not come in time')
  }
}
