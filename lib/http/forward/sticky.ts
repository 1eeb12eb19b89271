import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { cookieIn } from '../../picker/hash-key.js'
import { identityOf, type PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import type { StickySettings } from '../../store/settings.js'

const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16
/** A cookie that is longer is none of ours. */
const LONGEST = 1024

/** The keys that follow from secrets, while the settings that hold them last. */
const derived = new WeakMap<StickySettings, readonly Buffer[]>()

/**
 * The cookie that keeps a client on its peer. It holds the peer, sealed by AES-256-GCM with a key from the secret: it
 * cannot be made or changed without that, belongs to one service and one name of a cookie, and tells nobody an address.
 * Whatever else it holds, and whoever is not there any more, is as good as no cookie.
 */
export function homeOf (service: Service, request: FastifyRequest): PeerState | null {
  const { sticky } = service.settings
  if (sticky === false) return null
  const cookie = cookieIn(request.headers.cookie, sticky.cookie)
  if (cookie === undefined || cookie === '' || cookie.length > LONGEST) return null
  const identity = opened(cookie, sticky, service.name)
  return identity === null ? null : service.peers.get(identity) ?? null
}

/** The `Set-Cookie` that keeps the request's client on `state`, for as long as its browser runs. */
export function setCookie (service: Service, sticky: StickySettings, state: PeerState, request: FastifyRequest): string {
  const secure = request.protocol === 'https' ? '; Secure' : ''
  return `${sticky.cookie}=${sealed(identityOf(state.peer), sticky, service.name)}; Path=/; HttpOnly; SameSite=Lax${secure}`
}

function sealed (identity: string, sticky: StickySettings, service: string): string {
  const iv = randomBytes(IV_BYTES)
  const [key] = keysOf(sticky)
  const cipher = createCipheriv(CIPHER, key as Buffer, iv).setAAD(Buffer.from(`${sticky.cookie}\0${service}`))
  const text = Buffer.concat([cipher.update(identity, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url')
}

function opened (cookie: string, sticky: StickySettings, service: string): string | null {
  const bytes = Buffer.from(cookie, 'base64url')
  if (bytes.length <= IV_BYTES + TAG_BYTES) return null
  for (const key of keysOf(sticky)) {
    try {
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(`${sticky.cookie}\0${service}`))
        .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
      return decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    } catch {
      // Not sealed by this secret: by another one, or by nobody.
    }
  }
  return null
}

function keysOf (sticky: StickySettings): readonly Buffer[] {
  let keys = derived.get(sticky)
  if (keys === undefined) {
    keys = sticky.secret.map(secret => Buffer.from(hkdfSync('sha256', secret, '', 'fastify-upstream-etcd sticky', 32)))
    derived.set(sticky, keys)
  }
  return keys
}
