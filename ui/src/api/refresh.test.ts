import { expect, it, vi } from 'vitest'
import { renewing } from './refresh'

const at = 'http://gateway.test/api/v1/me'

function gateway(valid: { now: boolean }) {
  return vi.fn<typeof fetch>(async () => new Response(null, { status: valid.now ? 200 : 401 }))
}

it('renews once for everybody who waits, and repeats their requests', async () => {
  const valid = { now: false }
  const send = gateway(valid)
  const renew = vi.fn(async () => {
    await Promise.resolve()
    valid.now = true
    return true
  })
  const over = vi.fn()
  const client = renewing(send, renew, over)
  const answers = await Promise.all([client(at), client(at), client(at)])
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200])
  expect(renew).toHaveBeenCalledTimes(1)
  expect(send).toHaveBeenCalledTimes(6)
  expect(over).not.toHaveBeenCalled()
})

it('passes the 401 on when the sign-in is over, and tries again the next time', async () => {
  const send = gateway({ now: false })
  const renew = vi.fn(async () => false)
  const over = vi.fn()
  const client = renewing(send, renew, over)
  expect((await client(at)).status).toBe(401)
  expect((await client(at)).status).toBe(401)
  expect(renew).toHaveBeenCalledTimes(2)
  expect(over).toHaveBeenCalledTimes(2)
})

it('sends the body of a write again', async () => {
  const valid = { now: false }
  const bodies: string[] = []
  const send: typeof fetch = async (input) => {
    bodies.push(await (input as Request).text())
    return new Response(null, { status: valid.now ? 200 : 401 })
  }
  const client = renewing(send, async () => (valid.now = true), vi.fn())
  await client(at, { method: 'PATCH', body: '{"theme":"dark"}' })
  expect(bodies).toEqual(['{"theme":"dark"}', '{"theme":"dark"}'])
})
