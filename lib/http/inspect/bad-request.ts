/** What is wrong with an option in code is the caller's fault by HTTP: 400. */
export function asked<T> (question: () => T): T {
  try {
    return question()
  } catch (error) {
    throw error instanceof Error && 'code' in error && error.code === 'FST_UPSTREAM_BAD_OPTION'
      ? Object.assign(error, { statusCode: 400 })
      : error
  }
}

/** An error that is sent with this status. */
export function failure (statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode })
}
