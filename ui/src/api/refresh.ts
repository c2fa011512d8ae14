/**
 * Sends a request, and once more after the sign-in was renewed if the access token had ended. All requests of a page
 * that meet the end of the token at the same time wait for one renewal. `over` is called when there is none to be had.
 */
export function renewing(send: typeof fetch, renew: () => Promise<boolean>, over: () => void): typeof fetch {
  let underWay: Promise<boolean> | undefined
  const once = () => {
    underWay ??= renew().finally(() => {
      underWay = undefined
    })
    return underWay
  }
  return async (input, init) => {
    const request = new Request(input, init)
    const again = request.clone()
    const answer = await send(request)
    if (answer.status !== 401) return answer
    if (await once()) return send(again)
    over()
    return answer
  }
}
