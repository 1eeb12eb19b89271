import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { performance } from 'node:perf_hooks'
import t, { type Test } from 'tap'
import { Tunnels } from '../../lib/io/tunnels.js'
import { Picker, type Pick as Picked } from '../../lib/picker/picker.js'
import { identityOf } from '../../lib/store/peer.js'
import { Service } from '../../lib/store/service.js'
import { serviceDefaults } from '../../lib/options.js'
import { peer as registered } from '../fixtures/pure.js'
import { until } from '../fixtures/wait.js'

/** Both ends of a connection over the loopback. */
async function pair (t: Pick<Test, 'teardown'>): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const far = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const [near] = await once(server, 'connection') as [Socket]
  server.close()
  far.on('error', () => {})
  t.teardown(() => { for (const socket of [near, far]) socket.destroy() })
  return [near, far]
}

/** What came so far, Latin-1. */
function heard (socket: Duplex): { text: string, hasEnded: boolean } {
  const heard = { text: '', hasEnded: false }
  socket.on('data', (chunk: Buffer) => { heard.text += chunk.toString('latin1') })
  socket.on('end', () => { heard.hasEnded = true })
  return heard
}

function picked (id = '10.0.0.1:80'): Picked {
  const service = new Service('shop', serviceDefaults)
  const peer = registered(id)
  service.put(peer, 0, true)
  const pick = new Picker(() => 0, () => {}, () => {}).pick(service, undefined, 0)
  if (pick === undefined) throw new Error('nobody to pick')
  return pick
}

/** A tunnel and the two who talk through it. */
async function joined (t: Pick<Test, 'teardown'>, isWebSocket: boolean, tunnels = new Tunnels(() => performance.now()), pick = picked()) {
  const [[nearClient, client], [nearPeer, peer]] = [await pair(t), await pair(t)]
  tunnels.join(pick, nearClient, nearPeer, isWebSocket)
  return { tunnels, pick, client, peer, near: [nearClient, nearPeer] as const, atClient: heard(client), atPeer: heard(peer) }
}

t.test('each direction ends by itself', async t => {
  const { client, peer, atClient, atPeer, near } = await joined(t, false)
  client.end('question')
  await until(() => atPeer.hasEnded)
  t.equal(atPeer.text, 'question')
  t.notOk(atClient.hasEnded)
  peer.write('ans')
  await until(() => atClient.text === 'ans')
  peer.end('wer')
  await until(() => atClient.hasEnded)
  t.equal(atClient.text, 'answer')
  await until(() => near.every(({ destroyed }) => destroyed))
})

t.test('who does not read holds the other up, and loses nothing', async t => {
  for (const [from, to] of [['client', 'peer'], ['peer', 'client']] as const) {
    const all = await joined(t, true)
    const [source, sink] = [all[from], all[to]]
    const came = from === 'client' ? all.atPeer : all.atClient
    sink.pause()
    const chunk = Buffer.alloc(2 ** 16, 'x')
    const total = 64 * 2 ** 20
    // As much as it takes, until nothing goes for a while.
    let sent = 0
    let isStuck = false
    while (!isStuck && sent < total) {
      sent += chunk.length
      if (!source.write(chunk)) isStuck = await Promise.race([once(source, 'drain').then(() => false), new Promise<boolean>(resolve => setTimeout(resolve, 200, true))])
    }
    t.ok(isStuck, `${from}: held up after ${sent} bytes`)
    const held = Math.max(...all.near.map(({ writableLength, readableLength }) => writableLength + readableLength))
    t.ok(held < 2 ** 20, `${held} bytes are kept on the way`)
    sink.resume()
    source.end()
    await until(() => came.hasEnded)
    t.equal(came.text.length, sent)
  }
})

t.test('what breaks one end ends the other', async t => {
  for (const isWebSocket of [false, true]) {
    for (const broken of ['client', 'peer'] as const) {
      const all = await joined(t, isWebSocket)
      const other = broken === 'client' ? 'peer' : 'client'
      all[broken].write('last words')
      await until(() => (broken === 'client' ? all.atPeer : all.atClient).text === 'last words')
      all[broken].resetAndDestroy()
      await until(() => all.near.every(({ destroyed }) => destroyed))
      all[other].end()
      t.ok(await until(() => all[other].destroyed), `${broken} broken`)
    }
  }
})

t.test('a WebSocket of which one end has hung up does not wait for the other for ever', async t => {
  const { client, near, atPeer } = await joined(t, true)
  const started = performance.now()
  client.end()
  await until(() => atPeer.hasEnded)
  t.notOk(near[1].destroyed)
  await until(() => near.every(({ destroyed }) => destroyed))
  t.ok(performance.now() - started > 900, 'but for a second')
})

t.test('in order: whole frames, our Close, theirs', async t => {
  const { tunnels, pick, client, peer, atClient, atPeer, near } = await joined(t, true)
  client.write('\x81\x85abcd12', 'latin1')
  peer.write('\x82\x7e\x01\x00' + 'x'.repeat(100), 'latin1')
  await until(() => atPeer.text.length === 8 && atClient.text.length === 104)
  tunnels.release(pick.state)
  client.write('345\x81\x80abcd\x81', 'latin1')
  await until(() => atPeer.text.length > 17)
  t.equal(atPeer.text.slice(0, 17), '\x81\x85abcd12345\x81\x80abcd', 'the frame under way and the next one, not the third')
  t.match(atPeer.text.slice(17), /^\x88\x82[^]{6}$/)
  client.write('\x80abcd', 'latin1')
  peer.write('x'.repeat(156), 'latin1')
  await until(() => atClient.text.length > 260)
  t.equal(atClient.text.slice(260), '\x88\x02\x03\xe9')
  t.notOk(atPeer.hasEnded)
  t.notOk(atClient.hasEnded)
  // The client answers while the peer still sends what goes nowhere.
  client.write('\x88\x82abcdef', 'latin1')
  await until(() => atClient.hasEnded)
  t.notOk(atPeer.hasEnded)
  peer.write('\x82\x03end\x88\x02\x03\xe9', 'latin1')
  await until(() => atPeer.hasEnded)
  client.end()
  peer.end()
  await until(() => near.every(({ destroyed }) => destroyed))
  t.equal(atClient.text.length, 264)
  t.equal(atPeer.text.length, 25)
  await tunnels.close()
})

t.test('a Close that is under way is not said twice', async t => {
  const { tunnels, pick, client, peer, atClient, atPeer } = await joined(t, true)
  client.write('\x88\x80abcd', 'latin1')
  await until(() => atPeer.text.length === 6)
  tunnels.release(pick.state)
  await until(() => atClient.text === '\x88\x02\x03\xe9')
  await until(() => atClient.hasEnded)
  t.notOk(atPeer.hasEnded)
  peer.write('\x88\x00', 'latin1')
  await until(() => atPeer.hasEnded)
  t.equal(atPeer.text, '\x88\x80abcd')
  client.end()
  peer.end()
  await tunnels.close()
})

t.test('all ends are bounded by one timer', async t => {
  const tunnels = new Tunnels(() => performance.now())
  const pick = picked()
  const first = await joined(t, true, tunnels, pick)
  const second = await joined(t, false, tunnels, picked())
  const started = performance.now()
  const timers = (): number => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
  tunnels.release(pick.state)
  await until(() => first.atClient.text !== '')
  await until(() => performance.now() - started > 300)
  const before = timers()
  const closed = tunnels.close()
  t.equal(timers(), before, 'no further timer')
  await until(() => first.near.every(({ destroyed }) => destroyed))
  const took = performance.now() - started
  t.ok(took > 990 && took < 1250, `the first after ${took} ms`)
  t.notOk(second.near[0].destroyed)
  t.ok(second.atClient.hasEnded && second.atPeer.hasEnded, 'the second has been told')
  await closed
  const both = performance.now() - started
  t.ok(both > 1290 && both < 1700, `the second after ${both} ms`)

  const late = await joined(t, true, tunnels, pick)
  await until(() => late.atClient.text === '\x88\x02\x03\xe9', { what: 'end of what comes after all was closed' })
})

t.test('who was picked and has been taken out since', async t => {
  for (const takeOut of [
    (pick: Picked) => { pick.service.remove(identityOf(pick.peer)) },
    (pick: Picked) => { pick.state.drain = { reason: 'drained', since: 0, until: null } },
    (pick: Picked) => { pick.service.put({ ...pick.peer, status: 'drain' }, 0, false) }
  ]) {
    const pick = picked()
    takeOut(pick)
    const { atClient } = await joined(t, true, undefined, pick)
    t.ok(await until(() => atClient.text === '\x88\x02\x03\xe9'))
  }
})
