/** Who may: passwords, roles, tokens, certificates. A gateway that may not says so, and one beside it is not disturbed. */
import { fileURLToPath } from 'node:url'
import type { UpstreamEtcdOptions } from '../../../lib/index.js'
import type { EtcdOptions, TestEtcd } from '../../fixtures/etcd.js'
import { pem } from '../../fixtures/pem.js'
import { freePort } from '../../fixtures/port.js'
import { startTcpProxy } from '../../fixtures/tcp-proxy.js'
import { until } from '../../fixtures/wait.js'
import { check, pause, registry, type Drill, type Stage } from './stage.js'
import { away, churn } from './stream.js'
import { weightsOf } from './witness.js'

type Etcd = Exclude<UpstreamEtcdOptions['etcd'], string | readonly string[] | undefined>

const root = { username: 'root', password: 'secret' }
const reader = { username: 'reader', password: 'other secret' }
const OTHER = ['other/127.0.0.1:1', 'other/127.0.0.1:2', 'other/127.0.0.1:3']

/** A user that may read below `prefix` and nothing else. */
async function addReader (etcd: TestEtcd, prefix: string): Promise<void> {
  await etcd.etcdctl('user', 'add', `${reader.username}:${reader.password}`)
  await etcd.etcdctl('role', 'add', 'reading')
  await etcd.etcdctl('role', 'grant-permission', 'reading', '--prefix=true', 'read', prefix)
  await etcd.etcdctl('user', 'grant-role', reader.username, 'reading')
}

/** A gateway that etcd refuses: it says why, asks seldom, holds few connections, and closes. */
async function refused (stage: Stage, port: number, scheme: 'http' | 'https', etcd: Omit<Etcd, 'hosts'>, cause: RegExp): Promise<void> {
  const proxy = await startTcpProxy(stage, port)
  let connections = 0
  let bytes = 0
  proxy.joined(line => {
    connections++
    line.listen(chunk => {
      bytes += chunk.length
      return chunk.length
    })
  })
  const gateway = await stage.gateway({ etcd: { hosts: `${scheme}://127.0.0.1:${proxy.port}`, ...etcd }, start: { wait: 10 } })
  await stage.told(gateway, proxy.port, cause, new Map())
  await pause(4000)
  await stage.told(gateway, proxy.port, cause, new Map())
  check(registry(gateway).state === 'syncing', `is ${registry(gateway).state} without ever having read anything`)
  check(connections <= 20 && bytes < 100_000, `${connections} connections and ${bytes} bytes in 4 s`)
  await stage.close(gateway)
}

const password: Drill = {
  name: 'wrong password',
  bound: 40,
  run: async stage => {
    const { gateway, etcd, ledger } = await stage.open({ etcd: { auth: root }, gateway: { auth: root } })
    await refused(stage, etcd.port, 'http', { auth: { ...root, password: 'wrong' } }, /password|authentication/i)
    await churn(ledger, OTHER, 10)
    await stage.settle(gateway, { etcd: { hosts: etcd.endpoint, auth: root } })
  }
}

const denied: Drill = {
  name: 'denied prefix',
  bound: 40,
  run: async stage => {
    const { gateway, etcd, ledger } = await stage.open({
      etcd: { auth: root },
      gateway: { auth: root },
      before: (_ledger, etcd) => addReader(etcd, '/elsewhere/')
    })
    await refused(stage, etcd.port, 'http', { auth: reader }, /permission denied/i)
    await churn(ledger, OTHER, 10)
    await stage.settle(gateway, { etcd: { hosts: etcd.endpoint, auth: root } })
  }
}

const revoked: Drill = {
  name: 'role revoked while running',
  bound: 60,
  run: async stage => {
    const { gateway, etcd, ledger, proxy } = await stage.open({
      etcd: { auth: root },
      gateway: { auth: reader },
      before: (_ledger, etcd) => addReader(etcd, '/services/')
    })
    const kept = weightsOf(gateway)
    await etcd.etcdctl('user', 'revoke-role', reader.username, 'reading')
    await stage.told(gateway, proxy.port, /permission denied/i, kept)
    await churn(ledger, OTHER, 10)
    await etcd.etcdctl('user', 'grant-role', reader.username, 'reading')
    await stage.settle(gateway, { etcd: { hosts: etcd.endpoint, auth: root } })
  }
}

const token: Drill = {
  name: 'expired token and a cut',
  bound: 60,
  run: async stage => {
    const { gateway, etcd, ledger, proxy } = await stage.open({
      etcd: { auth: root, args: ['--auth-token-ttl=1'] },
      gateway: { auth: root }
    })
    for (let round = 1; round <= 3; round++) {
      // A token is forgotten when it was not used for a second; the gateway asks every three.
      away(proxy)
      await pause(2500)
      await churn(ledger, OTHER, 30)
      await ledger.put('other/127.0.0.1:4', round)
      await proxy.accept()
      await until(() => weightsOf(gateway).get('other/127.0.0.1:4') === round, { what: `round ${round}`, timeout: 15_000 })
    }
    await stage.settle(gateway, { etcd: { hosts: etcd.endpoint, auth: root } })
  }
}

const turnedOn: Drill = {
  name: 'etcd restarted with auth on',
  bound: 60,
  run: async stage => {
    const { gateway, etcd, ledger } = await stage.open({ gateway: { auth: root } })
    await etcd.enableAuth(root)
    await etcd.restart()
    await churn(ledger, OTHER, 20)
    await stage.settle(gateway, { etcd: { hosts: etcd.endpoint, auth: root } })
  }
}

const unexpected: Drill = {
  name: 'etcd restarted with auth on, no credentials',
  bound: 60,
  run: async stage => {
    const { gateway, etcd, ledger, proxy } = await stage.open()
    const kept = weightsOf(gateway)
    await etcd.enableAuth(root)
    await etcd.restart()
    await ledger.putAll(stage.real, 9)
    await stage.told(gateway, proxy.port, /user name|credentials|authentication/i, kept)
  }
}

const path = (name: string): string => fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url))

/** One drill with an etcd that asks for client certificates, a gateway that has one, and one that is refused. */
function certificates (name: string, tls: () => Etcd['tls'], cause: RegExp): Drill {
  return {
    name,
    bound: 40,
    run: async stage => {
      const tlsPort = await freePort()
      const options: EtcdOptions = {
        args: [`--cert-file=${path('server.pem')}`, `--key-file=${path('server.key')}`, `--trusted-ca-file=${path('ca.pem')}`, '--client-cert-auth'],
        tlsPort
      }
      const right = { hosts: `https://127.0.0.1:${tlsPort}`, tls: { ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key') } }
      const { gateway, ledger } = await stage.open({ etcd: options, gateway: { etcd: right } })
      await refused(stage, tlsPort, 'https', { tls: tls() } as Omit<Etcd, 'hosts'>, cause)
      await churn(ledger, OTHER, 10)
      await stage.settle(gateway, { etcd: right })
    }
  }
}

const mine = () => ({ cert: pem('client.pem'), key: pem('client.key') })

export const access = [
  password, denied, revoked, token, turnedOn, unexpected,
  certificates('wrong CA', () => ({ ...mine(), ca: pem('other-ca.pem') }), /certificate|issuer/i),
  certificates('wrong name', () => ({ ...mine(), ca: pem('ca.pem'), serverName: 'other.test' }), /certificate/i),
  certificates('no client certificate', () => ({ ca: pem('ca.pem') }), /certificate/i)
]
