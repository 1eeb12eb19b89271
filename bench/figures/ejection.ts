import { Judgement } from '../../lib/health/judgement.js'
import type { Verdict } from '../../lib/health/verdict.js'
import { T0 } from '../../test/fixtures/pure.js'
import { Simulation } from '../../test/fixtures/simulation/simulation.js'
import { BLUE, FAINT, GREEN, INK, ORANGE, picture, Plot, rule, text, type Axis, type Point } from './chart.js'

const RATE = 100
const PEERS = 5
/** Seconds: how long is shown, and when the peer answers 503. */
const SHOWN = 600
const FAULTS = [[60, 300], [500, 506]] as const
const SLOW_START = 30

interface Course {
  /** Requests at the peer and ejections that count, in each second. */
  readonly requests: Point[]
  readonly counted: Point[]
  /** What was decided about it, `since` in seconds from the beginning. */
  readonly verdicts: Array<Pick<Verdict, 'action'> & { since: number }>
}

function simulate (): Course {
  const sim = new Simulation({ rate: RATE, seed: 5 })
  for (let i = 0; i < PEERS; i++) sim.join(`p${i}`, { slowStart: SLOW_START * 1000 })
  const machine = sim.machine('p0')
  for (const [from, to] of FAULTS) {
    sim.at(from, () => { machine.fault = { kind: 503, share: 1 } })
    sim.at(to, () => { machine.fault = null })
  }
  const requests: Point[] = []
  const counted: Point[] = []
  let before = 0
  sim.everySecond(second => {
    requests.push([second - 1, machine.received - before])
    before = machine.received
    const { judgement } = sim.gateway.state('p0')
    counted.push([second, judgement instanceof Judgement ? judgement.multiplier : 0])
  })
  sim.run(SHOWN)
  const verdicts = sim.gateway.verdicts.filter(({ peer }) => peer === 'p0').map(({ action, since }) => ({ action, since: (since - T0) / 1000 }))
  return { requests, counted, verdicts }
}

/** A failing peer's requests, how health sees it, and how many ejections count, over ten minutes. */
export function ejection (): string {
  const { requests, counted, verdicts } = simulate()
  const x: Axis = { label: 'seconds', from: 0, to: SHOWN, ticks: [0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600] }
  const top = new Plot({ left: 62, top: 78, width: 640, height: 130 }, x, { label: 'requests/s', from: 0, to: 30, ticks: [0, 10, 20, 30] })
  const lane = { top: 238, height: 30 }
  const low = new Plot({ left: 62, top: 322, width: 640, height: 84 }, x, { label: 'counted', from: 0, to: 4, ticks: [0, 1, 2, 3, 4] })
  const drawn = [hatch()]
  for (const [from, to] of FAULTS) {
    drawn.push(top.band(from, to, '#fdeee3'))
    for (const second of [from, to]) drawn.push(rule(top.x(second), top.box.top, top.x(second), low.y(0), '#e0b08c', '3 3'))
  }
  drawn.push(top.frame(false), low.frame())
  drawn.push(text(top.x(180), top.box.top + 14, 'the peer answers 503', { anchor: 'middle', colour: ORANGE }))
  drawn.push(text(top.x(503), top.box.top - 6, 'and again, for 6 s', { anchor: 'middle', colour: ORANGE }))
  drawn.push(top.steps([...requests, [SHOWN, requests.at(-1)?.[1] ?? 0]], { colour: BLUE, width: 1.4 }))
  drawn.push(low.steps([[0, 0], ...counted], { colour: BLUE }))
  drawn.push(text(62, 314, 'Ejections that count: each lasts 30 s × as many, ± 20 %; every 10 s that go well forgive one', { colour: FAINT }))
  drawn.push(text(62, lane.top - 8, 'How health sees it', { colour: FAINT }))
  drawn.push(`<rect x="62" y="${lane.top}" width="640" height="${lane.height}" fill="#e6f4ea" stroke="${GREEN}"/>\n`)
  drawn.push(...standing(verdicts, top, lane))
  drawn.push(legend(46))
  return picture(462, 'Ejection: one of five peers fails for four minutes, and later for six seconds',
    'Requests per second at a failing peer, its state (in, ejected, one probing request that fails or succeeds, slow start) and the number of ejections that count. Ejections grow from 30 to 120 seconds; after the peer is well the count falls to 0, and a later ejection lasts 30 seconds again.', drawn)
}

/** The lane of states: ejections with their lengths, probes, and the ramp after the return. */
function standing (verdicts: Course['verdicts'], plot: Plot, lane: { top: number, height: number }): string[] {
  const drawn: string[] = []
  const middle = lane.top + lane.height / 2
  verdicts.forEach(({ action, since }, i) => {
    const next = verdicts[i + 1]?.since ?? SHOWN
    if (action === 'eject') {
      drawn.push(plot.band(since, next, '#5b6572', lane))
      drawn.push(text((plot.x(since) + plot.x(next)) / 2, middle + 4, `${Math.round(next - since)} s`, { anchor: 'middle', colour: '#fff', bold: true }))
    }
    if (action === 'restore') drawn.push(plot.band(since, Math.min(SHOWN, since + SLOW_START), 'url(#warming)', lane))
  })
  verdicts.forEach(({ action, since }, i) => {
    if (action !== 'probe') return
    const isGood = verdicts[i + 1]?.action === 'restore'
    drawn.push(probe(plot.x(since), lane.top + lane.height + 9, isGood))
  })
  return drawn
}

/** One request probes: a cross when it failed, a filled circle when it was answered well. */
function probe (x: number, y: number, isGood: boolean): string {
  return isGood
    ? `<circle cx="${x.toFixed(1)}" cy="${y}" r="4.5" fill="${GREEN}"/>\n`
    : `<path d="M${(x - 4).toFixed(1)} ${y - 4}l8 8m0 -8l-8 8" stroke="${ORANGE}" stroke-width="2.2" fill="none"/>\n`
}

function hatch (): string {
  return '<defs><pattern id="warming" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
    `<rect width="6" height="6" fill="#e6f4ea"/><rect width="2.4" height="6" fill="${GREEN}"/></pattern></defs>\n`
}

function legend (y: number): string {
  const swatch = (x: number, fill: string, stroke: string): string => `<rect x="${x}" y="${y - 10}" width="18" height="12" fill="${fill}" stroke="${stroke}"/>\n`
  return [
    swatch(62, '#e6f4ea', GREEN), text(86, y, 'in', { colour: INK }),
    swatch(118, '#5b6572', '#5b6572'), text(142, y, 'ejected, and how long'),
    probe(292, y - 4, false), text(302, y, 'one request probes: fails'),
    probe(462, y - 4, true), text(472, y, 'succeeds'),
    swatch(546, 'url(#warming)', GREEN), text(570, y, `slow start, ${SLOW_START} s`)
  ].join('')
}
