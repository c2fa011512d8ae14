import createClient, { type FetchResponse } from 'openapi-fetch'
import type { paths } from './schema'
import { Problem } from './problem'
import { renewing } from './refresh'

/** Trades the refresh cookie for a new access cookie. */
async function renew(): Promise<boolean> {
  const answer = await fetch('/auth/refresh', { method: 'POST' })
  return answer.ok
}

/** The staff API, with types written from its description. */
export const api = createClient<paths>({
  baseUrl: '/',
  fetch: renewing((input, init) => fetch(input, init), renew) as (request: Request) => Promise<Response>,
})

/** Unwraps an answer: its data, or a {@link Problem}. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the library's own bound
export async function answer<T extends Record<string | number, any>, O, M extends `${string}/${string}`>(
  asked: Promise<FetchResponse<T, O, M>>,
): Promise<NonNullable<FetchResponse<T, O, M>['data']>> {
  let got: FetchResponse<T, O, M>
  try {
    got = await asked
  } catch {
    throw Problem.unreachable()
  }
  if (!got.response.ok) throw Problem.from(got.response, got.error)
  return got.data as NonNullable<FetchResponse<T, O, M>['data']>
}
