/**
 * What `node:http` and undici cost by themselves: a server and `dispatch`, round robin over one pool for each
 * upstream, headers copied, the response handed over as it comes. No time-outs, no counting, no checks.
 */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { listen, run } from './common.js'

/** To each upstream; more than the load generator ever opens. */
const CONNECTIONS = 128

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding'])

/** undici's handler in its older form, whose headers come as they were sent and are not made an object first. */
class Response {
  #res
  #abort
  #resume
  #waiting = false

  constructor (res) {
    this.#res = res
  }

  onConnect (abort) {
    this.#abort = abort
  }

  onHeaders (status, raw, resume) {
    if (status < 200) return true
    this.#resume = resume
    const headers = []
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i].latin1Slice()
      if (!hopByHop.has(name.toLowerCase())) headers.push(name, raw[i + 1].latin1Slice())
    }
    this.#res.writeHead(status, headers)
    return true
  }

  onData (chunk) {
    if (this.#res.destroyed) {
      this.#abort(new Error('the client left'))
      return false
    }
    return this.#res.write(chunk) || this.#wait()
  }

  onComplete () {
    this.#res.end()
  }

  onError () {
    if (this.#res.headersSent) this.#res.destroy()
    else this.#res.writeHead(502).end()
  }

  #wait () {
    if (this.#waiting) return false
    this.#waiting = true
    const go = () => {
      this.#waiting = false
      this.#res.off('drain', go).off('close', go)
      // Whoever left is noticed at the next byte.
      this.#resume()
    }
    this.#res.once('drain', go).once('close', go)
    return false
  }
}

await run(({ port, upstreams, services }) => {
  // It knows no services, but as many pools may be gone through in turn as services would have.
  const addresses = Array.from({ length: Math.max(services, 1) }, () => upstreams).flat()
  const pools = addresses.map(address => new Pool(`http://${address}`, { connections: CONNECTIONS }))
  let turn = 0
  const server = createServer((req, res) => {
    const raw = req.rawHeaders
    const headers = []
    for (let i = 0; i < raw.length; i += 2) if (!hopByHop.has(raw[i].toLowerCase())) headers.push(raw[i], raw[i + 1])
    const { url, method } = req
    const body = method === 'GET' || method === 'HEAD' ? null : req
    const pool = pools[turn]
    turn = turn + 1 === pools.length ? 0 : turn + 1
    pool.dispatch({ path: url, method, headers, body }, new Response(res))
  })
  return listen(server, port)
})
