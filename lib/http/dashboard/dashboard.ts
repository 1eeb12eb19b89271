import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { gzip, gzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Gateway } from '../gateway.js'
import { html } from './html.js'

const folder = new URL('./assets/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' }

/** Nothing but what this gateway itself serves, and no code in the page: what comes from the registry can run nowhere. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const zip = promisify(gzip)

interface Asset { readonly type: string, readonly etag: string, readonly plain: Buffer, readonly zipped: Buffer }

/** The style and the scripts of the page, below `/assets/`. */
export function assets (app: FastifyInstance): void {
  const all = new Map(readdirSync(folder).flatMap((name): Array<[string, Asset]> => {
    const type = TYPES[name.split('.').at(-1) ?? '']
    if (type === undefined) return []
    const plain = readFileSync(new URL(name, folder))
    return [[name, { type, plain, zipped: gzipSync(plain, { level: 9 }), etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"` }]]
  }))
  app.get<{ Params: { name: string } }>('/assets/:name', (request, reply) => {
    const asset = all.get(request.params.name)
    if (asset === undefined) return reply.callNotFound()
    reply.header('cache-control', 'private, no-cache').header('etag', asset.etag).header('vary', 'accept-encoding')
    if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send()
    reply.type(asset.type)
    return takesGzip(request) ? reply.header('content-encoding', 'gzip').send(asset.zipped) : reply.send(asset.plain)
  })
}

/** Whether it is a browser that asks for a page. */
export function wantsPage ({ headers: { accept = '' } }: FastifyRequest): boolean {
  return accept.split(',').some(range => {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    return type === 'text/html' && !parameters.some(parameter => /^q=0(?:\.0*)?$/.test(parameter))
  })
}

/** Answers with the page. */
export async function sendPage (gateway: Gateway, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  // By the last part of the path, so that it also holds where a proxy in front has taken off what comes before it.
  const name = (request.url.split('?')[0] ?? '').split('/').at(-1) ?? ''
  const page = html(gateway, name === '' ? '' : `${name}/`)
  reply.header('content-security-policy', POLICY).header('cache-control', 'no-store').header('vary', 'accept, accept-encoding').type('text/html; charset=utf-8')
  return takesGzip(request) ? reply.header('content-encoding', 'gzip').send(await zip(page)) : reply.send(page)
}

function takesGzip ({ headers: { 'accept-encoding': accepted = '' } }: FastifyRequest): boolean {
  return /(?:^|[\s,])gzip(?!\s*;\s*q=0(?:\.0*)?(?:$|[\s,]))/i.test(String(accepted))
}
