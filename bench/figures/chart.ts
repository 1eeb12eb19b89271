/** Charts as SVG, by hand: white ground, so that they can be read on light and dark pages; told apart by dashes and labels. */

export const WIDTH = 720
export const INK = '#1f2328'
export const FAINT = '#59636e'
export const GRID = '#e3e6ea'
export const BLUE = '#0b5cad'
export const ORANGE = '#b4510a'
export const GREEN = '#1a7f37'

/** A rectangle on the page, px. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** What one side of a box stands for. */
export interface Axis {
  readonly label: string
  readonly from: number
  readonly to: number
  readonly ticks: readonly number[]
  readonly log?: boolean
}

export type Point = readonly [x: number, y: number]

interface Look {
  readonly colour: string
  readonly dash?: string
  readonly width?: number
}

/** Turns values into places within a box, and draws what is in it. */
export class Plot {
  readonly box: Box
  readonly #x: Axis
  readonly #y: Axis

  constructor (box: Box, x: Axis, y: Axis) {
    this.box = box
    this.#x = x
    this.#y = y
  }

  x (value: number): number {
    return this.box.left + this.box.width * part(this.#x, value)
  }

  y (value: number): number {
    return this.box.top + this.box.height * (1 - part(this.#y, value))
  }

  /** Ticks, labels and a grid; `below` says whether the horizontal axis is labelled here. */
  frame (below = true): string {
    const { left, top, width, height } = this.box
    const lines = this.#y.ticks.map(tick => rule(left, this.y(tick), left + width, this.y(tick), GRID) +
      text(left - 8, this.y(tick) + 4, String(tick), { anchor: 'end', colour: FAINT }))
    const marks = this.#x.ticks.map(tick => rule(this.x(tick), top + height, this.x(tick), top + height + 5, FAINT) +
      (below ? text(this.x(tick), top + height + 18, String(tick), { anchor: 'middle', colour: FAINT }) : ''))
    return [
      ...lines, ...marks,
      rule(left, top + height, left + width, top + height, FAINT),
      below ? text(left + width / 2, top + height + 36, this.#x.label, { anchor: 'middle' }) : '',
      text(14, top + height / 2, this.#y.label, { anchor: 'middle', turned: true })
    ].join('')
  }

  line (points: readonly Point[], look: Look): string {
    const d = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${px(this.x(x))} ${px(this.y(y))}`).join('')
    return path(d, look)
  }

  /** Each value holds until the next one. */
  steps (points: readonly Point[], look: Look): string {
    const d = points.map(([x, y], i) => i === 0 ? `M${px(this.x(x))} ${px(this.y(y))}` : `H${px(this.x(x))}V${px(this.y(y))}`).join('')
    return path(d, look)
  }

  /** A part of the horizontal axis, over the whole height or that of `box`. */
  band (from: number, to: number, fill: string, box: Pick<Box, 'top' | 'height'> = this.box): string {
    return `<rect x="${px(this.x(from))}" y="${px(box.top)}" width="${px(this.x(to) - this.x(from))}" height="${px(box.height)}" fill="${fill}"/>\n`
  }
}

function part ({ from, to, log = false }: Axis, value: number): number {
  const scale = log ? Math.log2 : Number
  const within = Math.min(to, Math.max(from, value))
  return (scale(within) - scale(from)) / (scale(to) - scale(from))
}

function path (d: string, { colour, dash, width = 2 }: Look): string {
  return `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linejoin="round"${dash === undefined ? '' : ` stroke-dasharray="${dash}"`}/>\n`
}

export function rule (x1: number, y1: number, x2: number, y2: number, colour: string, dash?: string): string {
  return path(`M${px(x1)} ${px(y1)}L${px(x2)} ${px(y2)}`, { colour, width: 1, ...(dash === undefined ? {} : { dash }) })
}

interface Type {
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly colour?: string
  readonly size?: number
  readonly bold?: boolean
  readonly turned?: boolean
}

export function text (x: number, y: number, words: string, { anchor = 'start', colour = INK, size = 12, bold = false, turned = false }: Type = {}): string {
  const turn = turned ? ` transform="rotate(-90 ${px(x)} ${px(y)})"` : ''
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}" font-size="${size}" fill="${colour}"${bold ? ' font-weight="600"' : ''}${turn}>${escaped(words)}</text>\n`
}

/** A mark of its own shape for each series. */
export function mark (kind: 'circle' | 'square' | 'triangle', x: number, y: number, colour: string): string {
  if (kind === 'circle') return `<circle cx="${px(x)}" cy="${px(y)}" r="2.8" fill="#fff" stroke="${colour}" stroke-width="1.3"/>\n`
  const d = kind === 'square' ? `M${px(x - 2.6)} ${px(y - 2.6)}h5.2v5.2h-5.2z` : `M${px(x)} ${px(y - 3.4)}l3.4 6h-6.8z`
  return `<path d="${d}" fill="#fff" stroke="${colour}" stroke-width="1.3"/>\n`
}

/** The whole picture. `about` is read out to who cannot see it. */
export function picture (height: number, title: string, about: string, content: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title about" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif">
<title id="title">${escaped(title)}</title>
<desc id="about">${escaped(about)}</desc>
<rect width="${WIDTH}" height="${height}" rx="6" fill="#fff"/>
${text(16, 26, title, { size: 15, bold: true })}${content.join('')}</svg>
`
}

/** Tenths of a pixel are enough, and the same everywhere. */
function px (value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped (words: string): string {
  return words.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
