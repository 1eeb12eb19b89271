const origin = performance.timeOrigin

/**
 * The time in epoch ms with fractions. Monotonic: a step of the system's clock neither prolongs an ejection nor falsifies
 * a duration. All of the package takes its time from here, as an argument.
 */
export function now (): number {
  return origin + performance.now()
}
