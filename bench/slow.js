/**
 * A backend that takes its time: `/headers` sends its headers at once and the body 300 ms later, `/byte` the headers with
 * the first byte of the body, and the rest 300 ms later. Run as `backend.js` is.
 */
import { createServer } from 'node:http'
import { listen, run } from './contenders/common.js'

const WAIT = 300

await run(({ port }) => listen(createServer((req, res) => {
  res.writeHead(200, { 'content-type': 'text/plain', 'content-length': '2' })
  if (req.url === '/byte') res.write('x')
  else res.flushHeaders()
  setTimeout(() => res.end(req.url === '/byte' ? 'x' : 'xx'), WAIT)
}), port))
