import { PEER_WORDS } from '../../../store/condition.js'
import { SCHEMES } from '../../../store/peer.js'
import {
  amount, amountOrNull, bigNumber, bigNumberOrNull, closed, closedOrNull, count, oneOf, rates, share, shareOrNull, text, textOrNull, time, timeOrNull, yesOrNo
} from './parts.js'

const weight = closed('Weight', 'What decides about its share of the requests', {
  configured: amount('What the registry says'),
  effective: amount('What picks go by: after slow start, load reports and overrides; 0 when it is no candidate'),
  share: shareOrNull('Its share of the attempts of the last 60 s; null without any'),
  expectedShare: share('The share that its effective weight comes to'),
  override: closedOrNull('Override', 'An operator\'s weight in place of the registry\'s, on this gateway', {
    weight: amount('That weight'),
    reason: text('By whom and why, without secrets'),
    since: time('When it was set'),
    until: time('When it ends')
  })
})

const load = closedOrNull('Load report', 'What the peer last said of its load (ORCA); null when it never did', {
  at: time('When it said so'),
  cpuUtilization: amountOrNull('Of its CPUs, 1 is all of them'),
  applicationUtilization: amountOrNull('Of itself as it sees it, 1 is all'),
  rps: amountOrNull('Requests per second as it counts them'),
  eps: amountOrNull('Errors per second as it counts them'),
  named: { title: 'Named metrics', description: 'Metrics of its own by name', type: 'object', additionalProperties: { type: 'number' } },
  weight: amountOrNull('What that makes of its weight; null while nothing')
})

const responses = {
  title: 'Responses',
  description: 'Answers by class of status since the peer was first seen',
  type: 'object',
  properties: {
    '1xx': count('Statuses 100…199'),
    '2xx': count('Statuses 200…299'),
    '3xx': count('Statuses 300…399'),
    '4xx': count('Statuses 400…499'),
    '5xx': count('Statuses 500…599'),
    other: count('Any other status; not there while there was none')
  },
  required: ['1xx', '2xx', '3xx', '4xx', '5xx'],
  additionalProperties: false
} as const

const errors = closed('Errors', 'Attempts without an answer since the peer was first seen', {
  connect: count('Nothing was sent: refused, no route, no connection in time'),
  timeout: count('Sent, and no answer in time'),
  reset: count('The connection broke after something was sent'),
  aborted: count('The client left')
})

const check = closedOrNull('Check', 'The last active check; null without any', {
  at: time('When it ended'),
  ok: yesOrNo('Whether it passed'),
  status: { description: 'The status of its answer; null without one', type: ['integer', 'null'] },
  ms: { description: 'How long it took (ms)', type: 'number' },
  error: textOrNull('Why it failed, without secrets'),
  streak: { description: 'Equal results in a row; below 0 for failures', type: 'integer' }
})

const registration = closed('Registration', 'What the registry holds', {
  key: text('Its key'),
  modRevision: bigNumber('The revision of its last change'),
  lease: bigNumberOrNull('Its lease; null without one'),
  startAt: timeOrNull('When the peer says that it was started'),
  params: { title: 'Params', description: 'What else was registered, free in form, without secrets', type: 'object', additionalProperties: true }
})

/** One peer of a service; the answer to an action is one. */
export const peerSchema = closed('Peer', 'One peer of a service', {
  id: text('host:port, IPv6 in brackets'),
  host: text('IPv4, IPv6 without brackets, or a name'),
  port: { description: 'TCP port', type: 'integer', minimum: 0, maximum: 65535 },
  scheme: oneOf('How it is spoken to', SCHEMES),
  state: oneOf('How it is, in one word; see the README', PEER_WORDS),
  eligible: yesOrNo('Whether it may get requests, as if there were no panic'),
  reason: textOrNull('Why its state is what it is, without secrets'),
  since: time('Since when'),
  until: timeOrNull('Until when; null when that is not known'),
  weight,
  inflight: count('Requests under way there'),
  maxInflight: count('How many may be; 0 is without bound'),
  priority: count('Others take over where lower numbers cannot take all'),
  zone: textOrNull('Where it is'),
  load,
  ...rates,
  responses,
  errors,
  check,
  ejections: count('How often outlier detection took it out'),
  registration
})
