import createClient, { type FetchResponse } from 'openapi-fetch'
import type { paths } from './schema'
import { Problem } from './problem'
import { renewing } from './refresh'

let whenOver = (): void => undefined

/** Says what happens when a sign-in is over while its page is open. */
export function onSignedOut(run: () => void): void {
  whenOver = run
}

/** Trades the refresh cookie for a new access cookie. Only a gateway that says no ends the sign-in. */
async function renew(): Promise<boolean> {
  const answer = await fetch('/auth/refresh', { method: 'POST' })
  if (!answer.ok && answer.status !== 401) throw Problem.from(answer, undefined)
  return answer.ok
}

/** The staff API, with types written from its description. */
export const api = createClient<paths>({
  baseUrl: '/',
  fetch: renewing((input, init) => fetch(input, init), renew, () => whenOver()) as (request: Request) => Promise<Response>,
})

/** Unwraps an answer: its data, or a {@link Problem}. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the library's own bound
export async function answer<T extends Record<string | number, any>, O, M extends `${string}/${string}`>(
  asked: Promise<FetchResponse<T, O, M>>,
): Promise<NonNullable<FetchResponse<T, O, M>['data']>> {
  return (await tagged(asked)).data
}

/** The same with its tag, for who changes it and must not overwrite what they have not seen. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the library's own bound
export async function tagged<T extends Record<string | number, any>, O, M extends `${string}/${string}`>(
  asked: Promise<FetchResponse<T, O, M>>,
): Promise<{ data: NonNullable<FetchResponse<T, O, M>['data']>; tag: string | null }> {
  let got: FetchResponse<T, O, M>
  try {
    got = await asked
  } catch (error) {
    if (error instanceof Problem) throw error
    throw Problem.unreachable()
  }
  if (!got.response.ok) throw Problem.from(got.response, got.error)
  return { data: got.data as NonNullable<FetchResponse<T, O, M>['data']>, tag: got.response.headers.get('etag') }
}
