import { ConsecutiveBreaker, circuitBreaker, handleWhen, noop, retry } from 'cockatiel'
import { Etcd3, isRecoverableError, type IOptions } from 'etcd3'
import type { EtcdSettings } from '../../options.js'

/** A dead host of several is skipped for this long (ms). */
const SKIP_HOST = 2000

/** The part of etcd that this package uses: one client for calls, others for the watch. */
export interface EtcdClients {
  readonly calls: Etcd3
  /** One for each host, so that a watch can pass over a host that does not answer. */
  readonly watches: readonly Etcd3[]
  /**
   * Fetches a fresh token when credentials were given; to be called before a session. False when etcd does not ask for
   * credentials: then it goes on without.
   */
  readonly login: () => Promise<boolean>
  /** Etcd has refused the token since the last login. */
  readonly isRefused: () => boolean
  readonly close: () => void
}

/** Our own, shared by all clients. */
interface Token {
  value: string | null
  refused: boolean
}

/** Call options as etcd3 takes them, without its function form. */
type CallOptions = Exclude<NonNullable<IOptions['defaultCallOptions']>, (...args: never[]) => unknown>
type Interceptor = NonNullable<CallOptions['interceptors']>[number]

/**
 * Clients of their own for calls and watch, because a call that misses its deadline takes a shared channel down and the
 * watch with it. Every unary call has a deadline of `timeout` ms. With one host nothing is repeated here, the source does
 * that; with several, a call goes on to the next host, and a host that failed is left alone for 2 s.
 */
export function connect (settings: EtcdSettings): EtcdClients {
  const token: Token = { value: null, refused: false }
  const calls = new Etcd3(clientOptions(settings, token))
  const watches = settings.hosts.map(host => new Etcd3(clientOptions({ ...settings, hosts: [host] }, token)))
  return {
    calls,
    watches,
    isRefused: () => token.refused,
    login: async () => {
      token.value = null
      token.refused = false
      if (settings.auth === null) return true
      const { username: name, password } = settings.auth
      try {
        token.value = (await calls.auth.authenticate({ name, password })).token
        return true
      } catch (error) {
        if (String(error).includes('authentication is not enabled')) return false
        throw error
      }
    },
    close: () => {
      for (const client of [calls, ...watches]) client.close()
    }
  }
}

function clientOptions (settings: EtcdSettings, token: Token): IOptions {
  const { hosts, tls, timeout } = settings
  const several = hosts.length > 1
  return {
    hosts: [...hosts],
    ...(tls === null ? {} : { credentials: credentialsOf(tls) }),
    grpcOptions: {
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5000,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': 16 * 1024 * 1024,
      ...(tls?.serverName ? { 'grpc.ssl_target_name_override': tls.serverName, 'grpc.default_authority': tls.serverName } : {})
    },
    defaultCallOptions: ({ isStream }) => ({
      interceptors: [introduce(token)],
      ...(isStream ? {} : { deadline: Date.now() + timeout })
    }),
    faultHandling: {
      global: several ? retry(handleWhen(isRecoverableError), { maxAttempts: hosts.length }) : noop,
      host: () => several
        ? circuitBreaker(handleWhen(isRecoverableError), { halfOpenAfter: SKIP_HOST, breaker: new ConsecutiveBreaker(1) })
        : noop
    }
  }
}

/** etcd3 wants a root certificate; without one of the user's, those of the system count. */
function credentialsOf (tls: NonNullable<EtcdSettings['tls']>): NonNullable<IOptions['credentials']> {
  return {
    ...(tls.ca === null ? {} : { rootCertificate: Buffer.from(tls.ca) }),
    ...(tls.key === null ? {} : { privateKey: Buffer.from(tls.key) }),
    ...(tls.cert === null ? {} : { certChain: Buffer.from(tls.cert) })
  } as NonNullable<IOptions['credentials']>
}

/**
 * Adds to every call what etcd3 does not send: the demand for a member that has a leader, without which a watch on a
 * member cut off from the others stays silent for ever, and our own token. A rejected token is worded otherwise on its
 * way in, because etcd3 answers the original words by repeating the call for ever.
 */
function introduce (token: Token): Interceptor {
  return (options, nextCall) => {
    const call = nextCall(options) as ReturnType<Interceptor>
    const start = call.start.bind(call)
    call.start = (metadata, listener) => {
      metadata.set('hasleader', 'true')
      if (token.value !== null) metadata.set('token', token.value)
      start(metadata, {
        ...listener,
        onReceiveStatus: status => {
          const details = status.details.replace('invalid auth token', 'the auth token was refused')
          // A JSON Web Token is worth nothing once any user or role has changed.
          if (details !== status.details || details.includes('revision of auth store is old')) token.refused = true
          listener?.onReceiveStatus?.({ ...status, details })
        }
      })
    }
    return call
  }
}
