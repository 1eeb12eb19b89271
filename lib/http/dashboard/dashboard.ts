import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { gzip, gzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isKnown, varyBy } from '../inspect/etag.js'
import type { Gateway } from '../gateway.js'
import { inSlices } from '../inspect/slices.js'
import { html } from './html.js'

const folder = new URL('./assets/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' }

/** Nothing but what this gateway itself serves, and no code in the page: what comes from the registry can run nowhere. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const zip = promisify(gzip)

interface Asset { readonly type: string, readonly tag: string, readonly plain: Buffer, readonly zipped: Buffer }

/** Comments that have lines of their own are for those who read the source. */
function bare (source: string): string {
  return source.replace(/^[ \t]*(?:\/\*\*[^]*?\*\/|\/\/.*)[ \t]*\n/gm, '')
}

/** The style and the scripts of the page, below `/assets/`. */
export function assets (app: FastifyInstance): void {
  const all = new Map(readdirSync(folder).flatMap((name): Array<[string, Asset]> => {
    const type = TYPES[name.split('.').at(-1) ?? '']
    if (type === undefined) return []
    const plain = Buffer.from(bare(readFileSync(new URL(name, folder), 'utf8')))
    return [[name, { type, plain, zipped: gzipSync(plain, { level: 9 }), tag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"` }]]
  }))
  app.get<{ Params: { name: string } }>('/assets/:name', (request, reply) => {
    const asset = all.get(request.params.name)
    if (asset === undefined) return reply.callNotFound()
    reply.header('cache-control', 'private, no-cache').header('etag', `W/${asset.tag}`).header('vary', varyBy(reply, 'accept-encoding'))
    if (isKnown(request.headers['if-none-match'], asset.tag)) return reply.code(304).send()
    reply.type(asset.type)
    return takesGzip(request) ? reply.header('content-encoding', 'gzip').send(asset.zipped) : reply.send(asset.plain)
  })
}

/** Whether it is a browser that asks for a page: it takes text/html by name, and JSON by name no rather than that. */
export function wantsPage ({ headers: { accept = '' } }: FastifyRequest): boolean {
  const qualities = new Map(accept.split(',').map(range => {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const quality = Number(parameters.find(parameter => parameter.startsWith('q='))?.slice(2) ?? 1)
    return [type, Number.isNaN(quality) ? 1 : quality] as const
  }))
  const page = qualities.get('text/html') ?? 0
  return page > 0 && page >= (qualities.get('application/json') ?? 0)
}

/** Answers with the page. */
export async function sendPage (gateway: Gateway, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  // By the last part of the path, so that it also holds where a proxy in front has taken off what comes before it.
  const name = (request.url.split('?')[0] ?? '').split('/').at(-1) ?? ''
  const page = await inSlices(html(gateway, name === '' ? '' : `./${name}/`), gateway.now)
  reply.header('content-security-policy', POLICY).header('cache-control', 'no-store').header('vary', varyBy(reply, 'accept, accept-encoding')).type('text/html; charset=utf-8')
  return takesGzip(request) ? reply.header('content-encoding', 'gzip').send(await zip(page)) : reply.send(page)
}

function takesGzip ({ headers: { 'accept-encoding': accepted = '' } }: FastifyRequest): boolean {
  return /(?:^|[\s,])gzip(?!\s*;\s*q=0(?:\.0*)?(?:$|[\s,]))/i.test(String(accepted))
}
