/** Three members: what becomes of the gateway when the one that its watch comes from is lost in one way or another. */
import { startEtcdCluster, type EtcdCluster, type Member } from '../../fixtures/etcd-cluster.js'
import type { TestGateway } from '../../fixtures/gateway.js'
import { until } from '../../fixtures/wait.js'
import { Ledger } from './ledger.js'
import { watchLine } from './path.js'
import { check, pause, registry, type Drill, type Stage } from './stage.js'
import { away, churn } from './stream.js'
import { weightsOf } from './witness.js'

const OTHER = ['other/127.0.0.1:1', 'other/127.0.0.1:2', 'other/127.0.0.1:3']

interface Scene {
  readonly cluster: EtcdCluster
  readonly gateway: TestGateway
  readonly ledger: Ledger
}

async function open (stage: Stage): Promise<Scene> {
  const cluster = await startEtcdCluster(stage)
  const ledger = new Ledger(cluster)
  await stage.register(ledger)
  const gateway = await stage.gateway({ etcd: cluster.members.map(({ clients }) => `http://127.0.0.1:${clients.port}`) })
  stage.watch(gateway, ledger)
  return { cluster, ledger, gateway }
}

/** The member that the watch comes from. The cluster's own writes and listings go to another one from now on. */
async function watched ({ cluster, ledger }: Scene): Promise<Member> {
  const { members } = cluster
  const { proxy } = await watchLine(members.map(({ clients }) => clients), ledger)
  const member = members.find(({ clients }) => clients === proxy) ?? members[0]
  cluster.use(members.find(other => other !== member) ?? members[1])
  return member
}

/** Writes as soon as the rest has a leader, and waits until the gateway shows it. */
async function arrives ({ ledger, gateway }: Scene, weight: number, within: number): Promise<void> {
  const id = 'other/127.0.0.1:4'
  await until(() => ledger.put(id, weight).catch(() => null), { what: 'leader among the others', timeout: 15_000 })
  await until(() => weightsOf(gateway).get(id) === weight, { what: `weight ${weight}`, timeout: within })
}

/** The process is gone and its port refuses. */
async function kill ({ etcd, clients }: Member): Promise<void> {
  await etcd.kill()
  away(clients)
}

async function restart ({ etcd, clients }: Member): Promise<void> {
  await etcd.restart()
  await clients.accept()
}

async function settle (stage: Stage, { gateway, cluster, ledger }: Scene): Promise<void> {
  await churn(ledger, OTHER, 10)
  await stage.settle(gateway, { etcd: cluster.members.map(({ etcd }) => etcd.endpoint) }, 20_000)
}

const killed: Drill = {
  name: 'three members: one killed',
  bound: 90,
  run: async stage => {
    const scene = await open(stage)
    // Each in turn: one of them leads. Then the one that the watch has moved to.
    for (const [i, victim] of [...scene.cluster.members, await watched(scene)].entries()) {
      const other = scene.cluster.members.find(member => member !== victim)
      if (other !== undefined) scene.cluster.use(other)
      await kill(victim)
      await arrives(scene, 1 + i, 10_000)
      await restart(victim)
    }
    await settle(stage, scene)
  }
}

const stopped: Drill = {
  name: 'three members: one stopped',
  bound: 90,
  run: async stage => {
    const scene = await open(stage)
    const member = await watched(scene)
    await member.etcd.kill('SIGSTOP')
    await arrives(scene, 1, 20_000)
    await arrives(scene, 2, 10_000)
    await pause(5000)
    await member.etcd.kill('SIGCONT')
    await settle(stage, scene)
  }
}

const alone: Drill = {
  name: 'three members: one cut off alone',
  bound: 90,
  run: async stage => {
    const scene = await open(stage)
    const member = await watched(scene)
    scene.cluster.isolate(member)
    // Told by the member itself, not found out by comparing, which takes longer.
    await arrives(scene, 1, 5000)
    // It really is alone: nothing can be read there.
    const read = await member.etcd.all('/', 1000).catch(() => null)
    check(read === null, 'the member was not cut off')
    await arrives(scene, 2, 10_000)
    await pause(5000)
    await scene.cluster.join()
    await settle(stage, scene)
  }
}

const quorum: Drill = {
  name: 'three members: quorum lost and returned',
  bound: 90,
  run: async stage => {
    const scene = await open(stage)
    const member = await watched(scene)
    const others = scene.cluster.members.filter(other => other !== member)
    const kept = weightsOf(scene.gateway)
    await Promise.all(others.map(kill))
    // The one that is left says so, the others refuse: whichever was asked last is what is told.
    await until(() => /no leader/i.test(registry(scene.gateway).lastError ?? ''), { what: 'word that there is no leader', timeout: 15_000 })
    await stage.told(scene.gateway, member.clients.port, /no leader|deadline|refused/i, kept)
    await pause(5000)
    await stage.told(scene.gateway, member.clients.port, /no leader|deadline|refused/i, kept)
    await Promise.all(others.map(restart))
    await arrives(scene, 1, 15_000)
    await settle(stage, scene)
  }
}

export const members = [killed, stopped, alone, quorum]
