/** How times and figures are told, wherever they leave the gateway. */

/** A time in epoch ms as everything in JSON tells it. */
export function iso (ms: number): string {
  return new Date(ms).toISOString()
}

/** The same where there may be none. */
export function isoOrNull (ms: number | null): string | null {
  return ms === null ? null : iso(ms)
}

/** To three places, as every share and figure is told. */
export function rounded (value: number): number {
  return Math.round(value * 1000) / 1000
}

/** The same where there may be none. */
export function roundedOrNull (value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : rounded(value)
}
