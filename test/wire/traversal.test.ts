import { createRequire } from 'node:module'
import fc from 'fast-check'
import t from 'tap'
import { startGateway } from '../fixtures/gateway.js'
import { ask, portOf, startRawPeer } from '../fixtures/raw.js'

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'

/** reply-from's own check of a path, which refuses with `statusCode` 400. */
const { buildURL } = createRequire(import.meta.url)('@fastify/reply-from/lib/utils.js') as { buildURL: (source: string, base: string) => URL }

function bareRefuses (path: string): boolean {
  try {
    buildURL(path, 'http://upstream')
    return false
  } catch (error) {
    return (error as { statusCode?: number }).statusCode === 400
  }
}

/** Escapes are decoded once; what is no escape stays. */
const decoded = (text: string): string => text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** Where a server looks that decodes once, takes `\` for `/`, drops `;parameters` and then resolves dots. */
function normalized (target: string): string {
  const found: string[] = []
  for (const part of decoded(target.split('?', 1)[0] ?? '').replaceAll('\\', '/').split('/')) {
    const segment = part.split(';', 1)[0]
    if (segment === '..') found.pop()
    else if (segment !== '' && segment !== '.') found.push(part)
  }
  return `/${found.join('/')}`
}

const isInside = (target: string): boolean => /^\/public(?:\/|$)/.test(normalized(target))

const DOTS = ['..', '%2e%2e', '%2E%2E', '.%2e', '%2e.', '..;', '..;a=b', '%2e%2e;', '..%3b', '..%00', '%00..', '..%20', '%20..', '.%00.', '..%09', '..%0d%0a', '%c0%ae%c0%ae', '%e0%80%ae%e0%80%ae', '%f0%80%80%ae', '%c0.%c0.', '%uff0e%uff0e', '%252e%252e', '%25252e%25252e', '..%ff', '%ef%bc%8e%ef%bc%8e', '. .', '...', '....', '.']
const SLASHES = ['/', '%2f', '%2F', '\\', '%5c', '%5C', '//', '/./', '%c0%af', '%252f', '%255c', '%ef%bc%8f', ';/', '/;/', '%2f%2f', '\\/', '/\\']

t.test('nothing outside of rewritePrefix is reached, in whatever encoding', async t => {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  const gateway = await startGateway(t, {
    peers: { shop: { [peer.id]: {} } },
    routes: [{ prefix: '/shop', service: 'shop', rewritePrefix: '/public/' }, { prefix: '/deep/er/', service: 'shop', rewritePrefix: '/public' }],
    inspect: false
  })
  const port = portOf(gateway.url)
  const wrong: string[] = []
  /** What the peer was asked for, or null. */
  const asked = async (target: string): Promise<string | null> => {
    peer.forget()
    const { answers: [answer] } = await ask(port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, { answers: Infinity })
    const [seen, second] = peer.requests
    if (second !== undefined || answer?.line.startsWith(seen === undefined ? 'HTTP/1.1 4' : 'HTTP/1.1 200 ') !== true) wrong.push(`${target}: ${answer?.line ?? 'no answer'}`)
    return seen?.line.split(' ')[1] ?? null
  }
  const paths = DOTS.flatMap(dots => SLASHES.flatMap(slash => [`/${dots}${slash}admin`, `/a${slash}${dots}${slash}${dots}${slash}admin`]))
  const more = ['/..', '/%2e%2e', '/a/..', '/../../../../admin', '/a/%2e%2e/%2e%2e/admin', '..', '%2f..%2fadmin', '/..?a', '/?/../../admin', '/#/../../admin', '/a/..#', '/\t../admin', '/.\t./admin', '//..//admin']
  for (const [i, path] of [...more, ...paths].entries()) {
    const prefixes = ['/shop', '/deep/er', 'http://x/shop', '/sh%6fp']
    for (const prefix of i < more.length ? prefixes : [prefixes[i % 4] ?? '']) {
      const seen = await asked(prefix + path)
      if (seen !== null && !isInside(seen)) wrong.push(`${prefix + path} -> ${seen}`)
      if (seen !== null && bareRefuses(`/public${path.split(/[?#]/, 1)[0] ?? ''}`)) wrong.push(`${prefix + path} is refused by reply-from`)
    }
  }
  t.same(wrong, [])
  t.equal(await asked('/shop/a/b%2Fc'), '/public/a/b%2Fc', 'and what is inside is reached')
  t.equal(await asked('/shop/a%2e%2eb'), '/public/a%2e%2eb')
})

t.test('what reply-from refuses ours refuses, and the rest is inside', async t => {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/shop', service: 'shop', rewritePrefix: '/public/' }], inspect: false })
  const port = portOf(gateway.url)
  const piece = fc.constantFrom('.', '..', '.', '/', '/', '%2e', '%2E', '%2f', '%2F', '%5c', '\\', ';', ';a', 'a', '%', '%25', '%252e', '%00', '%c0%ae', '%ff', '"', '[', '...', '%0a', '%09', '~', '@', ':')
  const paths = fc.sample(fc.array(piece, { minLength: 1, maxLength: 9 }).map(parts => `/${parts.join('')}`), { numRuns: 1200, seed: 20261122 })
  const wrong: string[] = []
  let through = 0
  for (let i = 0; i < paths.length; i += 40) {
    peer.forget()
    await Promise.all(paths.slice(i, i + 40).map(async (path, n) => {
      const { answers: [answer] } = await ask(port, `GET /shop${path}?${n} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, { answers: Infinity })
      const seen = peer.requests.find(({ line }) => line.split(' ')[1]?.split('?')[1] === String(n))?.line.split(' ')[1]
      if (seen === undefined) {
        if (answer?.line.startsWith('HTTP/1.1 4') !== true) wrong.push(`${path}: ${answer?.line ?? 'no answer'}`)
        return
      }
      through++
      if (bareRefuses(`/public${path}`)) wrong.push(`${path}: refused by reply-from`)
      if (!isInside(seen)) wrong.push(`${path}: ${seen}`)
    }))
  }
  t.same(wrong, [])
  t.ok(through > 200, `${through} of ${paths.length} were let through`)
})
