import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import ts from 'typescript'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'

const HTML = { accept: 'text/html' }
const folder = new URL('../../lib/http/dashboard/assets/', import.meta.url)
const names = readdirSync(folder)

async function injectable (t: Pick<Test, 'teardown'>, options: Partial<UpstreamEtcdOptions> = {}, prefix = ''): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(async child => { await child.register(upstreamEtcd, { peers: { shop: { '127.0.0.1:1': {} } }, check: false, ...options }) }, { prefix })
  await app.ready()
  return app
}

t.test('a page for who asks for one, JSON for all others', async t => {
  const app = await injectable(t)
  const rows: Array<[accept: string | undefined, isPage: boolean]> = [
    [undefined, false],
    ['*/*', false],
    ['', false],
    ['text/*', false],
    ['application/json', false],
    ['text/html', true],
    ['TEXT/HTML', true],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', true],
    ['text/html;q=0', false],
    ['text/html;q=0.000, */*', false],
    ['text/html ; Q=0', false],
    ['text/html;level=1;q=0', false],
    ['text/html;q=0.001', true],
    ['application/json, text/plain, */*', false],
    ['application/json, text/html;q=0.9', false],
    ['application/json;q=0.9, text/html', true],
    ['application/json;q=0.5, text/html;q=0.4', false],
    ['application/json, text/html', true],
    ['text/htmlx, xtext/html', false],
    ['text/html;q=x', true]
  ]
  for (const [accept, isPage] of rows) {
    for (const url of ['/_upstreams', '/_upstreams/']) {
      const { statusCode, headers } = await app.inject({ url, headers: accept === undefined ? {} : { accept } })
      t.equal(statusCode, 200)
      t.match(headers['content-type'], isPage ? 'text/html; charset=utf-8' : /^application\/json/, `${url} ${String(accept)}`)
      t.match(headers.vary, /\baccept\b/)
    }
  }
  t.match((await app.inject({ url: '/_upstreams?text', headers: HTML })).headers['content-type'], 'text/plain')
})

t.test('the page carries a policy under which nothing strange can run, and nobody keeps it', async t => {
  const app = await injectable(t)
  for (const method of ['GET', 'HEAD'] as const) {
    const { headers } = await app.inject({ method, url: '/_upstreams', headers: HTML })
    const policy = new Map(String(headers['content-security-policy']).split('; ').map(part => [part.split(' ')[0], part.split(' ').slice(1).join(' ')]))
    t.match(Object.fromEntries(policy), { 'default-src': "'none'", 'script-src': "'self'", 'style-src': "'self'", 'connect-src': "'self'", 'base-uri': "'none'", 'form-action': "'none'", 'frame-ancestors': "'none'" })
    t.notMatch(headers['content-security-policy'], /unsafe|\*|https?:/)
    t.match(headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cross-origin-resource-policy': 'same-origin' })
  }
  const { body } = await app.inject({ url: '/_upstreams', headers: HTML })
  t.notMatch(body, /<script(?! type="module" src=)|<style|\son\w+=|\sstyle=|javascript:/)
})

t.test('assets have their type, a tag by which they are not sent twice, and gzip', async t => {
  const app = await injectable(t)
  for (const name of names) {
    const url = `/_upstreams/assets/${name}`
    const plain = await app.inject(url)
    t.match(plain, { statusCode: 200, headers: { 'content-type': name.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8', 'cache-control': 'private, no-cache', vary: 'accept-encoding', 'x-content-type-options': 'nosniff' } }, name)
    t.equal(plain.headers['content-encoding'], undefined)
    const zipped = await app.inject({ url, headers: { 'accept-encoding': 'br, gzip;q=0.8' } })
    t.equal(zipped.headers['content-encoding'], 'gzip')
    t.equal(gunzipSync(zipped.rawPayload).toString(), plain.body)
    t.equal(zipped.headers.etag, plain.headers.etag)
    const tag = String(plain.headers.etag)
    // One tag for both codings says no more than that they mean the same.
    t.match(tag, /^W\/"[\w-]{22}"$/)
    for (const known of [tag, tag.slice(2), `"other", ${tag}`, '*']) {
      const { statusCode, body, headers } = await app.inject({ url, headers: { 'if-none-match': known, 'accept-encoding': 'gzip' } })
      t.same([statusCode, body, headers.etag], [304, '', tag], known)
    }
    t.equal((await app.inject({ url, headers: { 'if-none-match': '"other"' } })).statusCode, 200)
  }
  for (const coding of ['identity', 'gzip;q=0', 'gzip; q=0.0, br', 'xgzip', '']) {
    for (const url of ['/_upstreams', '/_upstreams/assets/main.js']) t.equal((await app.inject({ url, headers: { ...HTML, 'accept-encoding': coding } })).headers['content-encoding'], undefined, coding)
  }
  const page = await app.inject({ url: '/_upstreams', headers: { ...HTML, 'accept-encoding': 'gzip' } })
  t.match(gunzipSync(page.rawPayload).toString(), /^<!doctype html>[^]*<\/html>\n$/)
})

t.test('everything that a browser loads of an empty gateway is less than 20 KiB', async t => {
  const app = await injectable(t, { peers: {} })
  const accept = { ...HTML, 'accept-encoding': 'gzip' }
  const page = await app.inject({ url: '/_upstreams', headers: accept })
  let bytes = page.rawPayload.length
  const seen = new Set<string>()
  const load = async (path: string): Promise<void> => {
    if (seen.has(path)) return
    seen.add(path)
    const { statusCode, rawPayload } = await app.inject({ url: path, headers: accept })
    t.equal(statusCode, 200, path)
    bytes += rawPayload.length
    for (const [, next = ''] of gunzipSync(rawPayload).toString().matchAll(/^import .*?'\.\/([\w.]+)'/gm)) await load(`/_upstreams/assets/${next}`)
  }
  for (const [, path = ''] of gunzipSync(page.rawPayload).toString().matchAll(/(?:src|href)="\.\/(_upstreams\/assets\/[^"]+)"/g)) await load(`/${path}`)
  t.same([...seen].map(path => path.split('/').at(-1)).sort(), [...names].sort(), 'all assets are loaded')
  t.comment(`${bytes} bytes`)
  t.ok(bytes < 20_480, `${bytes} bytes`)
})

t.test('scripts are sent without their comments, and whole', async t => {
  const app = await injectable(t)
  const code = (source: string): string => ts.transpileModule(source, { compilerOptions: { allowJs: true, removeComments: true, target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext }, fileName: 'x.js' }).outputText
  for (const name of names) {
    const source = readFileSync(new URL(name, folder), 'utf8')
    const { body } = await app.inject(`/_upstreams/assets/${name}`)
    t.notMatch(body, /^\s*(?:\/\*\*|\*\/|\/\/)/m, name)
    if (name.endsWith('.css')) t.equal(body, source)
    else t.equal(code(body), code(source))
  }
})

t.test('nothing else is found below assets', async t => {
  const app = await injectable(t)
  const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  // As it stands here: no client makes another path of it.
  const ask = async (path: string): Promise<[number | undefined, string]> => {
    const [response] = await once(get({ host: url.hostname, port: url.port, path: `/_upstreams/assets/${path}`, agent: false }), 'response') as [IncomingMessage]
    let body = ''
    for await (const chunk of response) body += String(chunk)
    return [response.statusCode, body]
  }
  t.equal((await ask('main.js'))[0], 200)
  for (const path of ['none.js', 'main.ts', '', '.', '..', '%2e%2e', '..%2fdashboard.ts', '..%2f..%2finspect.ts', '%2e%2e%2fhtml.ts', '..%5chtml.ts', 'main.js%00', '%00', '../html.ts', '/etc/passwd', '%2fetc%2fpasswd', '__proto__', 'constructor', 'MAIN.JS', 'main.js/', 'toString']) {
    const [status, body] = await ask(path)
    t.equal(status, 404, path)
    t.notMatch(body, /import|root:/)
  }
  t.equal((await ask('%ff'))[0], 400, 'no path at all')
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'] as const) t.equal((await app.inject({ method, url: '/_upstreams/assets/main.js' })).statusCode, 404)
})

t.test('outsiders find neither page nor assets', async t => {
  const app = await injectable(t)
  const missing = await app.inject('/nowhere')
  for (const path of ['', '/', '/assets/main.js', '/assets/page.css', '/events']) {
    for (const { headers, remoteAddress } of [{ headers: {}, remoteAddress: '10.0.0.9' }, { headers: { 'x-forwarded-for': '1.2.3.4' }, remoteAddress: '127.0.0.1' }, { headers: { host: 'evil.example' }, remoteAddress: '127.0.0.1' }]) {
      const answer = await app.inject({ url: `/_upstreams${path}`, headers: { ...HTML, ...headers, 'if-none-match': '*' }, remoteAddress })
      t.equal(answer.statusCode, 404, path)
      t.same(Object.keys(answer.headers), Object.keys(missing.headers))
      t.match(answer.json(), { message: `Route GET:/_upstreams${path} not found` })
    }
  }
  const off = await injectable(t, { inspect: false })
  for (const path of ['', '/assets/main.js']) t.equal((await off.inject({ url: `/_upstreams${path}`, headers: HTML })).statusCode, 404)
})

t.test('what the page leads to is found wherever the page is', async t => {
  const rows: Array<[path: string, prefix: string, at: string]> = [
    ['/_upstreams', '', '/_upstreams'],
    ['/ops/state', '', '/ops/state'],
    ['/ops/state', '/api', '/api/ops/state'],
    ['/(a)~b', '', '/(a)~b']
  ]
  for (const [path, prefix, at] of rows) {
    const app = await injectable(t, { inspect: { path } }, prefix)
    for (const url of [at, `${at}/`, `${at}?a=/b/c`, `${at}/?x`]) {
      const { statusCode, body } = await app.inject({ url, headers: HTML })
      t.equal(statusCode, 200, url)
      const links = [...body.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link = '']) => link).filter(link => !link.startsWith('data:'))
      t.equal(links.length, 3)
      for (const link of links) {
        t.notMatch(link, /^(?:\/|\w+:)/, 'relative, so that it holds behind a proxy that has taken off a prefix')
        const { pathname } = new URL(link, `http://gateway.example${url}`)
        t.equal((await app.inject(pathname)).statusCode, 200, `${url} → ${pathname}`)
      }
    }
  }
})

t.test('hostile names are text in the page', async t => {
  const hostile = '<img src=x onerror=alert(1)>"\'&</title><script>alert(1)</script>\u202E'
  const app = await injectable(t, { peers: { [hostile]: { '127.0.0.1:1': { status: 'down' } }, ['__proto__']: { '127.0.0.1:1': {} }, '</script>': {} }, keyPrefix: '/"><b>/' })
  const { body } = await app.inject({ url: '/_upstreams', headers: HTML })
  t.notMatch(body, /<img|<b>|<script(?! type="module" src="[^"]*assets\/main\.js"><\/script>)/)
  t.equal(body.match(/<\/title>/g)?.length, 1)
  t.equal(body.match(/<\/script>/g)?.length, 1)
  t.match(body, '&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;&lt;/title&gt;')
  const [, shown = ''] = /<bdi>(&lt;img[^<]*)<\/bdi>/.exec(body) ?? []
  t.notMatch(shown, '\u202E', 'what turns the direction of text is shown as a sign')
  const [, link = ''] = /href="([^"]*img[^"]*)"/.exec(body) ?? []
  t.equal(decodeURIComponent((link.split('/services/')[1] ?? '').replaceAll('&#39;', "'")), hostile)
})
