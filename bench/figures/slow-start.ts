import { Simulation } from '../../test/fixtures/simulation/simulation.js'
import { BLUE, FAINT, GREEN, mark, ORANGE, picture, Plot, rule, text, type Point } from './chart.js'

/** Requests a second; nine peers that have been there, and one that comes. */
const RATE = 1000
const OTHERS = 9
/** Seconds: the ramp, and how long is shown. */
const RAMP = 30
const SHOWN = 36
const MIN_WEIGHT = 0.1

const SERIES = [
  { aggression: 2, colour: BLUE, dash: '8 4', shape: 'circle', label: [7, 71] },
  { aggression: 1, colour: GREEN, dash: '', shape: 'square', label: [8.7, 51] },
  { aggression: 0.5, colour: ORANGE, dash: '2 3', shape: 'triangle', label: [21.6, 42] }
] as const

/** What the newcomer stands to get `t` seconds after it came, requests a second. */
function formula (t: number, aggression: number): number {
  const weight = Math.min(1, Math.max(MIN_WEIGHT, (t / RAMP) ** (1 / aggression)))
  return RATE * weight / (OTHERS + weight)
}

/** What it gets in each second. */
function simulate (aggression: number): Point[] {
  const sim = new Simulation({ rate: RATE, settings: { slowStart: { minWeight: MIN_WEIGHT, aggression } } })
  for (let i = 0; i < OTHERS; i++) sim.join(`p${i}`)
  sim.run(10)
  const machine = sim.join('new', { slowStart: RAMP * 1000 })
  const points: Point[] = []
  for (let second = 0, before = 0; second < SHOWN; second++) {
    sim.run(11 + second)
    points.push([second + 0.5, machine.received - before])
    before = machine.received
  }
  return points
}

/** A new peer's requests over time, by Envoy's formula and as they are. */
export function slowStart (): string {
  const plot = new Plot({ left: 62, top: 62, width: 630, height: 268 },
    { label: 'seconds since the peer was first seen', from: 0, to: SHOWN, ticks: [0, 5, 10, 15, 20, 25, 30, 35] },
    { label: 'requests per second', from: 0, to: 110, ticks: [0, 20, 40, 60, 80, 100] })
  const drawn = [plot.frame()]
  drawn.push(rule(plot.x(RAMP), plot.y(0), plot.x(RAMP), plot.y(110), FAINT, '3 3'))
  drawn.push(text(plot.x(RAMP) - 6, plot.y(110) + 12, 'slow_start is over', { anchor: 'end', colour: FAINT }))
  drawn.push(text(plot.x(4.2), plot.y(3.5), 'not below minWeight, 0.1', { colour: FAINT }))
  for (const { aggression, colour, dash, shape, label: [x, y] } of SERIES) {
    const curve = Array.from({ length: SHOWN * 10 + 1 }, (_, i): Point => [i / 10, formula(i / 10, aggression)])
    drawn.push(plot.line(curve, { colour, ...(dash === '' ? {} : { dash }) }))
    for (const [second, count] of simulate(aggression)) drawn.push(mark(shape, plot.x(second), plot.y(count), colour))
    drawn.push(text(plot.x(x), plot.y(y), `aggression ${aggression}`, { colour, bold: true }))
  }
  drawn.push(text(62, 48, `Lines: weight × max(0.1, (t / ${RAMP} s)^(1 / aggression)). Marks: simulated, in each second.`, { colour: FAINT }))
  return picture(376, `Slow start over ${RAMP} s: a peer joins nine others, ${RATE} requests per second in all`,
    `Requests per second at the new peer over ${SHOWN} seconds, for aggression 0.5, 1 and 2, by the formula and as simulated. All begin at a tenth of the weight and reach the full share of 100 after ${RAMP} seconds.`, drawn)
}
